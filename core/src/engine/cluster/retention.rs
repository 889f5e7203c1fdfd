//! Upkeep of the ledger by whoever sweeps: days to come, days that are over, totals that were superseded, and
//! statistics that fit the tables.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant as Clock;

use super::failure;
use super::shared::Shared;
use crate::accounts::BUDGET_WINDOW;
use crate::engine::EngineError;
use crate::time::Instant;

/// Days of the log that are made ahead, so that nobody needs to be there at midnight.
const AHEAD: i32 = 7;
const DAY: i64 = 86_400_000_000;
/// Superseded totals are removed this often.
const BOOKS: Duration = Duration::from_secs(10);
/// The rest.
const REST: Duration = Duration::from_secs(60);
/// An idempotency key is remembered as long as its task is, and at least so long.
const KEYS: Duration = Duration::from_secs(7 * 86_400);

pub(super) struct Upkeep {
    retention: Duration,
    books: Clock,
    rest: Option<Clock>,
}

impl Upkeep {
    pub(super) fn new(retention: Duration) -> Self {
        Self { retention, books: Clock::now(), rest: None }
    }

    /// Does what is due.
    pub(super) async fn round(&mut self, shared: &Shared) {
        if self.books.elapsed() >= BOOKS {
            self.books = Clock::now();
            report(shared, prune_books(shared).await);
        }
        if self.rest.is_none_or(|done| done.elapsed() >= REST) {
            self.rest = Some(Clock::now());
            report(shared, analyze(shared).await);
            report(shared, prune(shared, self.retention).await);
        }
    }
}

fn report(shared: &Shared, done: Result<(), EngineError>) {
    let Err(error) = done else { return };
    // That the ledger is away was said once.
    if shared.ledger_away.load(Ordering::Acquire) {
        tracing::debug!(error = %error.shared(), "maintenance of the ledger is postponed");
    } else {
        tracing::warn!(error = %error.shared(), "maintenance of the ledger is postponed");
    }
}

/// Makes sure that there is a place for today's events and the next days'.
pub(super) async fn ensure_days(connection: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT ensure_days((ledger_now() / $1)::integer - 1, (ledger_now() / $1)::integer + $2)",
        DAY,
        AHEAD
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}

/// All but the latest page, and a few for whoever reads one just now.
async fn prune_books(shared: &Shared) -> Result<(), EngineError> {
    sqlx::query!("DELETE FROM books WHERE page < (SELECT max(page) - 100 FROM books)")
        .execute(&shared.pool)
        .await
        .map_err(failure::classify)?;
    Ok(())
}

/// A table that has grown or shrunk tenfold since its statistics were made gets new ones at once: autovacuum may be a
/// minute away, and until then plans are made for another table.
async fn analyze(shared: &Shared) -> Result<(), EngineError> {
    let stale = sqlx::query_scalar!(
        r#"SELECT abs(ln((c.reltuples + 1000) / ((SELECT sum(o) FROM unnest(b.open) o) + b.dead + 1000))) > ln(10) AS "stale!"
           FROM pg_class c, (SELECT * FROM books ORDER BY page DESC LIMIT 1) b WHERE c.oid = 'tasks'::regclass"#
    )
    .fetch_one(&shared.pool)
    .await
    .map_err(failure::classify)?;
    if stale {
        sqlx::query!("SELECT refresh_statistics()").execute(&shared.pool).await.map_err(failure::classify)?;
        tracing::info!("refreshed the statistics of open tasks");
    }
    Ok(())
}

async fn prune(shared: &Shared, retention: Duration) -> Result<(), EngineError> {
    let mut connection = shared.pool.acquire().await.map_err(failure::classify)?;
    ensure_days(&mut connection).await.map_err(failure::classify)?;
    drop(connection);
    let now = shared.clock.now();
    let cutoff = now.minus(retention);
    // A day is over when its last moment is.
    let over = i32::try_from(cutoff.micros() / DAY - 1).unwrap_or(0);
    for day in days(shared, over).await? {
        let dropped = sqlx::query_scalar!("SELECT drop_day($1)", day).fetch_one(&shared.pool).await;
        if dropped.map_err(failure::classify)? == Some(true) {
            tracing::info!(day, "dropped a day of the log, in days since 1970");
        }
    }
    let keys = cutoff.min(now.minus(KEYS));
    let revoked = shared.revoked.forget(now);
    let budgets = now.minus(BUDGET_WINDOW);
    for (what, before) in [
        (Old::Keys, keys),
        (Old::Tokens, now),
        (Old::Sessions, now),
        (Old::Revocations, revoked),
        (Old::Budgets, budgets),
        (Old::Personal, cutoff),
        // A key's first answer tells them.
        (Old::Options, keys),
    ] {
        while remove(shared, what, before).await? == BATCH {}
    }
    Ok(())
}

/// The days up to `last` that the log still has.
async fn days(shared: &Shared, last: i32) -> Result<Vec<i32>, EngineError> {
    let days = sqlx::query_scalar!(
        r#"SELECT to_date(right(c.relname, 8), 'YYYYMMDD') - date '1970-01-01' AS "day!"
           FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass"#
    )
    .fetch_all(&shared.pool)
    .await
    .map_err(failure::classify)?;
    Ok(days.into_iter().filter(|day| *day <= last).collect())
}

#[derive(Debug, Clone, Copy)]
enum Old {
    Keys,
    Tokens,
    Sessions,
    Revocations,
    Budgets,
    Personal,
    Options,
}

/// Rows removed in one statement.
const BATCH: u64 = 1_000;

async fn remove(shared: &Shared, what: Old, before: Instant) -> Result<u64, EngineError> {
    let (pool, before, limit) = (&shared.pool, before.micros(), BATCH as i64);
    let done =
        match what {
            Old::Keys => {
                sqlx::query!(
                    "DELETE FROM idempotency WHERE (owner, key) IN (
                     SELECT i.owner, i.key FROM idempotency i WHERE i.accepted_at < $1
                       AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = i.task)
                       AND NOT EXISTS (SELECT 1 FROM events e WHERE e.task = i.task) LIMIT $2)",
                    before,
                    limit
                )
                .execute(pool)
                .await
            }
            Old::Tokens => {
                sqlx::query!(
                    "DELETE FROM refresh_tokens WHERE hash IN (
                     SELECT hash FROM refresh_tokens WHERE expires_at < $1 LIMIT $2)",
                    before,
                    limit
                )
                .execute(pool)
                .await
            }
            Old::Sessions => {
                sqlx::query!(
                    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 LIMIT $2)",
                    before,
                    limit
                )
                .execute(pool)
                .await
            }
            Old::Revocations => sqlx::query!(
                "DELETE FROM deleted_users WHERE id IN (SELECT id FROM deleted_users WHERE deleted_at < $1 LIMIT $2)",
                before,
                limit
            )
            .execute(pool)
            .await,
            Old::Budgets => {
                sqlx::query!(
                    "DELETE FROM sign_in_budgets WHERE key IN (
                     SELECT key FROM sign_in_budgets WHERE since < $1 LIMIT $2)",
                    before,
                    limit
                )
                .execute(pool)
                .await
            }
            // Those that are open or dead are kept with their task, beyond what the log has.
            Old::Personal => {
                sqlx::query!(
                    "DELETE FROM personal_tasks WHERE task IN (
                     SELECT p.task FROM personal_tasks p WHERE p.accepted_at < $1
                       AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = p.task)
                       AND NOT EXISTS (SELECT 1 FROM events e WHERE e.task = p.task) LIMIT $2)",
                    before,
                    limit
                )
                .execute(pool)
                .await
            }
            Old::Options => {
                sqlx::query!(
                    "DELETE FROM task_options WHERE task IN (
                     SELECT o.task FROM task_options o WHERE o.accepted_at < $1
                       AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = o.task)
                       AND NOT EXISTS (SELECT 1 FROM events e WHERE e.task = o.task) LIMIT $2)",
                    before,
                    limit
                )
                .execute(pool)
                .await
            }
        };
    done.map(|done| done.rows_affected()).map_err(failure::classify)
}
