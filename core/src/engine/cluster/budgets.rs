//! Budgets of sign-ins in Postgres: shared by all servers. Its clock is theirs.

use std::time::Duration;

use uuid::Uuid;

use super::failure::{classify, classify_write};
use super::reads::read;
use super::shared::Shared;
use crate::accounts::{Admission, BUDGET_WINDOW, BudgetKey, Counted, SignInAttempt, SignInLimits, budgets};
use crate::engine::EngineError;
use crate::time::Instant;

/// Counts an attempt under each of its budgets; rolled back if one is used up. All attempts take the rows in one order.
pub(super) async fn admit(
    shared: &Shared,
    attempt: &SignInAttempt,
    limits: &SignInLimits,
) -> Result<Admission, EngineError> {
    // Asked for a name that nobody has as well: it takes as long.
    let user = attempt.user.map_or_else(Uuid::nil, |user| user.uuid());
    let known = read(|| {
        sqlx::query_scalar!(
            r#"SELECT 1 AS "known!" FROM known_networks WHERE user_id = $1 AND network = $2"#,
            user,
            attempt.network
        )
        .fetch_optional(&shared.pool)
    })
    .await?
    .is_some();
    let budgets = budgets(attempt, known, limits);
    let keys: Vec<Vec<u8>> = budgets.iter().map(|(key, _)| key.to_vec()).collect();
    let window = i64::try_from(BUDGET_WINDOW.as_micros()).unwrap_or(i64::MAX);
    let mut transaction = shared.pool.begin().await.map_err(classify)?;
    let rows = sqlx::query!(
        r#"INSERT INTO sign_in_budgets AS b (key, since, count)
           SELECT k.key, (SELECT ledger_now()), 1 FROM unnest($1::bytea[]) AS k (key) ORDER BY k.key
           ON CONFLICT (key) DO UPDATE
           SET since = CASE WHEN b.since + $2 > excluded.since THEN b.since ELSE excluded.since END,
               count = CASE WHEN b.since + $2 > excluded.since THEN b.count + 1 ELSE 1 END
           RETURNING key, since, count, ledger_now() AS "now!""#,
        &keys,
        window
    )
    .fetch_all(&mut *transaction)
    .await
    .map_err(classify)?;
    let mut counted = Vec::with_capacity(rows.len());
    let mut wait: Option<Duration> = None;
    for row in rows {
        let since = Instant::from_micros(row.since);
        let Some((key, limit)) = budgets.iter().find(|(key, _)| key.as_slice() == row.key) else { continue };
        if i64::from(row.count) > i64::from(*limit) {
            wait = wait.max(Some(since.plus(BUDGET_WINDOW).since(Instant::from_micros(row.now))));
        }
        counted.push((*key, since));
    }
    if let Some(wait) = wait {
        transaction.rollback().await.map_err(classify)?;
        return Ok(Admission::Refused { wait });
    }
    transaction.commit().await.map_err(classify_write)?;
    Ok(Admission::Admitted(Counted { budgets: counted }))
}

/// Takes back what an attempt was counted as, unless a new window has begun.
pub(super) async fn forgive(shared: &Shared, counted: &Counted) -> Result<(), EngineError> {
    let (keys, windows): (Vec<Vec<u8>>, Vec<i64>) =
        counted.budgets.iter().map(|(key, since): &(BudgetKey, Instant)| (key.to_vec(), since.micros())).unzip();
    sqlx::query!(
        "WITH held AS MATERIALIZED (
             SELECT b.key FROM sign_in_budgets b WHERE b.key = ANY ($1) ORDER BY b.key FOR UPDATE
         )
         UPDATE sign_in_budgets b SET count = b.count - 1
         FROM held JOIN unnest($1::bytea[], $2::bigint[]) AS a (key, since) ON a.key = held.key
         WHERE b.key = held.key AND b.since = a.since AND b.count > 0",
        &keys,
        &windows
    )
    .execute(&shared.pool)
    .await
    .map_err(classify_write)?;
    Ok(())
}
