//! Tasks: what was accepted, what becomes of it, and the shapes in which the wire shows them.

mod effects;
mod figures;
mod kind;
mod names;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

pub use self::effects::{Effect, History, HistoryPage, HistorySummary, StoredEffect};
pub use self::figures::{KindStats, QueueStats, Scaling, Stats, WorkerStats};
pub use self::kind::{Kind, NoKind};
pub use self::names::{Priority, Status, UnknownName};
use crate::ids::{RunId, TaskId, UserId};
use crate::time::Instant;

/// Why an attempt failed. `code` is what programs group by; `message` is for people and is masked (P7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskError {
    /// Kebab-case, stable, such as `issuer-unavailable`.
    pub code: String,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// A task as the wire shows it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What it does.
    pub kind: Kind,
    /// Who asked for it; none for what the platform asks of itself (the check of `up`).
    pub owner: Option<UserId>,
    /// The run it was tagged with.
    pub run: Option<RunId>,
    /// Where it stands.
    pub status: Status,
    /// Attempts begun. A running one counts as long as its lease stands, and for good once its end is reported.
    pub attempts: u32,
    /// How much of the workers it gets.
    #[serde(default)]
    pub priority: Priority,
    /// When it was durable.
    pub accepted_at: Instant,
    /// Not to be begun before, as it was asked for.
    #[serde(default)]
    pub due_at: Option<Instant>,
    /// When the latest attempt began.
    pub started_at: Option<Instant>,
    /// When it became final.
    pub settled_at: Option<Instant>,
    /// What it made: a card, a sum.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Box<RawValue>>,
    /// Why it was declined, is retrying, died or was cancelled.
    pub error: Option<TaskError>,
}

/// One attempt at a task that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Option<Instant>,
    /// When it ended.
    pub ended_at: Instant,
    /// What followed from it.
    pub status: Status,
    /// Why it failed.
    pub error: Option<TaskError>,
}

/// How far ahead a task may be due: a year, leap years included.
pub const MOST_AHEAD: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What is asked to be accepted.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Its id, made by the caller so that a lost answer can be looked up.
    pub id: TaskId,
    /// What it does.
    pub kind: Kind,
    /// Who asks.
    pub owner: Option<UserId>,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The kind's payload as JSON.
    pub payload: Box<RawValue>,
    /// While a task with this key is not final, no other with the same key is accepted (P3).
    pub exclusive: Option<String>,
    /// Makes a repeated accept safe (P4).
    pub idempotency: Option<Idempotency>,
    /// How much of the workers it gets.
    pub priority: Priority,
    /// Not to be begun before, by the ledger's clock. What is past is due at once.
    pub due_at: Option<Instant>,
}

/// A caller's `Idempotency-Key` and what it was sent with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key; unique per owner.
    pub key: String,
    /// A hash over method, route and body: the same key with another of these is a mistake of the caller.
    pub fingerprint: [u8; 32],
}

/// What a step that ended well, or was refused for good, leaves behind.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It worked.
    Succeeded {
        /// What the task's `result` will be.
        result: Box<RawValue>,
        /// What is applied in the same transaction.
        effect: Option<Effect>,
    },
    /// The outside world said no.
    Declined { error: TaskError },
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum End {
    /// It worked, or the outside world said no for good: the task is final, whether the lease still stands or not. Work
    /// that was done counts; the first settle wins.
    Settle(Outcome),
    /// The task is due again.
    RetryAt {
        /// When, by the ledger's clock.
        due: Instant,
        error: TaskError,
        /// False for an attempt that was not made (the breaker was open, the process stops): it does not count and leaves
        /// no event.
        counts: bool,
    },
    /// It was the last attempt: the task is dead.
    GiveUp(TaskError),
}

impl End {
    /// Why it was no success.
    #[must_use]
    pub const fn error(&self) -> Option<&TaskError> {
        match self {
            Self::Settle(Outcome::Succeeded { .. }) => None,
            Self::Settle(Outcome::Declined { error }) | Self::RetryAt { error, .. } | Self::GiveUp(error) => {
                Some(error)
            }
        }
    }
}

/// Which tasks a list or a dead-letter operation means. Empty means all.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// In this status.
    pub status: Option<Status>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Of this owner.
    pub owner: Option<UserId>,
    /// Whose error (`code: message`) matches.
    pub error: Option<regex::Regex>,
    /// Became final at or after this point.
    pub since: Option<Instant>,
}

/// One page of tasks, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TaskPage {
    /// The tasks.
    pub items: Vec<Task>,
    /// Pass it as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}
