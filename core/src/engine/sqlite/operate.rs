//! What operators do: look at the depth, retry and discard dead letters.

use rusqlite::{OptionalExtension, params};

use super::SqliteEngine;
use super::books::Books;
use super::delivery::Figures;
use super::rows::{Identity, StatusCode, uuid};
use super::writer::Ledger;
use crate::engine::hub::Change;
use crate::engine::{EngineError, Retried};
use crate::ids::TaskId;
use crate::tasks::{QueueStats, Stats};

pub(super) fn stats(books: &Books, oldest_age_ms: u64, figures: Figures) -> Stats {
    let (running, retrying) = (figures.running, figures.later);
    Stats {
        queue: QueueStats {
            ready: books.open().saturating_sub(running + retrying),
            running,
            retrying,
            dead: books.count(StatusCode::DEAD),
            oldest_age_ms,
            paused: books.paused,
        },
        accepted_total: u64::try_from(books.accepted).unwrap_or(0),
        settled_total: u64::try_from(books.settled).unwrap_or(0),
        workers: figures.workers,
    }
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
        .prepare_cached("SELECT seq, id, kind, owner, run, accepted_at, status, exclusive FROM tasks WHERE id = ?1")?
        .query_row([id.uuid().as_bytes()], |row| {
            Ok((Identity::read(row, ledger.kinds)?, StatusCode(row.get(6)?), row.get::<_, Option<String>>(7)?))
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
