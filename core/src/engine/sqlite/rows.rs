//! How tasks, statuses and kinds are written in rows, and read back.

use rusqlite::types::Type;
use rusqlite::{Error, Row};
use serde_json::value::RawValue;
use uuid::Uuid;

pub(super) use crate::engine::identity::Identity;
use crate::engine::kinds::{Kinds, KnownKind};
use crate::engine::rows::priority_of;
pub(super) use crate::engine::rows::{State, StatusCode};
use crate::ids::{RunId, TaskId, UserId};
use crate::tasks::Task;
use crate::time::Instant;

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
    /// Reads [`identity_columns`], the first columns of a row.
    pub(super) fn read(row: &Row<'_>, kinds: &Kinds) -> Result<Self, Error> {
        Ok(Self {
            seq: row.get(0)?,
            id: TaskId::from_uuid(uuid(row, 1)?),
            kind: kind_of(row.get(2)?, kinds)?,
            owner: optional_uuid(row, 3)?.map(UserId::from_uuid),
            run: run(row, 4)?,
            accepted_at: Instant::from_micros(row.get(5)?),
            priority: priority_of(row.get(6)?),
            due_at: row.get::<_, Option<i64>>(7)?.map(Instant::from_micros),
        })
    }
}

/// The columns that [`Identity::read`] reads, with what names the table before each.
macro_rules! identity_columns {
    ($table:literal) => {
        concat!(
            $table,
            "seq, ",
            $table,
            "id, ",
            $table,
            "kind, ",
            $table,
            "owner, ",
            $table,
            "run, ",
            $table,
            "accepted_at, ",
            $table,
            "priority, ",
            $table,
            "not_before"
        )
    };
}
pub(super) use identity_columns;

/// The columns that [`read_task`] reads, from `tasks t` and its latest (or any of its) events `e`.
macro_rules! task_columns {
    () => {
        concat!(identity_columns!("t."), ", e.at, e.started_at, e.result, e.error_code, e.error_message, ")
    };
}
pub(super) use task_columns;

/// Reads [`task_columns`] followed by `status, attempts, discard_reason`.
pub(super) fn read_task(row: &Row<'_>, kinds: &Kinds) -> Result<(i64, StatusCode, Task), Error> {
    let identity = Identity::read(row, kinds)?;
    let mut error_message: Option<String> = row.get(12)?;
    let status = StatusCode(row.get(13)?);
    if let Some(reason) = row.get::<_, Option<String>>(15)? {
        error_message = Some(format!("{} (discarded: {reason})", error_message.unwrap_or_default()));
    }
    let task = identity.task(State {
        status,
        attempts: row.get(14)?,
        at: row.get(8)?,
        started_at: row.get(9)?,
        result: json(row, 10)?,
        error_code: row.get(11)?,
        error_message,
    });
    Ok((identity.seq, status, task))
}
