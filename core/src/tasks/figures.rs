//! Figures about the queue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Kind;
use crate::ids::WorkerId;
use crate::time::Instant;

/// Depth, age and totals, as `GET /stats` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// What waits, runs and failed.
    pub queue: QueueStats,
    /// Tasks ever accepted in this ledger (clean-up does not lower it).
    pub accepted_total: u64,
    /// Tasks that ever became final.
    pub settled_total: u64,
    /// The same for each kind that the ledger has heard of.
    #[serde(default)]
    pub by_kind: BTreeMap<Kind, KindStats>,
    /// Who works.
    pub workers: Vec<WorkerStats>,
}

/// See [`Stats`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueStats {
    /// Waiting and due.
    pub ready: u64,
    /// Under a lease.
    pub running: u64,
    /// Waiting for a later attempt.
    pub retrying: u64,
    /// Accepted for a time that is still to come.
    #[serde(default)]
    pub scheduled: u64,
    /// Dead letters that were not discarded.
    pub dead: u64,
    /// Age of the oldest task that is due and that nobody works on.
    pub oldest_age_ms: u64,
    /// Whether claiming is stopped.
    pub paused: bool,
}

/// See [`Stats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KindStats {
    /// Tasks that are due or running.
    pub backlog: u64,
    /// Age of the oldest task that is due and that nobody works on.
    pub oldest_age_ms: u64,
    /// Dead letters that were not discarded.
    pub dead: u64,
}

/// See [`Stats`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerStats {
    /// The worker's id.
    pub id: WorkerId,
    /// Where it runs.
    pub host: String,
    /// Tasks it holds leases on.
    pub inflight: u64,
    /// When it last claimed or extended.
    pub last_seen: Instant,
}

/// What an autoscaler reads: `GET /scaling`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Scaling {
    /// Tasks that are due or running.
    pub backlog: u64,
    /// Age of the oldest task that is due and that nobody works on.
    pub oldest_age_ms: u64,
    /// The same for each kind.
    pub by_kind: BTreeMap<Kind, KindStats>,
    /// Requests that the server which answers has under way, as a mean over some five seconds. Of servers behind one address
    /// any speaks for all, as long as they share the load.
    #[serde(default)]
    pub requests_in_flight: f64,
}

impl Scaling {
    /// Of some kinds alone; of all, if none is named.
    #[must_use]
    pub fn of(mut self, kinds: &[Kind]) -> Self {
        if kinds.is_empty() {
            return self;
        }
        self.by_kind.retain(|kind, _| kinds.contains(kind));
        self.backlog = self.by_kind.values().map(|of| of.backlog).sum();
        self.oldest_age_ms = self.by_kind.values().map(|of| of.oldest_age_ms).max().unwrap_or(0);
        self
    }
}

impl From<Stats> for Scaling {
    fn from(Stats { queue, by_kind, .. }: Stats) -> Self {
        Self {
            backlog: queue.ready + queue.running,
            oldest_age_ms: queue.oldest_age_ms,
            by_kind,
            requests_in_flight: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_of_some_kinds_is_theirs_alone() {
        let [add, purchase, gone] = ["add", "purchase", "gone"].map(Kind::new);
        let of = |backlog, oldest_age_ms| KindStats { backlog, oldest_age_ms, dead: 0 };
        let by_kind = [(add, of(3, 900)), (purchase, of(5, 20))].into();
        let all = Scaling { backlog: 8, oldest_age_ms: 900, by_kind, requests_in_flight: 0.0 };
        let signal = |kinds: &[Kind]| {
            let of = all.clone().of(kinds);
            (of.backlog, of.oldest_age_ms, of.by_kind.len())
        };
        assert_eq!(signal(&[]), (8, 900, 2));
        assert_eq!(signal(&[purchase]), (5, 20, 1));
        assert_eq!(signal(&[add, purchase]), (8, 900, 2));
        assert_eq!(signal(&[gone]), (0, 0, 0));
    }
}
