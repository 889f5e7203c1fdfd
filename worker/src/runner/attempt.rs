//! One attempt at a task: the few facts of a claim that outlive its payload.
//!
//! A claim's times are by the ledger's clock, which this process's may be minutes off. So lengths are measured here with
//! the monotonic clock, from when the claim came in, and the ledger's time of now is the claim's and that length.

use std::time::Duration;

use card_core::engine::{Claim, Lease};
use card_core::tasks::Kind;
use card_core::time::Instant;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) lease: Lease,
    pub(super) kind: Kind,
    /// From 1.
    pub(super) number: u32,
    /// By the ledger's clock.
    pub(super) accepted_at: Instant,
    /// By the ledger's clock.
    pub(super) started_at: Instant,
    came_in: std::time::Instant,
}

impl Attempt {
    /// `came_in` is when the engine answered with the claim.
    pub(super) fn of(claim: &Claim, came_in: std::time::Instant) -> Self {
        Self {
            lease: claim.lease,
            kind: claim.kind,
            number: claim.attempt,
            accepted_at: claim.accepted_at,
            started_at: claim.started_at,
            came_in,
        }
    }

    /// From accepted to the attempt's begin.
    pub(super) fn waited(&self) -> Duration {
        self.started_at.since(self.accepted_at)
    }

    /// How long the attempt has taken until now.
    pub(super) fn elapsed(&self) -> Duration {
        self.came_in.elapsed()
    }

    /// What the ledger's clock shows after the attempt has taken so long.
    pub(super) fn ledger_time_after(&self, elapsed: Duration) -> Instant {
        self.started_at.plus(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use card_core::engine::LeaseRow;
    use card_core::ids::{TaskId, WorkerId};
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_clock_that_is_off_changes_no_length() {
        // The ledger's clock is an hour behind this machine's.
        let now = Instant::now();
        let started_at = Instant::from_micros(now.micros() - 3_600_000_000);
        let claim = Claim {
            lease: Lease { task: TaskId::new(), row: LeaseRow::default(), token: 1, worker: WorkerId::new() },
            kind: Kind::new("add"),
            owner: None,
            run: None,
            payload: RawValue::NULL.to_owned(),
            attempt: 1,
            accepted_at: Instant::from_micros(started_at.micros() - 250_000),
            started_at,
        };
        let taken = Duration::from_millis(40);
        let attempt = Attempt::of(&claim, std::time::Instant::now() - taken);
        assert_eq!(attempt.waited(), Duration::from_millis(250));
        // By the wall clocks it would be an hour.
        assert!((taken..Duration::from_secs(1800)).contains(&attempt.elapsed()));
        assert_eq!(attempt.ledger_time_after(taken), started_at.plus(taken));
    }
}
