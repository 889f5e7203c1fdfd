//! How the figures of both engines are put together.

use crate::tasks::{Kind, KindStats, QueueStats, Stats, WorkerStats};
use crate::time::Instant;

/// What there is of a kind.
#[derive(Debug, Default)]
pub(super) struct OfKind {
    pub(super) open: u64,
    /// Of those: put off after an attempt ...
    pub(super) retrying: u64,
    /// ... and not due yet.
    pub(super) scheduled: u64,
    pub(super) dead: u64,
    /// Since when the oldest that is due waits for a worker.
    pub(super) oldest: Option<Instant>,
}

/// What there is in all.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) accepted: u64,
    pub(super) settled: u64,
    /// Those of kinds that nobody has a name for included.
    pub(super) open: u64,
    pub(super) dead: u64,
    pub(super) running: u64,
    pub(super) paused: bool,
    pub(super) workers: Vec<WorkerStats>,
}

/// What `GET /stats` answers.
pub(super) fn stats(totals: Totals, kinds: Vec<(Kind, OfKind)>, now: Instant) -> Stats {
    let age = |oldest: Instant| u64::try_from(now.since(oldest).as_millis()).unwrap_or(u64::MAX);
    let sum = |of: fn(&OfKind) -> u64| kinds.iter().map(|(_, kind)| of(kind)).sum::<u64>();
    let (retrying, scheduled) = (sum(|kind| kind.retrying), sum(|kind| kind.scheduled));
    let running = totals.running.min(totals.open);
    let queue = QueueStats {
        ready: totals.open.saturating_sub(running + retrying + scheduled),
        running,
        retrying,
        scheduled,
        dead: totals.dead,
        oldest_age_ms: kinds.iter().filter_map(|(_, kind)| kind.oldest).min().map_or(0, age),
        paused: totals.paused,
    };
    let by_kind = kinds.iter().map(|(kind, of)| {
        let stats = KindStats {
            backlog: of.open.saturating_sub(of.retrying + of.scheduled),
            oldest_age_ms: of.oldest.map_or(0, age),
            dead: of.dead,
        };
        (*kind, stats)
    });
    Stats {
        queue,
        accepted_total: totals.accepted,
        settled_total: totals.settled,
        by_kind: by_kind.collect(),
        workers: totals.workers,
    }
}
