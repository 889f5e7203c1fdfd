//! What operators do: look at the depth, pause, retry and discard dead letters.

use sqlx::PgPool;

use super::delivery::{Channel, Figures, Ready, by_kind, by_shard};
use super::failure::{classify, classify_write};
use super::kinds::learn;
use super::open;
use super::reads::read;
use super::rows::{Identity, json_of, kind_of, run_of, unreadable, unsigned};
use super::shared::Shared;
use crate::engine::hub::Change;
use crate::engine::{EngineError, ErrorKind, EventSeq, KnownKind, Retried};
use crate::ids::{TaskId, UserId};
use crate::tasks::{QueueStats, Scaling, Stats};
use crate::time::Instant;

/// Tasks put off are counted up to here: more look the same.
const COUNTED: i64 = 100_000;
/// If more than these are being worked on, the age of the oldest that waits is told a little too high.
const LOOKED_AT: i64 = 10_000;

/// The totals after the latest commit, and what only the hot table knows.
struct Totals {
    accepted: i64,
    settled: i64,
    dead: i64,
    open: Vec<i64>,
    paused: bool,
    later: i64,
}

async fn totals(shared: &Shared) -> Result<Totals, EngineError> {
    read(|| {
        sqlx::query_as!(
            Totals,
            r#"SELECT b.accepted, b.settled, b.dead, b.open, b.paused,
                      (SELECT count(*) FROM (SELECT 1 FROM tasks t WHERE t.status < 4 AND t.postponed
                                             AND t.due_at > (SELECT ledger_now()) LIMIT $1) l) AS "later!"
               FROM books b ORDER BY b.page DESC LIMIT 1"#,
            COUNTED
        )
        .fetch_one(&shared.pool)
    })
    .await
}

struct Present {
    totals: Totals,
    figures: Figures,
    oldest_age_ms: u64,
}

async fn present(shared: &Shared) -> Result<Present, EngineError> {
    let totals = totals(shared).await?;
    let now = shared.clock.now();
    // Without Redis nobody works: what is open waits.
    let figures = shared.delivery.figures(&shared.kinds.all(), now).await.unwrap_or_default();
    let oldest = oldest_waiting(shared, figures.held).await?;
    let age = oldest.map_or(0, |due| u64::try_from(now.since(due).as_millis()).unwrap_or(u64::MAX));
    Ok(Present { totals, figures, oldest_age_ms: age })
}

/// Since when the oldest task that is due waits for a worker. The ledger says which are due; Redis only which of them
/// are being worked on: it may not know of the others at all.
async fn oldest_waiting(shared: &Shared, held: u64) -> Result<Option<Instant>, EngineError> {
    // At most so many of the oldest are held, so one more is not.
    let limit = i64::try_from(held).unwrap_or(LOOKED_AT).min(LOOKED_AT) + 1;
    let rows = read(|| {
        sqlx::query!(
            r#"SELECT o.id AS "id!", o.kind AS "kind!", o.owner, o.due_at AS "due_at!" FROM (
                   (SELECT t.id, t.kind, t.owner, t.due_at FROM tasks t
                    WHERE t.status < 4 AND NOT t.postponed ORDER BY t.due_at LIMIT $1)
                   UNION ALL
                   (SELECT t.id, t.kind, t.owner, t.due_at FROM tasks t
                    WHERE t.status < 4 AND t.postponed AND t.due_at <= (SELECT ledger_now()) ORDER BY t.due_at LIMIT $1)
               ) o ORDER BY o.due_at LIMIT $1"#,
            limit
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    let mut waiting = rows.last().filter(|_| rows.len() as i64 == limit).map(|row| row.due_at);
    for (shard, rows) in by_shard(rows, |row| row.owner.map(UserId::from_uuid)).into_iter().enumerate() {
        for (kind, rows) in by_kind(rows, |row| u8::try_from(row.kind).unwrap_or(u8::MAX)) {
            let ids: Vec<TaskId> = rows.iter().map(|row| TaskId::from_uuid(row.id)).collect();
            let held = shared.delivery.held(shard, kind, &ids).await.unwrap_or_else(|_| vec![None; ids.len()]);
            let unheld = rows.iter().zip(held).find(|(_, held)| held.is_none()).map(|(row, _)| row.due_at);
            waiting = waiting.into_iter().chain(unheld).min();
        }
    }
    Ok(waiting.map(Instant::from_micros))
}

pub(super) async fn stats(shared: &Shared) -> Result<Stats, EngineError> {
    let Present { totals, figures, oldest_age_ms } = present(shared).await?;
    let open: u64 = totals.open.iter().copied().map(unsigned).sum();
    let (retrying, running) = (unsigned(totals.later), figures.held.min(open));
    Ok(Stats {
        queue: QueueStats {
            ready: open.saturating_sub(running + retrying),
            running,
            retrying,
            dead: unsigned(totals.dead),
            oldest_age_ms,
            paused: totals.paused,
        },
        accepted_total: unsigned(totals.accepted),
        settled_total: unsigned(totals.settled),
        workers: figures.workers,
    })
}

pub(super) async fn scaling(shared: &Shared) -> Result<Scaling, EngineError> {
    let Present { totals, oldest_age_ms, .. } = present(shared).await?;
    // The newest commit may have counted a kind that is new.
    let counted = totals.open.iter().zip(0..).filter(|(open, _)| **open > 0).map(|(_, code)| code);
    learn(shared, counted).await?;
    let open = |known: &KnownKind| totals.open.get(usize::from(known.code)).copied().map_or(0, unsigned);
    let by_kind = shared.kinds.all().iter().map(|known| (known.kind, open(known))).collect();
    let all: u64 = totals.open.iter().copied().map(unsigned).sum();
    let backlog = all.saturating_sub(unsigned(totals.later));
    Ok(Scaling { backlog, oldest_age_ms, by_kind })
}

pub(super) async fn last_event(pool: &PgPool) -> Result<EventSeq, EngineError> {
    let last =
        read(|| sqlx::query_scalar!("SELECT last_seq FROM books ORDER BY page DESC LIMIT 1").fetch_one(pool)).await?;
    Ok(unsigned(last))
}

pub(super) async fn set_paused(shared: &Shared, paused: bool) -> Result<(), EngineError> {
    sqlx::query!("SELECT set_paused($1)", paused).execute(&shared.pool).await.map_err(classify_write)?;
    shared.delivery.set_paused(paused);
    shared.ringer.tell(Channel::Note, shared.origin.to_be_bytes().to_vec());
    Ok(())
}

// As `retry_dead` answers.
const QUEUED: i16 = 0;
const NOT_DEAD: i16 = 1;
const EXCLUSIVE: i16 = 2;

pub(super) async fn retry_dead(shared: &Shared, id: TaskId) -> Result<Retried, EngineError> {
    let row = sqlx::query!(
        r#"SELECT verdict AS "verdict!", other, seq AS "seq!", kind AS "kind!", owner, run, payload AS "payload!",
                  accepted_at AS "accepted_at!", at AS "at!" FROM retry_dead($1)"#,
        id.uuid()
    )
    .fetch_one(&shared.pool)
    .await
    .map_err(classify_write)?;
    match row.verdict {
        QUEUED => {}
        NOT_DEAD => return Ok(Retried::NotDead),
        EXCLUSIVE => {
            let open = row.other.ok_or_else(|| unreadable("task"))?;
            return Ok(Retried::Exclusive { open: TaskId::from_uuid(open) });
        }
        _ => return Ok(Retried::NotFound),
    }
    learn(shared, [row.kind]).await?;
    let identity = Identity {
        seq: row.seq,
        id,
        kind: kind_of(row.kind, &shared.kinds)?,
        owner: row.owner.map(UserId::from_uuid),
        run: run_of(row.run)?,
        accepted_at: Instant::from_micros(row.accepted_at),
    };
    let change = Change { task: id, run: identity.run.clone(), owner: identity.owner };
    let task = identity.queued();
    let payload = json_of(Some(row.payload))?.unwrap_or_default();
    shared.ringer.ring(Ready { identity, payload, attempts: 0, due_at: Instant::from_micros(row.at) });
    // Its place in the log is not told; the next look finds it.
    shared.announce(0, &[change]);
    Ok(Retried::Queued(task))
}

pub(super) async fn discard(shared: &Shared, id: TaskId, reason: &str) -> Result<bool, EngineError> {
    let done = sqlx::query_scalar!("SELECT discard_dead($1, $2)", id.uuid(), reason)
        .fetch_one(&shared.pool)
        .await
        .map_err(classify_write)?;
    Ok(done.unwrap_or(false))
}

/// Whether an accept has what it needs: the rights, a day of the log for now and for what comes after midnight, and a
/// server that takes writes (it leaves nothing behind).
pub(super) async fn can_write(pool: &PgPool) -> Result<(), EngineError> {
    let found = sqlx::query!(r#"SELECT missing_rights() AS missing, days_ahead() AS "days!""#).fetch_one(pool).await;
    let found = found.map_err(classify)?;
    if let Some(missing) = found.missing {
        return Err(open::lacks(ErrorKind::Unavailable, &missing));
    }
    if found.days < 2 {
        return Err(EngineError::new(
            ErrorKind::Unavailable,
            "the log has no place for the events of today or tomorrow",
        )
        .fixed_by("card-server migrate, as the owner of the ledger, makes the days"));
    }
    let mut transaction = pool.begin().await.map_err(classify)?;
    sqlx::query!(
        "INSERT INTO idempotency (owner, key, fingerprint, task, kind, accepted_at)
         VALUES ('00000000-0000-0000-0000-000000000000', gen_random_uuid()::text, '', gen_random_uuid(), 0, 0)"
    )
    .execute(&mut *transaction)
    .await
    .map_err(classify)?;
    transaction.rollback().await.map_err(classify)
}
