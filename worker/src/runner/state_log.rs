//! Logs when something begins to fail and when it works again, not each time in between.

use std::sync::atomic::{AtomicBool, Ordering};

use card_core::engine::EngineError;

/// One thing that the engine is asked for.
#[derive(Debug)]
pub(super) struct StateLog {
    what: &'static str,
    fails: AtomicBool,
}

impl StateLog {
    pub(super) const fn new(what: &'static str) -> Self {
        Self { what, fails: AtomicBool::new(false) }
    }

    pub(super) fn failed(&self, error: &EngineError) {
        if !self.fails.swap(true, Ordering::AcqRel) {
            tracing::warn!(error = %error.shared(), kind = ?error.kind(), "can't {}; retrying", self.what);
        }
    }

    pub(super) fn worked(&self) {
        // Reads first: this is on the way of every task.
        if self.fails.load(Ordering::Acquire) && self.fails.swap(false, Ordering::AcqRel) {
            tracing::info!("can {} again", self.what);
        }
    }
}
