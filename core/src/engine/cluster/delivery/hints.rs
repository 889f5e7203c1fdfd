//! Where a claim may find something: shards and queues that tasks were offered in, and all of them now and then, as a
//! message may not be heard and leases run out without one.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::super::rows::SHARDS;
use super::QueueId;

/// Every shard.
const ALL: u8 = u8::MAX;
const _: () = assert!(SHARDS == 8, "a shard is a bit of a byte");

/// One bit for each shard of each queue.
#[derive(Debug)]
pub(in super::super) struct Hints {
    queues: Box<[AtomicU8]>,
    began: Instant,
    /// When everywhere was last hinted at, in milliseconds since `began`.
    looked: AtomicU64,
}

impl Default for Hints {
    /// Nothing is known yet: look everywhere first.
    fn default() -> Self {
        Self {
            queues: (0..QueueId::COUNT).map(|_| AtomicU8::new(ALL)).collect(),
            began: Instant::now(),
            looked: AtomicU64::new(0),
        }
    }
}

impl Hints {
    /// The number by which processes tell each other of a shard and a queue. The same in every version.
    pub(super) fn place(shard: usize, queue: QueueId) -> usize {
        usize::from(queue.number()) * SHARDS + shard % SHARDS
    }

    /// There may be something at a [`Hints::place`]; everywhere, if there is no such place.
    pub(super) fn set(&self, place: usize) {
        match self.queues.get(place / SHARDS) {
            Some(shards) => _ = shards.fetch_or(1 << (place % SHARDS), Ordering::AcqRel),
            None => self.set_everywhere(),
        }
    }

    /// There may be something anywhere.
    pub(super) fn set_everywhere(&self) {
        for shards in &self.queues {
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

    /// Takes the hints at some queues, and answers which of them are hinted at in each shard, in their order.
    pub(super) fn take(&self, queues: impl IntoIterator<Item = QueueId>) -> [Vec<QueueId>; SHARDS] {
        let mut taken = [const { Vec::new() }; SHARDS];
        for queue in queues {
            // Most are empty: a look is cheaper than a swap.
            if self.of(queue).load(Ordering::Acquire) == 0 {
                continue;
            }
            let shards = self.of(queue).swap(0, Ordering::AcqRel);
            for (shard, queues) in taken.iter_mut().enumerate() {
                if shards & (1 << shard) != 0 {
                    queues.push(queue);
                }
            }
        }
        taken
    }

    /// Hints at some queues of a shard again.
    pub(super) fn put_back(&self, shard: usize, queues: &[QueueId]) {
        for queue in queues {
            self.of(*queue).fetch_or(1 << (shard % SHARDS), Ordering::AcqRel);
        }
    }

    fn of(&self, queue: QueueId) -> &AtomicU8 {
        &self.queues[usize::from(queue.number())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Priority;

    fn queue(kind: u8) -> QueueId {
        QueueId::new(kind, Priority::Normal)
    }

    fn shards(taken: [Vec<QueueId>; SHARDS]) -> Vec<usize> {
        (0..SHARDS).filter(|shard| !taken[*shard].is_empty()).collect()
    }

    #[test]
    fn a_claimer_of_one_queue_leaves_the_hints_at_the_others() {
        let hints = Hints::default();
        let high = QueueId::new(1, Priority::High);
        assert_eq!(shards(hints.take([queue(1)])).len(), SHARDS, "at first all of it");
        assert!(shards(hints.take([queue(1)])).is_empty());
        assert_eq!(shards(hints.take([queue(0), queue(255), high])).len(), SHARDS);
        hints.set(Hints::place(3, queue(1)));
        hints.set(Hints::place(5, queue(255)));
        hints.set(Hints::place(5, high));
        assert_eq!(shards(hints.take([queue(1)])), [3]);
        assert_eq!(hints.take([high, queue(0), queue(1), queue(255)])[5], [high, queue(255)]);
    }

    #[test]
    fn everywhere_is_looked_at_again_when_that_is_due() {
        let hints = Hints::default();
        let all = || (0..=255).map(queue);
        hints.take(all());
        hints.look(Duration::from_secs(3600));
        assert!(shards(hints.take(all())).is_empty());
        hints.look(Duration::ZERO);
        assert_eq!(shards(hints.take([queue(7)])).len(), SHARDS);
        hints.set(usize::MAX);
        assert_eq!(shards(hints.take([queue(7)])).len(), SHARDS, "a message of another version");
    }
}
