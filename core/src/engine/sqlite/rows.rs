//! How tasks, statuses and kinds are written in rows, and read back.

use rusqlite::types::Type;
use rusqlite::{Error, Row};
use serde_json::value::RawValue;
use uuid::Uuid;

pub(super) use crate::engine::identity::Identity;
use crate::engine::kinds::{Kinds, KnownKind};
use crate::ids::{RunId, TaskId, UserId};
use crate::tasks::{Status, Task, TaskError};
use crate::time::Instant;

/// Status as a row has it; see `schema.sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StatusCode(pub(super) i64);

impl StatusCode {
    pub(super) const QUEUED: Self = Self(2);
    pub(super) const RETRYING: Self = Self(3);
    pub(super) const SUCCEEDED: Self = Self(4);
    pub(super) const DECLINED: Self = Self(5);
    pub(super) const DEAD: Self = Self(6);
    pub(super) const DISCARDED: Self = Self(7);

    /// One more than the largest code.
    pub(super) const COUNT: usize = 8;

    pub(super) const fn is_open(self) -> bool {
        self.0 < Self::SUCCEEDED.0
    }

    pub(super) fn status(self) -> Status {
        match self {
            Self::QUEUED => Status::Queued,
            Self::RETRYING => Status::Retrying,
            Self::SUCCEEDED => Status::Succeeded,
            Self::DECLINED => Status::Declined,
            _ => Status::Dead,
        }
    }
}

/// This process alone writes the ledger, and tasks only of kinds that it has told the ledger of.
pub(super) fn kind_of(code: i64, kinds: &Kinds) -> Result<KnownKind, Error> {
    kinds.of(code).ok_or(Error::IntegralValueOutOfRange(2, code))
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> Result<Uuid, Error> {
    let bytes = row.get_ref(column)?.as_blob().map_err(|_| invalid(column, Type::Blob))?;
    Uuid::from_slice(bytes).map_err(|_| invalid(column, Type::Blob))
}

pub(super) fn optional_uuid(row: &Row<'_>, column: usize) -> Result<Option<Uuid>, Error> {
    let bytes = row.get_ref(column)?.as_blob_or_null().map_err(|_| invalid(column, Type::Blob))?;
    bytes.map(|bytes| Uuid::from_slice(bytes).map_err(|_| invalid(column, Type::Blob))).transpose()
}

pub(super) fn run(row: &Row<'_>, column: usize) -> Result<Option<RunId>, Error> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(|_| invalid(column, Type::Text))?;
    text.map(|text| RunId::kept(text).map_err(|_| invalid(column, Type::Text))).transpose()
}

pub(super) fn json(row: &Row<'_>, column: usize) -> Result<Option<Box<RawValue>>, Error> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| RawValue::from_string(text).map_err(|_| invalid(column, Type::Text))).transpose()
}

fn invalid(column: usize, kind: Type) -> Error {
    Error::InvalidColumnType(column, "unreadable".into(), kind)
}

impl Identity {
    /// Reads `seq, id, kind, owner, run, accepted_at` from the first six columns.
    pub(super) fn read(row: &Row<'_>, kinds: &Kinds) -> Result<Self, Error> {
        Ok(Self {
            seq: row.get(0)?,
            id: TaskId::from_uuid(uuid(row, 1)?),
            kind: kind_of(row.get(2)?, kinds)?,
            owner: optional_uuid(row, 3)?.map(UserId::from_uuid),
            run: run(row, 4)?,
            accepted_at: Instant::from_micros(row.get(5)?),
        })
    }
}

/// The columns that [`read_task`] reads, from `tasks t` and its latest (or any of its) events `e`.
macro_rules! task_columns {
    () => {
        "t.seq, t.id, t.kind, t.owner, t.run, t.accepted_at, \
         e.at, e.started_at, e.result, e.error_code, e.error_message, "
    };
}
pub(super) use task_columns;

/// Reads [`task_columns`] followed by `status, attempts, discard_reason`.
pub(super) fn read_task(row: &Row<'_>, kinds: &Kinds) -> Result<(i64, StatusCode, Task), Error> {
    let identity = Identity::read(row, kinds)?;
    let at: Option<i64> = row.get(6)?;
    let started_at: Option<i64> = row.get(7)?;
    let code: Option<String> = row.get(9)?;
    let message: Option<String> = row.get(10)?;
    let status_code = StatusCode(row.get(11)?);
    let discarded: Option<String> = row.get(13)?;
    let status = status_code.status();
    let mut message = message.unwrap_or_default();
    if let Some(reason) = discarded {
        message = format!("{message} (discarded: {reason})");
    }
    let task = Task {
        status,
        attempts: row.get(12)?,
        started_at: started_at.map(Instant::from_micros),
        settled_at: at.filter(|_| status.is_final()).map(Instant::from_micros),
        result: json(row, 8)?,
        error: code.map(|code| TaskError { code, message }),
        ..identity.queued()
    };
    Ok((identity.seq, status_code, task))
}
