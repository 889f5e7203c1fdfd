//! The seconds of all generators as one timeline.
//!
//! Its seconds are those of one generator. What another counted in a second goes to those that it overlaps, each its
//! part; how long its requests took goes whole to the one in which its middle lies. Nothing is lost: what lies beyond
//! either end goes to the nearest.

use super::place::Places;
use crate::result::Sample;
use crate::shard::{Shard, Taken};
use card_client::recorded::Recorded;

/// The timeline.
pub(super) fn merge(shards: &[Shard], places: &Places) -> Vec<Sample> {
    let reference = places.reference();
    let own = &shards[reference].timeline;
    let mut seconds: Vec<Second> = own.iter().map(|taken| Second::of(taken, &shards[reference])).collect();
    for (index, shard) in shards.iter().enumerate().filter(|(index, _)| *index != reference) {
        let shift = places.shift(index);
        for taken in &shard.timeline {
            add(&mut seconds, taken, shift, shard);
        }
    }
    seconds.into_iter().map(Second::done).collect()
}

fn add<'s>(seconds: &mut [Second<'s>], taken: &'s Taken, shift: f64, of: &'s Shard) {
    let sample = &taken.sample;
    let (from, to) = (sample.t - sample.lasted + shift, sample.t + shift);
    let middle = f64::midpoint(from, to);
    let counts = counts(sample).map(|rate| rate * sample.lasted);
    let mut left = 1.0;
    let first = seconds.partition_point(|second| second.reference.t <= from);
    for second in seconds[first..].iter_mut().take_while(|second| second.begins() < to) {
        let overlap = (second.reference.t.min(to) - second.begins().max(from)).max(0.0);
        let part = if sample.lasted > 0.0 { (overlap / sample.lasted).min(left) } else { 0.0 };
        second.count(counts, part);
        left -= part;
    }
    let nearest = seconds.partition_point(|second| second.reference.t < middle).min(seconds.len().saturating_sub(1));
    if let Some(nearest) = seconds.get_mut(nearest) {
        nearest.count(counts, left.max(0.0));
        nearest.takes.push((taken, of));
    }
}

/// What adds up.
type Counts = [f64; 8];

fn counts(sample: &Sample) -> Counts {
    let Sample { offered, accepted, completed, errors, reads, resent, foreign, unsent, .. } = *sample;
    [offered, accepted, completed, errors, reads, resent, foreign, unsent]
}

/// A second of the timeline, and whose figures are in it.
struct Second<'s> {
    reference: Sample,
    counted: Counts,
    takes: Vec<(&'s Taken, &'s Shard)>,
}

impl<'s> Second<'s> {
    fn of(taken: &'s Taken, shard: &'s Shard) -> Self {
        Self { reference: taken.sample.clone(), counted: Counts::default(), takes: vec![(taken, shard)] }
    }

    fn begins(&self) -> f64 {
        self.reference.t - self.reference.lasted
    }

    fn count(&mut self, counts: Counts, part: f64) {
        for (sum, count) in self.counted.iter_mut().zip(counts) {
            *sum += count * part;
        }
    }

    fn done(self) -> Sample {
        let Self { reference, counted, takes } = self;
        if takes.len() == 1 && counted == Counts::default() {
            return reference;
        }
        let lasted = reference.lasted.max(1e-6);
        let [offered, accepted, completed, errors, reads, resent, foreign, unsent] =
            counted.map(|count| count / lasted);
        let most = |of: fn(&Sample) -> Option<u64>| takes.iter().filter_map(|(taken, _)| of(&taken.sample)).max();
        let busy = takes.iter().filter_map(|(taken, _)| taken.sample.machine_cpu);
        let mut second = Sample {
            offered: reference.offered + offered,
            accepted: reference.accepted + accepted,
            completed: reference.completed + completed,
            errors: reference.errors + errors,
            reads: reference.reads + reads,
            resent: reference.resent + resent,
            foreign: reference.foreign + foreign,
            unsent: reference.unsent + unsent,
            // One that stands still makes another load than the one that was planned, whoever goes on.
            stood_still: takes.iter().map(|(taken, _)| taken.sample.stood_still).fold(0.0, f64::max),
            stolen: takes.iter().filter_map(|(taken, _)| taken.sample.stolen).reduce(f64::max),
            throttled: takes.iter().filter_map(|(taken, _)| taken.sample.throttled).reduce(f64::max),
            // Each asked the platform at a moment of its own; the worst answer counts.
            backlog: most(|sample| sample.backlog),
            oldest_age_ms: most(|sample| sample.oldest_age_ms),
            workers: most(|sample| sample.workers),
            inflight: most(|sample| sample.inflight),
            generator_cpu: generator_cpu(&takes),
            machine_cpu: busy.reduce(f64::max),
            ..reference
        };
        let accept =
            latency(&takes, |taken| &taken.accept, |sample| [sample.accept_p50, sample.accept_p95, sample.accept_p99]);
        let e2e = latency(&takes, |taken| &taken.e2e, |sample| [sample.e2e_p50, sample.e2e_p95, sample.e2e_p99]);
        let read = latency(&takes, |taken| &taken.read, |sample| [sample.read_p50, sample.read_p95, sample.read_p99]);
        [second.accept_p50, second.accept_p95, second.accept_p99] = accept;
        [second.e2e_p50, second.e2e_p95, second.e2e_p99] = e2e;
        [second.read_p50, second.read_p95, second.read_p99] = read;
        second
    }
}

/// Percentiles of all of them together: of the one that has any as they are, of several by their histograms. Where
/// those were left out, the slowest generator's.
fn latency(
    takes: &[(&Taken, &Shard)],
    packed: fn(&Taken) -> &Option<card_client::recorded::Packed>,
    told: fn(&Sample) -> [Option<f64>; 3],
) -> [Option<f64>; 3] {
    let having: Vec<&Taken> =
        takes.iter().map(|(taken, _)| *taken).filter(|taken| told(&taken.sample)[0].is_some()).collect();
    if let [only] = having.as_slice() {
        return told(&only.sample);
    }
    let mut all = Recorded::default();
    for taken in &having {
        match packed(taken).as_ref().map(card_client::recorded::Packed::open) {
            Some(Ok(recorded)) => all.add(&recorded),
            _ => return slowest(&having, told),
        }
    }
    let read = all.percentiles();
    [read.p50, read.p95, read.p99].map(|value| (read.n > 0).then_some(value))
}

fn slowest(having: &[&Taken], told: fn(&Sample) -> [Option<f64>; 3]) -> [Option<f64>; 3] {
    let at = |index: usize| having.iter().filter_map(|taken| told(&taken.sample)[index]).reduce(f64::max);
    [at(0), at(1), at(2)]
}

/// The share of the busiest: of a generator of what it may use, or of all on one machine of what that has.
#[expect(clippy::cast_precision_loss, reason = "numbers of cores")]
fn generator_cpu(takes: &[(&Taken, &Shard)]) -> f64 {
    let mut busiest = takes.iter().map(|(taken, _)| taken.sample.generator_cpu).fold(0.0, f64::max);
    for (_, shard) in takes.iter().filter(|(_, shard)| shard.machine.is_some()) {
        let here = || takes.iter().filter(|(_, other)| other.machine == shard.machine);
        let used: f64 = here().map(|(taken, other)| taken.sample.generator_cpu * other.generator.cores as f64).sum();
        let cores = here().map(|(_, other)| other.generator.cores).max().unwrap_or(1).max(1);
        busiest = busiest.max((used / cores as f64).min(1.0));
    }
    busiest
}
