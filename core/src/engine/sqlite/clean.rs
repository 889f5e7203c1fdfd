//! Removing a run: its tasks, events, effects and generated users, a batch at a time.
//!
//! What a person did under the run's name stays, also when the person has left: the name is a header that any caller can
//! send, and whose a task is was decided when it was accepted.

use rusqlite::params;

use super::SqliteEngine;
use super::accounts::delete;
use super::rows::{StatusCode, uuid};
use super::writer::Ledger;
use crate::engine::{Cleaned, EngineError};
use crate::ids::{RunId, UserId};
use crate::time::Instant;

/// Tasks or users removed in one transaction: others wait a few milliseconds at most.
const BATCH: i64 = 500;

pub(super) async fn run(engine: &SqliteEngine, run: &RunId) -> Result<Cleaned, EngineError> {
    let mut cleaned = Cleaned::default();
    loop {
        let name = run.clone();
        let rows = engine.writer.call(move |ledger| remove_tasks(ledger, &name)).await?;
        for row in &rows {
            engine.shared.delivery.release(*row);
        }
        cleaned.tasks += rows.len() as u64;
        if (rows.len() as i64) < BATCH {
            break;
        }
    }
    loop {
        let name = run.clone();
        let (users, rows) = engine.writer.call(move |ledger| remove_users(ledger, &name)).await?;
        for row in &rows {
            engine.shared.delivery.release(*row);
        }
        cleaned.tasks += rows.len() as u64;
        engine.shared.revocations.add(users.iter().map(|user| (user.uuid(), Instant::now())));
        cleaned.users += users.len() as u64;
        if (users.len() as i64) < BATCH {
            break;
        }
    }
    Ok(cleaned)
}

/// Takes what an owner's effects of one kind say out of the ledger.
pub(super) async fn forget(engine: &SqliteEngine, owner: UserId, code: u8) -> Result<u64, EngineError> {
    let mut all = 0;
    loop {
        let forgotten = engine
            .writer
            .call(move |ledger| {
                let mut statement = ledger.connection.prepare_cached(
                    "UPDATE effects SET owner = NULL, slot = NULL, data = '{}'
                     WHERE task IN (SELECT task FROM effects WHERE owner = ?1 AND kind = ?2 LIMIT ?3)",
                )?;
                statement.execute(params![owner.uuid().as_bytes(), code, BATCH])
            })
            .await?;
        all += forgotten as u64;
        if (forgotten as i64) < BATCH {
            return Ok(all);
        }
    }
}

fn remove_tasks(ledger: &mut Ledger<'_>, run: &RunId) -> rusqlite::Result<Vec<i64>> {
    let connection = ledger.connection;
    let tasks: Vec<(i64, u8, i64)> = connection
        .prepare_cached(
            "SELECT seq, kind, status FROM tasks WHERE run = ?1
               AND NOT EXISTS (SELECT 1 FROM personal_tasks p WHERE p.task = tasks.seq)
             ORDER BY seq LIMIT ?2",
        )?
        .query_map(params![run.as_str(), BATCH], read)?
        .collect::<rusqlite::Result<_>>()?;
    remove(ledger, &tasks)
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, u8, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn remove(ledger: &mut Ledger<'_>, tasks: &[(i64, u8, i64)]) -> rusqlite::Result<Vec<i64>> {
    let connection = ledger.connection;
    for (seq, kind, status) in tasks {
        connection.prepare_cached("DELETE FROM events WHERE task = ?1")?.execute([seq])?;
        connection.prepare_cached("DELETE FROM effects WHERE task = ?1")?.execute([seq])?;
        connection.prepare_cached("DELETE FROM personal_tasks WHERE task = ?1")?.execute([seq])?;
        connection.prepare_cached("DELETE FROM tasks WHERE seq = ?1")?.execute([seq])?;
        ledger.books.add(*kind, StatusCode(*status), -1);
    }
    Ok(tasks.iter().map(|(seq, _, _)| *seq).collect())
}

/// Removes users with what they own outside the run: they were made for it.
fn remove_users(ledger: &mut Ledger<'_>, run: &RunId) -> rusqlite::Result<(Vec<UserId>, Vec<i64>)> {
    let connection = ledger.connection;
    let users: Vec<UserId> = connection
        .prepare_cached("SELECT id FROM users WHERE run = ?1 LIMIT ?2")?
        .query_map(params![run.as_str(), BATCH], |row| uuid(row, 0).map(UserId::from_uuid))?
        .collect::<rusqlite::Result<_>>()?;
    let mut rows = Vec::new();
    for user in &users {
        let id = user.uuid().into_bytes();
        let tasks: Vec<_> = connection
            .prepare_cached("SELECT seq, kind, status FROM tasks WHERE owner = ?1")?
            .query_map([id], read)?
            .collect::<rusqlite::Result<_>>()?;
        rows.extend(remove(ledger, &tasks)?);
        delete(connection, *user, ledger.now)?;
    }
    Ok((users, rows))
}
