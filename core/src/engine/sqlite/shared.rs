//! What the writer thread, the sweep and the callers have in common.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::books::Books;
use super::delivery::Delivery;
use crate::engine::EngineError;
use crate::engine::hub::Hub;
use crate::engine::kinds::Kinds;
use crate::engine::revocations::Revocations;

/// What the writer thread, the sweep and the callers share.
pub(super) struct Shared {
    pub(super) delivery: Delivery,
    pub(super) kinds: Arc<Kinds>,
    pub(super) hub: Arc<Hub>,
    pub(super) books: Mutex<Books>,
    /// The place in the log of the last event that a reader of the file may have seen: at least that of the last commit.
    pub(super) upcoming: AtomicI64,
    pub(super) revocations: Revocations,
    pub(super) storage_ok: AtomicBool,
}

impl Shared {
    /// The totals of the last commit.
    pub(super) fn books(&self) -> Books {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn publish(&self, books: &Books) {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).clone_from(books);
        if !self.storage_ok.swap(true, Ordering::AcqRel) {
            tracing::info!("the ledger is writable again");
        }
    }

    /// Says it once, not with every write that fails.
    pub(super) fn storage_failed(&self, error: &EngineError) {
        if self.storage_ok.swap(false, Ordering::AcqRel) {
            tracing::error!(error = %error.shared(), "the ledger is not writable; requests are refused until it is");
        }
    }
}
