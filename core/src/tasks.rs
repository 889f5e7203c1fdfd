//! Tasks: what was accepted, what becomes of it, and the shapes in which the wire shows them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::cards::Network;
use crate::ids::{RunId, TaskId, UserId};
use crate::time::Instant;

/// What a task does. Adding a kind: a variant here, a file in `worker/src/kinds/`, a line in its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Replaces a user's card: asks the issuer for a new one.
    Replacement,
    /// Adds two numbers: shows that the way from accept to settle works, with no outside help.
    Add,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Replacement, Self::Add];

    /// The name on the wire, in logs and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replacement => "replacement",
            Self::Add => "add",
        }
    }
}

/// Where a task stands.
///
/// ```text
/// queued → running → succeeded | declined        (final)
///             │ ▲
///             ▼ │
///          retrying → … → dead                   (final until an operator retries it)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Accepted, waiting for a worker.
    Queued,
    /// A worker holds a lease on it.
    Running,
    /// An attempt failed; another is due later.
    Retrying,
    /// Done; its effect is applied.
    Succeeded,
    /// The outside world said no; trying again can't help.
    Declined,
    /// Given up: a dead letter.
    Dead,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Retrying, Self::Succeeded, Self::Declined, Self::Dead];

    /// Whether nothing more happens by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Declined | Self::Dead)
    }

    /// The name on the wire, in logs and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::Dead => "dead",
        }
    }
}

/// Text that names nothing of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none of {allowed}")]
pub struct UnknownName {
    /// What was given.
    pub given: String,
    /// What would have been right, separated by commas.
    pub allowed: String,
}

macro_rules! named {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownName {
                    given: text.to_owned(),
                    allowed: Self::ALL.map(Self::as_str).join(", "),
                })
            }
        }
    };
}

named!(Kind);
named!(Status);
named!(Reason);

/// Why a card has to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The holder can't find it.
    Lost,
    /// Somebody else has it.
    Stolen,
    /// It does not work any more.
    Damaged,
    /// Its date has passed.
    Expired,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Lost, Self::Stolen, Self::Damaged, Self::Expired];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Stolen => "stolen",
            Self::Damaged => "damaged",
            Self::Expired => "expired",
        }
    }
}

/// Payload of a [`Kind::Replacement`] task, and the body of `POST /replacements`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// Why.
    pub reason: Reason,
}

/// Payload of a [`Kind::Add`] task. The sum of any two fits: see [`Sum`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// One number.
    pub x: i64,
    /// The other.
    pub y: i64,
}

/// Result of a [`Kind::Add`] task that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sum {
    /// `x + y`.
    pub sum: i64,
}

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
    /// Attempts begun, as far as the ledger knows: a running one counts once it has ended.
    pub attempts: u32,
    /// When it was durable.
    pub accepted_at: Instant,
    /// When the latest attempt began.
    pub started_at: Option<Instant>,
    /// When it became final.
    pub settled_at: Option<Instant>,
    /// What it made: a card, a sum.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Box<RawValue>>,
    /// Why it was declined, is retrying or died.
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
    Declined {
        /// Why.
        error: TaskError,
    },
}

/// What a settled task changes besides itself. Typed, so that the ledger can apply it in its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A new active card for the task's owner; the one it replaces is blocked.
    Card {
        /// The issuer's name for it.
        card_ref: String,
        /// The last four digits, the only ones this platform ever sees.
        last4: String,
        /// The card network.
        network: Network,
    },
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

/// Depth, age and totals, as `GET /stats` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// What waits, runs and failed.
    pub queue: QueueStats,
    /// Tasks ever accepted in this ledger (clean-up does not lower it).
    pub accepted_total: u64,
    /// Tasks that ever became final.
    pub settled_total: u64,
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
    /// Dead letters that were not discarded.
    pub dead: u64,
    /// Age of the oldest task that is due and that nobody works on.
    pub oldest_age_ms: u64,
    /// Whether claiming is stopped.
    pub paused: bool,
}

/// See [`Stats`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerStats {
    /// The worker's id.
    pub id: crate::ids::WorkerId,
    /// Where it runs.
    pub host: String,
    /// Tasks it holds leases on.
    pub inflight: u64,
    /// When it last claimed or extended.
    pub last_seen: Instant,
}

/// What an autoscaler reads: `GET /scaling`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Scaling {
    /// Tasks that are due or running.
    pub backlog: u64,
    /// Age of the oldest task that is due and that nobody works on.
    pub oldest_age_ms: u64,
    /// Backlog by kind.
    pub by_kind: std::collections::BTreeMap<Kind, u64>,
}

/// How long a worker may keep a task before others may take it, unless it extends.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_wire_says() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }

    #[test]
    fn an_unknown_name_says_what_would_be_right() {
        let error = "lsot".parse::<Reason>().unwrap_err();
        assert_eq!(error.to_string(), r#""lsot" is none of lost, stolen, damaged, expired"#);
    }
}
