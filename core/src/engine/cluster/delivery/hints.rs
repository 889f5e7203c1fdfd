//! Where a claim may find something: shards and kinds that were rung for, and all of them now and then, as rings may not
//! be heard and leases run out without one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::rows::SHARDS;
use super::code;
use crate::tasks::Kind;

const KINDS: usize = Kind::ALL.len();
const EVERYWHERE: u64 = (1 << (SHARDS * KINDS)) - 1;

/// One bit for each kind of each shard.
#[derive(Debug)]
pub(in super::super) struct Hints {
    bits: AtomicU64,
    began: Instant,
    /// When everywhere was last hinted at, in milliseconds since `began`.
    looked: AtomicU64,
}

impl Default for Hints {
    /// Nothing is known yet: look everywhere first.
    fn default() -> Self {
        Self { bits: AtomicU64::new(EVERYWHERE), began: Instant::now(), looked: AtomicU64::new(0) }
    }
}

impl Hints {
    /// The number by which processes tell each other of a shard and kind.
    pub(super) fn place(shard: usize, kind: Kind) -> usize {
        (shard % SHARDS) * KINDS + code(kind)
    }

    /// There may be something at a [`Hints::place`]; everywhere, if there is no such place.
    pub(super) fn set(&self, place: usize) {
        let bit = if place < SHARDS * KINDS { 1 << place } else { EVERYWHERE };
        self.bits.fetch_or(bit, Ordering::AcqRel);
    }

    /// There may be something anywhere.
    pub(super) fn set_everywhere(&self) {
        self.bits.store(EVERYWHERE, Ordering::Release);
    }

    /// Hints at everywhere if that was not done for so long.
    pub(super) fn look(&self, every: Duration) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked = self.looked.load(Ordering::Acquire);
        let due = now.saturating_sub(looked) >= u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        // One claimer is enough: what it does not want stays hinted at.
        if due && self.looked.compare_exchange(looked, now, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.set_everywhere();
        }
    }

    /// Takes the hints at some kinds, and answers which shards they are at.
    pub(super) fn take(&self, kinds: &[Kind]) -> [bool; SHARDS] {
        let mask = (0..SHARDS).fold(0, |mask, shard| mask | bits(shard, kinds));
        let taken = self.bits.fetch_and(!mask, Ordering::AcqRel) & mask;
        std::array::from_fn(|shard| taken & bits(shard, kinds) != 0)
    }

    /// Hints at some kinds of a shard again.
    pub(super) fn put_back(&self, shard: usize, kinds: &[Kind]) {
        self.bits.fetch_or(bits(shard, kinds), Ordering::AcqRel);
    }
}

fn bits(shard: usize, kinds: &[Kind]) -> u64 {
    kinds.iter().fold(0, |bits, kind| bits | 1 << Hints::place(shard, *kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(taken: [bool; SHARDS]) -> Vec<usize> {
        (0..SHARDS).filter(|shard| taken[*shard]).collect()
    }

    #[test]
    fn a_claimer_of_one_kind_leaves_the_hints_at_the_other() {
        let hints = Hints::default();
        assert_eq!(shards(hints.take(&[Kind::Add])).len(), SHARDS, "at first all of it");
        assert!(shards(hints.take(&[Kind::Add])).is_empty());
        assert_eq!(shards(hints.take(&[Kind::Replacement])).len(), SHARDS);
        hints.set(Hints::place(3, Kind::Add));
        hints.set(Hints::place(5, Kind::Replacement));
        assert_eq!(shards(hints.take(&[Kind::Add])), [3]);
        assert_eq!(shards(hints.take(&Kind::ALL)), [5]);
    }

    #[test]
    fn everywhere_is_looked_at_again_when_that_is_due() {
        let hints = Hints::default();
        hints.take(&Kind::ALL);
        hints.look(Duration::from_secs(3600));
        assert!(shards(hints.take(&Kind::ALL)).is_empty());
        hints.look(Duration::ZERO);
        assert_eq!(shards(hints.take(&Kind::ALL)).len(), SHARDS);
        hints.set(usize::MAX);
        assert_eq!(shards(hints.take(&Kind::ALL)).len(), SHARDS, "a message of another version");
    }
}
