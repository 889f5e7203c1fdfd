//! How tasks are written in rows and read back.

use serde_json::value::RawValue;
use uuid::Uuid;

pub(super) use crate::engine::identity::Identity;
use crate::engine::kinds::{Kinds, KnownKind};
use crate::engine::rows::priority_of;
pub(super) use crate::engine::rows::{State, StatusCode};
use crate::engine::{EngineError, ErrorKind};
use crate::ids::{RunId, TaskId, UserId};
use crate::tasks::{Priority, Status, Task};
use crate::time::Instant;

/// Tasks of one owner share a shard, so that a user's keys lie together. A power of two, and never changed: keys that
/// were written under another number would not be found.
pub(super) const SHARDS: usize = 8;

/// The shard of an owner's tasks. Ids are random at their end.
pub(super) fn shard_of(owner: Option<UserId>) -> usize {
    owner.map_or(0, |owner| usize::from(owner.uuid().as_bytes()[15]) % SHARDS)
}

pub(super) fn status_of(code: i16) -> Status {
    StatusCode(code.into()).status()
}

/// A priority as a row has it: none is the normal one.
pub(super) fn priority_of_row(code: Option<i16>) -> Priority {
    code.map_or(Priority::Normal, |code| priority_of(code.into()))
}

/// [`super::kinds::learn`] comes first: others may have brought the kind since.
pub(super) fn kind_of(code: i16, kinds: &Kinds) -> Result<KnownKind, EngineError> {
    kinds.of(code.into()).ok_or_else(|| unreadable("kind"))
}

pub(super) fn run_of(text: Option<String>) -> Result<Option<RunId>, EngineError> {
    text.map(|text| RunId::kept(&text).map_err(|_| unreadable("run"))).transpose()
}

pub(super) fn json_of(text: Option<String>) -> Result<Option<Box<RawValue>>, EngineError> {
    text.map(|text| RawValue::from_string(text).map_err(|_| unreadable("JSON"))).transpose()
}

pub(super) fn unreadable(what: &str) -> EngineError {
    EngineError::new(ErrorKind::Broken, format!("a row of the ledger has an unreadable {what}"))
}

/// Places and totals are never negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A row of `events`, with what `task_options` has of the task.
#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) task: Uuid,
    pub(super) kind: i16,
    pub(super) owner: Option<Uuid>,
    pub(super) run: Option<String>,
    pub(super) accepted_at: i64,
    pub(super) accepted_seq: i64,
    pub(super) status: i16,
    pub(super) attempts: i32,
    pub(super) started_at: Option<i64>,
    pub(super) result: Option<String>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
    /// As it was asked for.
    pub(super) not_before: Option<i64>,
    pub(super) priority: Option<i16>,
}

impl EventRow {
    pub(super) fn identity(&self, kinds: &Kinds) -> Result<Identity, EngineError> {
        Ok(Identity {
            seq: self.accepted_seq,
            id: TaskId::from_uuid(self.task),
            kind: kind_of(self.kind, kinds)?,
            owner: self.owner.map(UserId::from_uuid),
            run: run_of(self.run.clone())?,
            accepted_at: Instant::from_micros(self.accepted_at),
            priority: priority_of_row(self.priority),
            due_at: self.not_before.map(Instant::from_micros),
        })
    }

    /// The task as it was right after this event.
    pub(super) fn task(self, kinds: &Kinds) -> Result<Task, EngineError> {
        let identity = self.identity(kinds)?;
        Ok(identity.task(State {
            status: StatusCode(self.status.into()),
            attempts: u32::try_from(self.attempts).unwrap_or(0),
            at: Some(self.at),
            started_at: self.started_at,
            result: json_of(self.result)?,
            error_code: self.error_code,
            error_message: self.error_message,
        }))
    }
}
