//! What was counted and timed in a stretch, as figures that can be added up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use card_client::recorded::Recorded;

/// A [`crate::meter::Meter`] that was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Requests sent, without those that this machine could not send.
    pub offered: u64,
    /// Answered with 202.
    pub accepted: u64,
    /// Ends heard of.
    pub completed: u64,
    /// Failed: an order that was not accepted, or a read that was not answered.
    pub errors: u64,
    /// Begun late.
    pub late: u64,
    /// Arrivals that had to wait for the limit on requests at once.
    pub held_back: u64,
    /// Could not be sent by this machine.
    #[serde(default)]
    pub unsent: u64,
    /// Sends beyond a request's first.
    #[serde(default)]
    pub resent: u64,
    /// Requests that were sent more than once.
    #[serde(default)]
    pub repeated: u64,
    /// Errors by code.
    pub by_code: BTreeMap<String, u64>,
    /// Answers that were not the platform's, by HTTP status.
    #[serde(default)]
    pub by_gateway: BTreeMap<String, u64>,
    /// What this machine lacked.
    #[serde(default)]
    pub by_lack: BTreeMap<String, u64>,
    /// How late a start was.
    pub lateness: Recorded,
    /// Request to 202.
    pub accept: Recorded,
    /// The same from the intended start.
    pub accept_intended: Recorded,
    /// Request to final status.
    pub e2e: Recorded,
    /// The same from the intended start.
    pub e2e_intended: Recorded,
    /// Accepted until the last attempt began, by the platform's clock.
    pub queue_wait: Recorded,
    /// The last attempt, by the platform's clock.
    pub work: Recorded,
    /// A look at the status.
    pub status: Recorded,
    /// A read of what the user has.
    #[serde(default)]
    pub read: Recorded,
    /// Reads that were answered with 304.
    #[serde(default)]
    pub not_modified: u64,
    /// Reads that were answered from the platform's memory.
    #[serde(default)]
    pub cached: u64,
    /// Questions to the ledger that all reads have cost.
    #[serde(default)]
    pub ledger_reads: u64,
}

impl Figures {
    /// Takes others in.
    pub fn add(&mut self, other: &Self) {
        // Named one by one, so that a figure that comes to them can't be forgotten here.
        let Self {
            offered,
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
            lateness,
            accept,
            accept_intended,
            e2e,
            e2e_intended,
            queue_wait,
            work,
            status,
            read,
            not_modified,
            cached,
            ledger_reads,
        } = other;
        self.offered += offered;
        self.accepted += accepted;
        self.completed += completed;
        self.errors += errors;
        self.late += late;
        self.held_back += held_back;
        self.unsent += unsent;
        self.resent += resent;
        self.repeated += repeated;
        add(&mut self.by_code, by_code);
        add(&mut self.by_gateway, by_gateway);
        add(&mut self.by_lack, by_lack);
        self.lateness.add(lateness);
        self.accept.add(accept);
        self.accept_intended.add(accept_intended);
        self.e2e.add(e2e);
        self.e2e_intended.add(e2e_intended);
        self.queue_wait.add(queue_wait);
        self.work.add(work);
        self.status.add(status);
        self.read.add(read);
        self.not_modified += not_modified;
        self.cached += cached;
        self.ledger_reads += ledger_reads;
    }
}

/// Takes the counts of others in, name by name.
pub(super) fn add(counts: &mut BTreeMap<String, u64>, others: &BTreeMap<String, u64>) {
    for (name, count) in others {
        *counts.entry(name.clone()).or_insert(0) += count;
    }
}
