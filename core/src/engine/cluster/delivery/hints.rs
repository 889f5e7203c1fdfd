//! Where a claim may find something: shards and kinds that tasks were offered in, and all of them now and then, as a
//! message may not be heard and leases run out without one.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::rows::SHARDS;

/// One for each code of a kind.
const KINDS: usize = 256;
/// Every shard.
const ALL: u8 = u8::MAX;
const _: () = assert!(SHARDS == 8, "a shard is a bit of a byte");

/// One bit for each shard of each kind.
#[derive(Debug)]
pub(in super::super) struct Hints {
    kinds: Box<[AtomicU8]>,
    began: Instant,
    /// When everywhere was last hinted at, in milliseconds since `began`.
    looked: AtomicU64,
}

impl Default for Hints {
    /// Nothing is known yet: look everywhere first.
    fn default() -> Self {
        Self {
            kinds: (0..KINDS).map(|_| AtomicU8::new(ALL)).collect(),
            began: Instant::now(),
            looked: AtomicU64::new(0),
        }
    }
}

impl Hints {
    /// The number by which processes tell each other of a shard and the code of a kind. The same in every version, whatever
    /// kinds there are.
    pub(super) fn place(shard: usize, kind: u8) -> usize {
        usize::from(kind) * SHARDS + shard % SHARDS
    }

    /// There may be something at a [`Hints::place`]; everywhere, if there is no such place.
    pub(super) fn set(&self, place: usize) {
        match self.kinds.get(place / SHARDS) {
            Some(shards) => _ = shards.fetch_or(1 << (place % SHARDS), Ordering::AcqRel),
            None => self.set_everywhere(),
        }
    }

    /// There may be something anywhere.
    pub(super) fn set_everywhere(&self) {
        for shards in &self.kinds {
            shards.store(ALL, Ordering::Release);
        }
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
    pub(super) fn take(&self, kinds: impl IntoIterator<Item = u8>) -> [bool; SHARDS] {
        let taken = kinds.into_iter().fold(0, |taken, kind| taken | self.of(kind).swap(0, Ordering::AcqRel));
        std::array::from_fn(|shard| taken & (1 << shard) != 0)
    }

    /// Hints at some kinds of a shard again.
    pub(super) fn put_back(&self, shard: usize, kinds: impl IntoIterator<Item = u8>) {
        for kind in kinds {
            self.of(kind).fetch_or(1 << (shard % SHARDS), Ordering::AcqRel);
        }
    }

    fn of(&self, kind: u8) -> &AtomicU8 {
        &self.kinds[usize::from(kind)]
    }
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
        assert_eq!(shards(hints.take([1])).len(), SHARDS, "at first all of it");
        assert!(shards(hints.take([1])).is_empty());
        assert_eq!(shards(hints.take([0, 255])).len(), SHARDS);
        hints.set(Hints::place(3, 1));
        hints.set(Hints::place(5, 255));
        assert_eq!(shards(hints.take([1])), [3]);
        assert_eq!(shards(hints.take([0, 1, 255])), [5]);
    }

    #[test]
    fn everywhere_is_looked_at_again_when_that_is_due() {
        let hints = Hints::default();
        hints.take(0..=255);
        hints.look(Duration::from_secs(3600));
        assert!(shards(hints.take(0..=255)).is_empty());
        hints.look(Duration::ZERO);
        assert_eq!(shards(hints.take([7])).len(), SHARDS);
        hints.set(usize::MAX);
        assert_eq!(shards(hints.take([7])).len(), SHARDS, "a message of another version");
    }
}
