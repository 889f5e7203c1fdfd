//! What is counted and timed while a load runs: one meter for each stretch whose figures stand alone, and one for the
//! second that passes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use card_core::tasks::Status;
use tokio::time::Instant;

use crate::shard::Figures;
use card_client::ClientError;
use card_client::ReadCost;
use card_client::latency::Latency;
use card_client::observer::Final;
use card_client::sender::FailedAttempt;

/// A start that is later than this is a late one: below it is the grain of timers and threads.
pub const LATE: Duration = Duration::from_millis(10);

type Names = Mutex<BTreeMap<&'static str, u64>>;

fn count(names: &Names, name: &'static str) {
    *names.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(0) += 1;
}

fn read(names: &Names) -> BTreeMap<String, u64> {
    let names = names.lock().unwrap_or_else(PoisonError::into_inner);
    names.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// When something should have begun, and when it did.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// When it should have.
    pub intended: Instant,
    /// When it did.
    pub begun: Instant,
}

/// The counts and latencies of the second that passes. Whoever looks takes them away.
#[derive(Default)]
pub struct Second {
    /// Requests sent.
    pub offered: AtomicU64,
    /// Answered with 202.
    pub accepted: AtomicU64,
    /// Ends heard of.
    pub completed: AtomicU64,
    /// Failed: an order that was not accepted, or a read that was not answered.
    pub errors: AtomicU64,
    /// Reads that were answered.
    pub reads: AtomicU64,
    /// Could not be sent by this machine; among those sent, because it is known only afterwards.
    pub unsent: AtomicU64,
    /// Sends beyond a request's first.
    pub resent: AtomicU64,
    /// Answers that were not the platform's.
    pub foreign: AtomicU64,
    /// Request to 202, from the intended start.
    pub accept: Latency,
    /// Request to final status, from the intended start.
    pub e2e: Latency,
    /// A read of what the user has.
    pub read: Latency,
}

/// The counts and latencies of a stretch: of the requests that were to begin in it, whenever they end.
#[derive(Default)]
pub struct Meter {
    /// Requests sent.
    pub offered: AtomicU64,
    /// Answered with 202.
    pub accepted: AtomicU64,
    /// Ends heard of.
    pub completed: AtomicU64,
    /// Failed: an order that was not accepted, or a read that was not answered.
    pub errors: AtomicU64,
    /// Could not be sent by this machine; counted as sent before that was known.
    pub unsent: AtomicU64,
    /// Sends beyond a request's first.
    pub resent: AtomicU64,
    /// Requests that were sent more than once.
    pub repeated: AtomicU64,
    /// Begun later than [`LATE`].
    pub late: AtomicU64,
    /// Arrivals that had to wait for the limit on requests at once.
    pub held_back: AtomicU64,
    /// How late a start was.
    pub lateness: Latency,
    /// Request to 202.
    pub accept: Latency,
    /// The same from the intended start.
    pub accept_intended: Latency,
    /// Request to final status.
    pub e2e: Latency,
    /// The same from the intended start.
    pub e2e_intended: Latency,
    /// Accepted until the last attempt began, by the platform's clock.
    pub queue_wait: Latency,
    /// The last attempt, by the platform's clock.
    pub work: Latency,
    /// A look at the status.
    pub status: Latency,
    /// A read of what the user has.
    pub read: Latency,
    /// Reads that were answered with 304 ...
    pub not_modified: AtomicU64,
    /// ... from the platform's memory ...
    pub cached: AtomicU64,
    /// ... and what all of them have asked the ledger.
    pub ledger_reads: AtomicU64,
    by_code: Names,
    by_gateway: Names,
    by_lack: Names,
    second: Arc<Second>,
}

impl Meter {
    /// A meter that also feeds the second that passes.
    #[must_use]
    pub fn new(second: &Arc<Second>) -> Self {
        Self { second: Arc::clone(second), ..Self::default() }
    }

    /// A request is sent now.
    pub fn begun(&self, start: Start) {
        self.offered.fetch_add(1, Ordering::Relaxed);
        self.second.offered.fetch_add(1, Ordering::Relaxed);
        let late = start.begun.saturating_duration_since(start.intended);
        self.lateness.record(late);
        if late > LATE {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request was answered with 202, so long after it was begun.
    pub fn accepted(&self, start: Start, took: Duration) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.second.accepted.fetch_add(1, Ordering::Relaxed);
        let intended = took + start.begun.saturating_duration_since(start.intended);
        self.accept.record(took);
        self.accept_intended.record(intended);
        self.second.accept.record(intended);
    }

    /// An attempt to have a request accepted failed.
    pub fn failed(&self, attempt: FailedAttempt<'_>) {
        self.answered_for(attempt.error);
        if attempt.again {
            self.resent.fetch_add(1, Ordering::Relaxed);
            self.second.resent.fetch_add(1, Ordering::Relaxed);
            self.repeated.fetch_add(u64::from(attempt.first), Ordering::Relaxed);
        }
    }

    /// A request was not accepted, or not answered. What this machine could not send is no error of anybody else.
    pub fn error(&self, error: &ClientError) {
        let counted = match error.local() {
            Some(lack) => {
                count(&self.by_lack, lack.name());
                [&self.unsent, &self.second.unsent]
            }
            None => {
                count(&self.by_code, error.name());
                [&self.errors, &self.second.errors]
            }
        };
        for counter in counted {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A read was answered, so long after it should have been sent.
    pub fn looked(&self, took: Duration, not_modified: bool, cost: ReadCost) {
        self.read.record(took);
        self.second.read.record(took);
        self.second.reads.fetch_add(1, Ordering::Relaxed);
        self.not_modified.fetch_add(u64::from(not_modified), Ordering::Relaxed);
        self.cached.fetch_add(u64::from(cost.hit == Some(true)), Ordering::Relaxed);
        self.ledger_reads.fetch_add(cost.ledger.unwrap_or(0), Ordering::Relaxed);
    }

    /// A visit failed: there was no user to send a request as, or a read was not answered.
    pub fn visit_failed(&self, error: &ClientError) {
        self.answered_for(error);
        self.error(error);
    }

    /// A look at the status failed: it is named, and is no order that was not accepted.
    pub fn status_error(&self, error: &ClientError) {
        self.answered_for(error);
        if let Some(lack) = error.local() {
            count(&self.by_lack, lack.name());
        } else {
            count(&self.by_code, error.name());
        }
    }

    fn answered_for(&self, error: &ClientError) {
        if error.is_foreign() {
            self.second.foreign.fetch_add(1, Ordering::Relaxed);
            count(&self.by_gateway, error.name());
        }
    }

    /// A task is final.
    pub fn ended(&self, start: Start, end: &Final) {
        self.completed.fetch_add(1, Ordering::Relaxed);
        self.second.completed.fetch_add(1, Ordering::Relaxed);
        // When an operator calls something off says nothing of the platform.
        if end.status == Status::Cancelled {
            return;
        }
        let intended = end.at.saturating_duration_since(start.intended);
        self.e2e.record(end.at.saturating_duration_since(start.begun));
        self.e2e_intended.record(intended);
        self.second.e2e.record(intended);
        // Dead tasks were tried several times: their last attempt says nothing of the work.
        if end.status != Status::Dead {
            self.queue_wait.record(end.queue_wait);
            self.work.record(end.work);
        }
    }

    /// What was counted and timed so far.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let [offered, accepted, completed, errors, unsent, resent, repeated, late, held_back] = [
            &self.offered,
            &self.accepted,
            &self.completed,
            &self.errors,
            &self.unsent,
            &self.resent,
            &self.repeated,
            &self.late,
            &self.held_back,
        ]
        .map(|count| count.load(Ordering::Relaxed));
        let [by_code, by_gateway, by_lack] = [&self.by_code, &self.by_gateway, &self.by_lack].map(read);
        Figures {
            offered: offered.saturating_sub(unsent),
            accepted,
            completed,
            errors,
            late,
            held_back,
            unsent,
            resent,
            repeated,
            by_code,
            by_gateway,
            by_lack,
            lateness: self.lateness.recorded(),
            accept: self.accept.recorded(),
            accept_intended: self.accept_intended.recorded(),
            e2e: self.e2e.recorded(),
            e2e_intended: self.e2e_intended.recorded(),
            queue_wait: self.queue_wait.recorded(),
            work: self.work.recorded(),
            status: self.status.recorded(),
            read: self.read.recorded(),
            not_modified: self.not_modified.load(Ordering::Relaxed),
            cached: self.cached.load(Ordering::Relaxed),
            ledger_reads: self.ledger_reads.load(Ordering::Relaxed),
        }
    }
}
