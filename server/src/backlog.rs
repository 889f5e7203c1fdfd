//! How much waits, known without asking: the last sample and what was accepted since (P5).

use std::sync::atomic::{AtomicU64, Ordering};

use card_core::problem::Code;

use crate::problem::Refusal;

/// An estimate that is never too low for long and that costs an atomic addition.
#[derive(Debug)]
pub(crate) struct Backlog {
    limit: u64,
    estimate: AtomicU64,
    accepted: AtomicU64,
}

impl Backlog {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, estimate: AtomicU64::new(0), accepted: AtomicU64::new(0) }
    }

    /// Refuses what would come on top of a full backlog.
    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        if self.estimate.load(Ordering::Relaxed) < self.limit {
            return Ok(());
        }
        Err(Refusal::new(Code::Overloaded, "Too many tasks wait. This one was not accepted; try again.").retry_after(5))
    }

    /// One more was accepted.
    pub(crate) fn accepted(&self) {
        self.estimate.fetch_add(1, Ordering::Relaxed);
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Accepted since the process began: whether there is something to do.
    pub(crate) fn accepted_total(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// What waits, as the engine counted it.
    pub(crate) fn sampled(&self, backlog: u64) {
        self.estimate.store(backlog, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_backlog_refuses_until_a_sample_says_otherwise() {
        let backlog = Backlog::new(2);
        backlog.sampled(1);
        assert!(backlog.admit().is_ok());
        backlog.accepted();
        assert_eq!(backlog.admit().unwrap_err().code(), Code::Overloaded);
        backlog.sampled(1);
        assert!(backlog.admit().is_ok());
    }
}
