//! The sweep: finds in the ledger what the delivery missed, dropped or let expire, and offers it again.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::delivery::{Ahead, LATER_LIMIT, Later, Postponed, READY_LIMIT, Ready};
use super::readers::Readers;
use super::rows::{Identity, identity_columns, json, kind_of};
use super::shared::Shared;
use super::writer::{Ledger, Writer};
use crate::engine::EngineError;
use crate::engine::kinds::Kinds;
use crate::engine::rows::priority_code;
use crate::tasks::{Kind, Priority};
use crate::time::Instant;

/// How long something may go unnoticed: half of what the platform promises for abandoned work.
const INTERVAL: Duration = Duration::from_secs(1);
/// Leases are looked at this often while there are any.
const LEASE_INTERVAL: Duration = Duration::from_millis(250);
/// How often the log is pruned.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60);
/// Rows removed in one transaction, so that accepts wait no longer than a few milliseconds for it.
const PRUNE_BATCH: usize = 1_000;

const DUE: &str = concat!(
    "SELECT ",
    identity_columns!(""),
    ", payload, attempts, due_at FROM tasks
     WHERE kind = ?3 AND priority = ?4 AND status < 4 AND due_at <= ?1 ORDER BY due_at, seq LIMIT ?2"
);

/// Sweeps until the engine is closed or gone.
pub(super) async fn run(shared: Weak<Shared>, readers: Arc<Readers>, writer: Weak<Writer>, retention: Duration) {
    let mut pruned = tokio::time::Instant::now();
    loop {
        let Some(alive) = shared.upgrade() else { return };
        if alive.delivery.is_closed() {
            return;
        }
        let now = Instant::now();
        let due = alive.delivery.due_work(now);
        if due.expired > 0 {
            tracing::info!(tasks = due.expired, "leases expired, tasks are dispatched again");
        }
        if due.look_ahead {
            alive.delivery.begin_look_ahead();
            let kinds = Arc::clone(&alive.kinds);
            match readers.read(move |connection| later(connection, now, &kinds)).await {
                Ok(ahead) => alive.delivery.look_ahead(ahead),
                Err(error) => {
                    // Nothing may be taken for all there is: the next look is due at once.
                    alive.delivery.look_ahead(Ahead { horizon: Some(now), ..Ahead::default() });
                    tracing::warn!(error = %error, "sweep could not read the ledger");
                }
            }
        }
        for (of, missed) in due.scan {
            if let Err(error) = fetch(&alive, &readers, of, now, missed).await {
                tracing::warn!(error = %error, "sweep could not read the ledger");
            }
        }
        if pruned.elapsed() >= PRUNE_INTERVAL {
            pruned = tokio::time::Instant::now();
            alive.revocations.forget(now);
            if let Some(writer) = writer.upgrade()
                && let Err(error) = prune(&writer, now.minus(retention)).await
            {
                tracing::warn!(error = %error, "old events could not be removed");
            }
        }
        let pause = if due.held > 0 { LEASE_INTERVAL } else { INTERVAL };
        let pause = due.next_due.map_or(pause, |at| at.since(now).clamp(Duration::from_millis(1), pause));
        let offered = async { alive.delivery.sweep.notified().await };
        let _ = tokio::time::timeout(pause, offered).await;
    }
}

async fn fetch(
    shared: &Shared,
    readers: &Arc<Readers>,
    of: (Kind, Priority),
    now: Instant,
    missed: u64,
) -> Result<(), EngineError> {
    let Some(code) = shared.kinds.code(of.0) else { return Ok(()) };
    let (skip, kinds) = (shared.delivery.known_rows(), Arc::clone(&shared.kinds));
    let limit = READY_LIMIT + skip.len();
    let (found, complete) = readers
        .read(move |connection| {
            let mut statement = connection.prepare_cached(DUE)?;
            let mut rows = statement.query(params![
                now.micros(),
                i64::try_from(limit).unwrap_or(i64::MAX),
                code,
                priority_code(of.1)
            ])?;
            let mut found = Vec::new();
            let mut seen = 0;
            while let Some(row) = rows.next()? {
                seen += 1;
                if !skip.contains(&row.get(0)?) {
                    found.push(Ready {
                        identity: Identity::read(row, &kinds)?,
                        payload: json(row, 8)?.unwrap_or_default(),
                        attempts: row.get(9)?,
                        due_at: Instant::from_micros(row.get(10)?),
                    });
                }
            }
            Ok((found, seen < limit))
        })
        .await?;
    shared.delivery.refill(of, found, complete, missed);
    Ok(())
}

/// Tasks that fall due later, so that they are handed out in time.
pub(super) fn later(connection: &Connection, now: Instant, kinds: &Kinds) -> rusqlite::Result<Ahead> {
    // One snapshot for both statements.
    let transaction = connection.unchecked_transaction()?;
    let why = |scheduled: bool| if scheduled { Later::Scheduled } else { Later::Retry };
    let mut next = transaction
        .prepare_cached(
            "SELECT seq, due_at, kind, due_at IS not_before FROM tasks
             WHERE status < 4 AND due_at > ?1 ORDER BY due_at LIMIT ?2",
        )?
        .query_map(params![now.micros(), LATER_LIMIT as i64 + 1], |row| {
            Ok(Postponed {
                row: row.get(0)?,
                due: Instant::from_micros(row.get(1)?),
                kind: kind_of(row.get(2)?, kinds)?.kind,
                why: why(row.get(3)?),
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    if next.len() <= LATER_LIMIT {
        return Ok(Ahead { next, ..Ahead::default() });
    }
    let horizon = next.last().map(|last| last.due);
    next.retain(|postponed| Some(postponed.due) < horizon);
    let beyond = transaction
        .prepare_cached(
            "SELECT kind, due_at IS not_before, count(*) FROM tasks WHERE status < 4 AND due_at >= ?1 GROUP BY 1, 2",
        )?
        .query_map([horizon.map(Instant::micros)], |row| {
            let count: i64 = row.get(2)?;
            Ok(((kind_of(row.get(0)?, kinds)?.kind, why(row.get(1)?)), u64::try_from(count).unwrap_or(0)))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Ahead { next, horizon, beyond })
}

/// Removes events from before `cutoff`, and tokens and deleted ids that can't matter any more.
pub(super) async fn prune(writer: &Writer, cutoff: Instant) -> Result<(), EngineError> {
    loop {
        let removed = writer.call(move |ledger| prune_batch(ledger, cutoff)).await?;
        if removed < PRUNE_BATCH {
            return Ok(());
        }
    }
}

fn prune_batch(ledger: &mut Ledger<'_>, cutoff: Instant) -> rusqlite::Result<usize> {
    let connection = ledger.connection;
    super::accounts::prune(ledger)?;
    let old: Vec<i64> = connection
        .prepare_cached("SELECT seq, at FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")?
        .query_map(params![ledger.books.events_floor, PRUNE_BATCH as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
        .take_while(|row: &rusqlite::Result<(i64, i64)>| row.as_ref().is_ok_and(|(_, at)| *at < cutoff.micros()))
        .map(|row| row.map(|(seq, _)| seq))
        .collect::<rusqlite::Result<_>>()?;
    // The latest event of a task is its present state: it stays as long as the task does.
    let mut statement = connection.prepare_cached(
        "DELETE FROM events WHERE seq = ?1 AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.seq = events.task AND last_seq = ?1)",
    )?;
    for seq in &old {
        statement.execute([seq])?;
    }
    if let Some(last) = old.last() {
        ledger.books.events_floor = *last;
    }
    Ok(old.len())
}
