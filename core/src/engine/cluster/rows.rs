//! How tasks are written in rows and read back.

use serde_json::value::RawValue;
use uuid::Uuid;

pub(super) use crate::engine::identity::Identity;
use crate::engine::kinds::{Kinds, KnownKind};
use crate::engine::{EngineError, ErrorKind};
use crate::ids::{RunId, TaskId, UserId};
use crate::tasks::{Status, Task, TaskError};
use crate::time::Instant;

/// Tasks of one owner share a shard, so that a user's keys lie together. A power of two, and never changed: keys that
/// were written under another number would not be found.
pub(super) const SHARDS: usize = 8;

/// The shard of an owner's tasks. Ids are random at their end.
pub(super) fn shard_of(owner: Option<UserId>) -> usize {
    owner.map_or(0, |owner| usize::from(owner.uuid().as_bytes()[15]) % SHARDS)
}

/// Status as a row has it; see `migrations/0001_ledger.sql`.
pub(super) mod status {
    pub(in super::super) const QUEUED: i16 = 2;
    pub(in super::super) const RETRYING: i16 = 3;
    pub(in super::super) const SUCCEEDED: i16 = 4;
    pub(in super::super) const DECLINED: i16 = 5;
    pub(in super::super) const DEAD: i16 = 6;
}

pub(super) fn status_of(code: i16) -> Status {
    match code {
        status::QUEUED => Status::Queued,
        status::RETRYING => Status::Retrying,
        status::SUCCEEDED => Status::Succeeded,
        status::DECLINED => Status::Declined,
        _ => Status::Dead,
    }
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

/// A row of `events`.
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
        })
    }

    /// The task as it was right after this event.
    pub(super) fn task(self, kinds: &Kinds) -> Result<Task, EngineError> {
        let identity = self.identity(kinds)?;
        let status = status_of(self.status);
        Ok(Task {
            status,
            attempts: u32::try_from(self.attempts).unwrap_or(0),
            started_at: self.started_at.map(Instant::from_micros),
            settled_at: status.is_final().then(|| Instant::from_micros(self.at)),
            result: json_of(self.result)?,
            error: self.error_code.map(|code| TaskError { code, message: self.error_message.unwrap_or_default() }),
            ..identity.queued()
        })
    }
}
