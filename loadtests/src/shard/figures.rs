//! What was counted and timed in a stretch, as figures that can be added up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::recorded::Recorded;

/// A [`crate::meter::Meter`] that was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Requests sent.
    pub offered: u64,
    /// Answered with 202.
    pub accepted: u64,
    /// Ends heard of.
    pub completed: u64,
    /// Not accepted.
    pub errors: u64,
    /// Begun late.
    pub late: u64,
    /// Arrivals that had to wait for the limit on requests at once.
    pub held_back: u64,
    /// Errors by code.
    pub by_code: BTreeMap<String, u64>,
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
            by_code,
            lateness,
            accept,
            accept_intended,
            e2e,
            e2e_intended,
            queue_wait,
            work,
            status,
        } = other;
        self.offered += offered;
        self.accepted += accepted;
        self.completed += completed;
        self.errors += errors;
        self.late += late;
        self.held_back += held_back;
        for (code, count) in by_code {
            *self.by_code.entry(code.clone()).or_insert(0) += count;
        }
        self.lateness.add(lateness);
        self.accept.add(accept);
        self.accept_intended.add(accept_intended);
        self.e2e.add(e2e);
        self.e2e_intended.add(e2e_intended);
        self.queue_wait.add(queue_wait);
        self.work.add(work);
        self.status.add(status);
    }
}
