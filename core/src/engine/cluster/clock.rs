//! The ledger's clock. Processes on several machines don't agree on the time; Postgres is the one that all of them ask.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::time::Instant;

/// Beyond this, somebody should look at the machine's clock.
const WORTH_A_WARNING: i64 = 1_000_000;

/// The difference between this machine's clock and the ledger's.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Microseconds that the ledger is ahead.
    ahead: AtomicI64,
}

impl Clock {
    /// Now, by the ledger's clock.
    pub(super) fn now(&self) -> Instant {
        Instant::from_micros(Instant::now().micros().saturating_add(self.ahead.load(Ordering::Relaxed)))
    }

    /// How long from now until a point in time by the ledger's clock.
    pub(super) fn until(&self, due: Instant) -> Duration {
        due.since(self.now())
    }

    /// Takes in what the ledger's clock showed at some time between two readings of ours.
    pub(super) fn compare(&self, before: Instant, ledger: Instant, after: Instant) {
        let middle = before.micros() + (after.micros() - before.micros()) / 2;
        let ahead = ledger.micros().saturating_sub(middle);
        // Nobody can tell a difference smaller than the time the question took from none.
        let ahead = if ahead.abs() <= after.micros() - before.micros() { 0 } else { ahead };
        let changed = self.ahead.swap(ahead, Ordering::Relaxed).abs_diff(ahead);
        if ahead.abs() >= WORTH_A_WARNING && changed >= WORTH_A_WARNING.unsigned_abs() {
            tracing::warn!(
                ahead_ms = ahead / 1000,
                "this machine's clock differs from the ledger's; the ledger's is used"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledgers_time_is_used_whatever_this_machines_clock_says() {
        let clock = Clock::default();
        let now = Instant::now();
        let ledger = now.plus(Duration::from_secs(300));
        clock.compare(now, ledger, now);
        assert!(clock.now() >= ledger);
        assert!(clock.now().since(ledger) < Duration::from_secs(60));
    }
}
