//! What operators do: look at the depth, retry and discard dead letters.

use rusqlite::{OptionalExtension, params};

use super::SqliteEngine;
use super::books::Books;
use super::delivery::{Figures, Later};
use super::rows::{Identity, StatusCode, identity_columns, uuid};
use super::shared::Shared;
use super::writer::Ledger;
use crate::engine::figures::{self, OfKind, Totals};
use crate::engine::hub::Change;
use crate::engine::{CANCELLED, Cancelled, EngineError, KnownKind, Retried, Tasks};
use crate::ids::TaskId;
use crate::tasks::Stats;
use crate::time::Instant;

pub(super) fn stats(books: &Books, figures: Figures, kinds: &[KnownKind]) -> Stats {
    let unsigned = |count: i64| u64::try_from(count).unwrap_or(0);
    let of = |known: &KnownKind| {
        let later = |why| figures.later.get(&(known.kind, why)).copied().unwrap_or(0);
        let of = OfKind {
            open: books.open_of(known.code),
            retrying: later(Later::Retry),
            scheduled: later(Later::Scheduled),
            dead: books.count_of(known.code, StatusCode::DEAD),
            oldest: figures.oldest.get(&known.kind).copied(),
        };
        (known.kind, of)
    };
    let kinds = kinds.iter().map(of).collect();
    let totals = Totals {
        accepted: unsigned(books.accepted),
        settled: unsigned(books.settled),
        open: books.open(),
        dead: books.count(StatusCode::DEAD),
        running: figures.running,
        paused: books.paused,
        workers: figures.workers,
    };
    figures::stats(totals, kinds, Instant::now())
}

enum Requeued {
    Queued(Identity),
    Refused(Retried),
}

pub(super) async fn retry_dead(engine: &SqliteEngine, id: TaskId) -> Result<Retried, EngineError> {
    match engine.writer.call(move |ledger| requeue(ledger, id)).await? {
        Requeued::Refused(why) => Ok(why),
        Requeued::Queued(identity) => {
            let change = Change { task: id, run: identity.run.clone(), owner: identity.owner };
            engine.shared.hub.announce(&change);
            engine.shared.delivery.suspect();
            Ok(Retried::Queued(identity.queued()))
        }
    }
}

fn requeue(ledger: &mut Ledger<'_>, id: TaskId) -> rusqlite::Result<Requeued> {
    let connection = ledger.connection;
    let found = connection
        .prepare_cached(concat!("SELECT ", identity_columns!(""), ", status, exclusive FROM tasks WHERE id = ?1"))?
        .query_row([id.uuid().as_bytes()], |row| {
            Ok((Identity::read(row, ledger.kinds)?, StatusCode(row.get(8)?), row.get::<_, Option<String>>(9)?))
        })
        .optional()?;
    let Some((task, status, exclusive)) = found else { return Ok(Requeued::Refused(Retried::NotFound)) };
    if status != StatusCode::DEAD {
        return Ok(Requeued::Refused(Retried::NotDead));
    }
    if let Some(key) = exclusive {
        let open = connection
            .prepare_cached("SELECT id FROM tasks WHERE exclusive = ?1 AND exclusive IS NOT NULL AND status < 4")?
            .query_row([key], |row| uuid(row, 0).map(TaskId::from_uuid))
            .optional()?;
        if let Some(open) = open {
            return Ok(Requeued::Refused(Retried::Exclusive { open }));
        }
    }
    let seq = ledger.books.take_seq();
    connection
        .prepare_cached("UPDATE tasks SET status = 2, attempts = 0, due_at = ?2, last_seq = ?3 WHERE seq = ?1")?
        .execute(params![task.seq, ledger.now.micros(), seq])?;
    connection
        .prepare_cached("INSERT INTO events (seq, task, run, status, attempts, at) VALUES (?1, ?2, ?3, 2, 0, ?4)")?
        .execute(params![seq, task.seq, task.run.as_ref().map(|run| run.as_str()), ledger.now.micros()])?;
    ledger.books.add(task.kind.code, StatusCode::DEAD, -1);
    ledger.books.add(task.kind.code, StatusCode::QUEUED, 1);
    ledger.books.settled -= 1;
    Ok(Requeued::Queued(task))
}

pub(super) async fn cancel(engine: &SqliteEngine, id: TaskId, reason: String) -> Result<Cancelled, EngineError> {
    let then = |cancelled: &Option<(Identity, bool)>, shared: &Shared| {
        if let Some((task, true)) = cancelled {
            // Whoever works on it is told so at the next renewal.
            shared.delivery.release(task.seq);
            shared.hub.announce(&Change { task: task.id, run: task.run.clone(), owner: task.owner });
        }
    };
    let cancelled = engine.writer.call_then(move |ledger| call_off(ledger, id, &reason), then).await?;
    let Some((_, done)) = cancelled else { return Ok(Cancelled::NotFound) };
    Ok(match engine.get(id).await? {
        Some(task) if done => Cancelled::Done(task),
        Some(task) => Cancelled::Final(task),
        None => Cancelled::NotFound,
    })
}

/// The task, and whether it was open.
fn call_off(ledger: &mut Ledger<'_>, id: TaskId, reason: &str) -> rusqlite::Result<Option<(Identity, bool)>> {
    let connection = ledger.connection;
    let found = connection
        .prepare_cached(concat!(
            "SELECT ",
            identity_columns!(""),
            ", status, attempts, last_seq FROM tasks WHERE id = ?1"
        ))?
        .query_row([id.uuid().as_bytes()], |row| {
            Ok((
                Identity::read(row, ledger.kinds)?,
                StatusCode(row.get(8)?),
                row.get::<_, u32>(9)?,
                row.get::<_, i64>(10)?,
            ))
        })
        .optional()?;
    let Some((task, status, attempts, last)) = found else { return Ok(None) };
    if !status.is_open() {
        return Ok(Some((task, false)));
    }
    let seq = ledger.books.take_seq();
    connection.prepare_cached("UPDATE tasks SET status = ?2, last_seq = ?3 WHERE seq = ?1")?.execute(params![
        task.seq,
        StatusCode::CANCELLED.0,
        seq
    ])?;
    connection
        .prepare_cached(
            "INSERT INTO events (seq, task, run, status, attempts, at, started_at, error_code, error_message)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT started_at FROM events WHERE seq = ?7), ?8, ?9)",
        )?
        .execute(params![
            seq,
            task.seq,
            task.run.as_ref().map(|run| run.as_str()),
            StatusCode::CANCELLED.0,
            attempts,
            ledger.now.micros(),
            last,
            CANCELLED,
            reason
        ])?;
    ledger.books.add(task.kind.code, status, -1);
    ledger.books.add(task.kind.code, StatusCode::CANCELLED, 1);
    ledger.books.settled += 1;
    Ok(Some((task, true)))
}

pub(super) fn discard(ledger: &mut Ledger<'_>, id: TaskId, reason: &str) -> rusqlite::Result<bool> {
    let kind: Option<u8> = ledger
        .connection
        .prepare_cached("UPDATE tasks SET status = 7, discard_reason = ?2 WHERE id = ?1 AND status = 6 RETURNING kind")?
        .query_row(params![id.uuid().as_bytes(), reason], |row| row.get(0))
        .optional()?;
    let Some(kind) = kind else { return Ok(false) };
    ledger.books.add(kind, StatusCode::DEAD, -1);
    ledger.books.add(kind, StatusCode::DISCARDED, 1);
    Ok(true)
}
