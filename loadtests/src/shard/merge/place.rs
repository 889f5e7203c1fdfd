//! Where each generator's seconds lie on the timeline of all.
//!
//! Each counts from when it was started. They began their first course together, by the platform's clock, and each
//! knows how much later it did: that puts them side by side. The timeline's seconds are those of one of them, the one
//! that went on for longest.

use crate::shard::Shard;

/// How far each one's time has to be moved.
pub(super) struct Places {
    reference: usize,
    shifts: Vec<f64>,
}

impl Places {
    /// None if there is nobody.
    pub(super) fn of(shards: &[Shard]) -> Option<Self> {
        let begun: Vec<f64> = shards.iter().map(begun).collect();
        let lasted = |shard: usize| {
            let last = shards[shard].timeline.last().map_or(0.0, |taken| taken.sample.t);
            // One that ran nothing has no time of its own.
            if shards[shard].courses.is_empty() { f64::NEG_INFINITY } else { last - begun[shard] }
        };
        // The first of those that are equal.
        let reference = (0..shards.len()).rev().max_by(|one, other| lasted(*one).total_cmp(&lasted(*other)))?;
        let shift = |shard: &usize| if *shard == reference { 0.0 } else { begun[reference] - begun[*shard] };
        Some(Self { reference, shifts: (0..shards.len()).map(|shard| shift(&shard)).collect() })
    }

    /// Whose seconds the timeline has.
    pub(super) const fn reference(&self) -> usize {
        self.reference
    }

    /// How many seconds a generator's time has to be moved.
    pub(super) fn shift(&self, shard: usize) -> f64 {
        self.shifts[shard]
    }
}

/// On its own timeline, the moment at which all were to begin.
fn begun(shard: &Shard) -> f64 {
    shard.courses.first().map_or(0.0, |course| course.from_s - course.late_ms / 1000.0)
}
