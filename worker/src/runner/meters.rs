//! The worker's metrics, their labels looked up once.

use std::collections::BTreeMap;
use std::time::Duration;

use card_core::engine::Settled;
use card_core::tasks::{End, Kind, Outcome};
use card_core::telemetry::metrics::{TASK_ATTEMPTS, TASK_END_TO_END, TASK_RUN, TASK_WAIT, TASKS_SETTLED};
use metrics::{Counter, Histogram, counter, histogram};

use super::attempt::Attempt;

/// See the module.
#[derive(Debug)]
pub(super) struct Meters {
    kinds: BTreeMap<Kind, KindMeters>,
}

#[derive(Debug)]
struct KindMeters {
    wait: Histogram,
    run: Histogram,
    end_to_end: Histogram,
    succeeded: Ended,
    declined: Ended,
    dead: Ended,
    retrying: Counter,
    lost: Counter,
}

/// An attempt that ended the task, and the task.
#[derive(Debug)]
struct Ended {
    attempts: Counter,
    tasks: Counter,
}

impl Meters {
    pub(super) fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self { kinds: kinds.into_iter().map(|kind| (kind, KindMeters::new(kind))).collect() }
    }

    /// An attempt begins.
    pub(super) fn began(&self, attempt: &Attempt) {
        if let Some(meters) = self.kinds.get(&attempt.kind) {
            meters.wait.record(attempt.waited());
        }
    }

    /// An attempt was cut off because the task is no longer this worker's: another has it, or it was cancelled.
    pub(super) fn lost(&self, attempt: &Attempt) {
        tracing::debug!(task = %attempt.lease.task, attempt = attempt.number, "the lease is lost: another worker has the task, or it was cancelled");
        if let Some(meters) = self.kinds.get(&attempt.kind) {
            meters.lost.increment(1);
        }
    }

    /// The engine has taken in how an attempt ended. What does not count as an attempt is not counted here either.
    pub(super) fn ended(&self, attempt: &Attempt, run: Duration, end: &EndKind, settled: Settled) {
        let Some(meters) = self.kinds.get(&attempt.kind) else { return };
        let ended = match end {
            EndKind::Deferred => return,
            EndKind::Retrying => None,
            EndKind::Succeeded => Some(&meters.succeeded),
            EndKind::Declined => Some(&meters.declined),
            EndKind::Dead => Some(&meters.dead),
        };
        meters.run.record(run);
        match (settled, ended) {
            (Settled::LostLease, _) => meters.lost.increment(1),
            (_, None) => meters.retrying.increment(1),
            (settled, Some(ended)) => {
                ended.attempts.increment(1);
                if settled == Settled::Applied {
                    ended.tasks.increment(1);
                    meters.end_to_end.record(attempt.waited() + attempt.elapsed());
                }
            }
        }
    }
}

/// An [`End`] without what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndKind {
    Succeeded,
    Declined,
    Dead,
    Retrying,
    Deferred,
}

impl From<&End> for EndKind {
    fn from(end: &End) -> Self {
        match end {
            End::Settle(Outcome::Succeeded { .. }) => Self::Succeeded,
            End::Settle(Outcome::Declined { .. }) => Self::Declined,
            End::RetryAt { counts: true, .. } => Self::Retrying,
            End::RetryAt { counts: false, .. } => Self::Deferred,
            End::GiveUp(_) => Self::Dead,
        }
    }
}

impl KindMeters {
    fn new(kind: Kind) -> Self {
        let kind = || kind.to_string();
        let attempts = |outcome: &'static str| counter!(TASK_ATTEMPTS, "kind" => kind(), "outcome" => outcome);
        let ended = |status: &'static str| Ended {
            attempts: attempts(status),
            tasks: counter!(TASKS_SETTLED, "kind" => kind(), "status" => status),
        };
        Self {
            wait: histogram!(TASK_WAIT, "kind" => kind()),
            run: histogram!(TASK_RUN, "kind" => kind()),
            end_to_end: histogram!(TASK_END_TO_END, "kind" => kind()),
            succeeded: ended("succeeded"),
            declined: ended("declined"),
            dead: ended("dead"),
            retrying: attempts("retrying"),
            lost: attempts("lost-lease"),
        }
    }
}
