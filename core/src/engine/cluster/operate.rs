//! What operators do: look at the depth, pause, retry and discard dead letters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;

use super::delivery::{Channel, Letting, QueueId, Ready, by_queue, by_shard};
use super::failure::{classify, classify_write};
use super::kinds::learn;
use super::reads::read;
use super::rows::{Identity, json_of, kind_of, priority_of_row, run_of, shard_of, unreadable, unsigned};
use super::shared::Shared;
use super::{open, reads};
use crate::engine::figures::{self, OfKind, Totals};
use crate::engine::hub::Change;
use crate::engine::{Cancelled, EngineError, ErrorKind, EventSeq, KnownKind, Retried};
use crate::ids::{TaskId, UserId};
use crate::tasks::Stats;
use crate::time::Instant;

/// So many tasks that are put off, or dead, are counted each time ...
const COUNTED: i64 = 20_000;
/// ... and more of them this often.
const WHOLE: Duration = Duration::from_secs(15);
/// If more than these are being worked on, the age of the oldest that waits is told a little too high.
const LOOKED_AT: i64 = 10_000;

/// The totals after the latest commit.
struct BooksRow {
    accepted: i64,
    settled: i64,
    dead: i64,
    /// By the code of the kind.
    open: Vec<i64>,
    paused: bool,
}

/// How much of a kind is put off or dead: what only the hot table knows.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Aside {
    retrying: u64,
    scheduled: u64,
    dead: u64,
}

async fn books(shared: &Shared) -> Result<BooksRow, EngineError> {
    read(|| {
        sqlx::query_as!(BooksRow, "SELECT accepted, settled, dead, open, paused FROM books ORDER BY page DESC LIMIT 1")
            .fetch_one(&shared.pool)
    })
    .await
}

/// By the code of the kind; of what is put off and what is dead as many as a limit each.
async fn count_aside(shared: &Shared, limit: Option<i64>) -> Result<BTreeMap<i16, Aside>, EngineError> {
    let rows = read(|| {
        sqlx::query!(
            r#"SELECT l.kind AS "kind!", count(*) FILTER (WHERE l.what = 0) AS "retrying!",
                      count(*) FILTER (WHERE l.what = 1) AS "scheduled!", count(*) FILTER (WHERE l.what = 2) AS "dead!"
               FROM (
                   (SELECT t.kind, CASE WHEN t.due_at = t.not_before THEN 1 ELSE 0 END AS what FROM tasks t
                    WHERE t.status < 4 AND t.postponed AND t.due_at > (SELECT ledger_now()) LIMIT $1)
                   UNION ALL
                   (SELECT t.kind, 2 FROM tasks t WHERE t.status = 6 LIMIT $1)
               ) l GROUP BY l.kind"#,
            limit
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    let aside = rows.into_iter().map(|row| {
        let (retrying, scheduled, dead) = (unsigned(row.retrying), unsigned(row.scheduled), unsigned(row.dead));
        (row.kind, Aside { retrying, scheduled, dead })
    });
    Ok(aside.collect())
}

/// By the code of the kind. Many are counted whole, and not each time.
async fn aside(shared: &Shared) -> Result<BTreeMap<i16, Aside>, EngineError> {
    let mut whole = shared.aside.lock().await;
    if let Some((at, counts)) = &*whole
        && at.elapsed() < WHOLE
    {
        return Ok(counts.clone());
    }
    let counts = count_aside(shared, Some(COUNTED)).await?;
    let sum = |of: fn(&Aside) -> u64| counts.values().map(of).sum::<u64>();
    let most = sum(|one| one.retrying + one.scheduled).max(sum(|one| one.dead));
    if most < unsigned(COUNTED) {
        *whole = None;
        return Ok(counts);
    }
    let counts = count_aside(shared, None).await?;
    *whole = Some((tokio::time::Instant::now(), counts.clone()));
    Ok(counts)
}

/// Since when the oldest task of each kind that is due waits for a worker, by the kind's code. The ledger says which are
/// due; Redis only which of them are being worked on: it may not know of the others at all.
async fn oldest_waiting(shared: &Shared, held: u64) -> Result<BTreeMap<i16, i64>, EngineError> {
    // At most so many of the oldest are held, so one more is not.
    let limit = i64::try_from(held).unwrap_or(LOOKED_AT).min(LOOKED_AT) + 1;
    let rows = read(|| {
        sqlx::query!(
            // By places in an index, not by what is equal: that would be read whole and sorted, as long as nobody has made
            // statistics. What comes after the last of a kind and priority is left out.
            r#"SELECT o.id AS "id!", o.kind AS "kind!", o.priority, o.owner, o.due_at AS "due_at!" FROM kinds k
               CROSS JOIN LATERAL (
                   (SELECT NULL::smallint AS wanted, t.id, t.kind, t.priority, t.owner, t.due_at FROM tasks t
                    WHERE t.status < 4 AND NOT t.postponed AND t.priority IS NULL AND (t.kind, t.seq) >= (k.code, 0)
                    ORDER BY t.kind, t.seq LIMIT $1)
                   UNION ALL
                   (SELECT 1, t.id, t.kind, t.priority, t.owner, t.due_at FROM tasks t
                    WHERE t.status < 4 AND NOT t.postponed AND t.priority IS NOT NULL
                      AND (t.kind, t.priority, t.seq) >= (k.code, 1, 0)
                    ORDER BY t.kind, t.priority, t.seq LIMIT $1)
                   UNION ALL
                   (SELECT 2, t.id, t.kind, t.priority, t.owner, t.due_at FROM tasks t
                    WHERE t.status < 4 AND NOT t.postponed AND t.priority IS NOT NULL
                      AND (t.kind, t.priority, t.seq) >= (k.code, 2, 0)
                    ORDER BY t.kind, t.priority, t.seq LIMIT $1)
               ) o WHERE o.kind = k.code AND o.priority IS NOT DISTINCT FROM o.wanted
               UNION ALL
               (SELECT t.id, t.kind, t.priority, t.owner, t.due_at FROM tasks t
                WHERE t.status < 4 AND t.postponed AND t.due_at <= (SELECT ledger_now()) ORDER BY t.due_at, t.seq LIMIT $1)"#,
            limit
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    let mut oldest = BTreeMap::<i16, i64>::new();
    for (shard, rows) in by_shard(rows, |row| row.owner.map(UserId::from_uuid)).into_iter().enumerate() {
        let queue_of =
            |kind: i16, priority| QueueId::new(u8::try_from(kind).unwrap_or(u8::MAX), priority_of_row(priority));
        for (queue, rows) in by_queue(rows, |row| queue_of(row.kind, row.priority)) {
            let ids: Vec<TaskId> = rows.iter().map(|row| TaskId::from_uuid(row.id)).collect();
            let held = shared.delivery.held(shard, queue, &ids).await.unwrap_or_else(|_| vec![None; ids.len()]);
            let unheld = rows.iter().zip(held).filter(|(_, held)| held.is_none()).map(|(row, _)| row.due_at).min();
            if let Some(due) = unheld {
                let oldest = oldest.entry(queue.kind().into()).or_insert(due);
                *oldest = due.min(*oldest);
            }
        }
    }
    Ok(oldest)
}

pub(super) async fn stats(shared: &Shared) -> Result<Stats, EngineError> {
    let books = books(shared).await?;
    let aside = aside(shared).await?;
    // The newest commit may have counted a kind that is new.
    learn(shared, books.open.iter().zip(0..).filter(|(open, _)| **open > 0).map(|(_, code)| code)).await?;
    let (kinds, now) = (shared.kinds.all(), shared.clock.now());
    // Without Redis nobody works: what is open waits.
    let figures = shared.delivery.figures(&kinds, now).await.unwrap_or_default();
    let oldest = oldest_waiting(shared, figures.held).await?;
    let of = |known: &KnownKind| {
        let code = i16::from(known.code);
        let Aside { retrying, scheduled, dead } = aside.get(&code).copied().unwrap_or_default();
        let open = books.open.get(usize::from(known.code)).copied().map_or(0, unsigned);
        let oldest = oldest.get(&code).copied().map(Instant::from_micros);
        (known.kind, OfKind { open, retrying, scheduled, dead, oldest })
    };
    let totals = Totals {
        accepted: unsigned(books.accepted),
        settled: unsigned(books.settled),
        open: books.open.iter().copied().map(unsigned).sum(),
        dead: unsigned(books.dead),
        running: figures.held,
        paused: books.paused,
        workers: figures.workers,
    };
    Ok(figures::stats(totals, kinds.iter().map(of).collect(), now))
}

pub(super) async fn last_event(pool: &PgPool) -> Result<EventSeq, EngineError> {
    let last =
        read(|| sqlx::query_scalar!("SELECT last_seq FROM books ORDER BY page DESC LIMIT 1").fetch_one(pool)).await?;
    Ok(unsigned(last))
}

pub(super) async fn set_paused(shared: &Shared, paused: bool) -> Result<(), EngineError> {
    sqlx::query!("SELECT set_paused($1)", paused).execute(&shared.pool).await.map_err(classify_write)?;
    shared.delivery.set_paused(paused);
    shared.notifier.tell(Channel::Note, shared.origin.to_be_bytes().to_vec());
    Ok(())
}

// As `retry_dead` answers.
const QUEUED: i16 = 0;
const NOT_DEAD: i16 = 1;
const EXCLUSIVE: i16 = 2;

pub(super) async fn retry_dead(shared: &Shared, id: TaskId) -> Result<Retried, EngineError> {
    let row = sqlx::query!(
        r#"SELECT verdict AS "verdict!", other, seq AS "seq!", kind AS "kind!", owner, run, payload AS "payload!",
                  accepted_at AS "accepted_at!", at AS "at!",
                  (SELECT t.not_before FROM tasks t WHERE t.id = $1) AS not_before,
                  (SELECT t.priority FROM tasks t WHERE t.id = $1) AS priority
           FROM retry_dead($1)"#,
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
        priority: priority_of_row(row.priority),
        due_at: row.not_before.map(Instant::from_micros),
    };
    let change = Change { task: id, run: identity.run.clone(), owner: identity.owner };
    let task = identity.queued();
    let payload = json_of(Some(row.payload))?.unwrap_or_default();
    shared.notifier.offer(Ready { identity, payload, attempts: 0, due_at: Instant::from_micros(row.at) });
    // Its place in the log is not told; the next look finds it.
    shared.announce(0, &[change]);
    Ok(Retried::Queued(task))
}

// As `cancel_task` answers.
const CANCELLED: i16 = 0;

/// What was offered by another process may reach Redis after it was let go of.
const LATE: Duration = Duration::from_secs(1);

pub(super) async fn cancel(shared: &Arc<Shared>, id: TaskId, reason: &str) -> Result<Cancelled, EngineError> {
    let row = sqlx::query!(
        r#"SELECT verdict AS "verdict!", seq AS "seq!", kind AS "kind!", priority, owner, run FROM cancel_task($1, $2)"#,
        id.uuid(),
        reason
    )
    .fetch_one(&shared.pool)
    .await
    .map_err(classify_write)?;
    if row.verdict == CANCELLED {
        learn(shared, [row.kind]).await?;
        let owner = row.owner.map(UserId::from_uuid);
        let queue = QueueId::new(kind_of(row.kind, &shared.kinds)?.code, priority_of_row(row.priority));
        // Whoever works on it finds at the next renewal that nothing is known of the lease, and that the task is final.
        let letting = Letting { shard: shard_of(owner), queue, task: id };
        shared.notifier.let_go(letting);
        let late = Arc::downgrade(shared);
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            if let Some(shared) = late.upgrade() {
                shared.notifier.let_go(letting);
            }
        });
        shared.announce(row.seq, &[Change { task: id, run: run_of(row.run)?, owner }]);
    }
    let Some((_, task)) = reads::get(shared, id).await? else { return Ok(Cancelled::NotFound) };
    Ok(if row.verdict == CANCELLED { Cancelled::Done(task) } else { Cancelled::Final(task) })
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
        return Err(EngineError::new(ErrorKind::Unavailable, "the log has no partitions for today or tomorrow")
            .fixed_by("run card-server migrate as the owner of the ledger"));
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
