//! Budgets of sign-ins in the embedded ledger: they survive a restart.

use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::writer::Ledger;
use crate::accounts::{Admission, BUDGET_WINDOW, Counted, SignInAttempt, SignInLimits, budgets};
use crate::time::Instant;

/// Counts an attempt under each of its budgets, or under none if one is used up.
pub(super) fn admit(
    ledger: &Ledger<'_>,
    attempt: &SignInAttempt,
    limits: &SignInLimits,
) -> rusqlite::Result<Admission> {
    let (connection, now) = (ledger.connection, ledger.now);
    // Asked for a name that nobody has as well: it takes as long.
    let user = attempt.user.map_or_else(Uuid::nil, |user| user.uuid());
    let known = connection
        .prepare_cached("SELECT 1 FROM known_networks WHERE user = ?1 AND network = ?2")?
        .exists(params![user.as_bytes(), attempt.network])?;
    let mut counted = Vec::with_capacity(3);
    let mut wait = None;
    for (key, limit) in budgets(attempt, known, limits) {
        let found: Option<(i64, u32)> = connection
            .prepare_cached("SELECT since, count FROM sign_in_budgets WHERE key = ?1")?
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let open = found.map(|(since, count)| (Instant::from_micros(since), count));
        let (since, count) =
            open.filter(|(since, _)| since.plus(BUDGET_WINDOW) > now && *since <= now).unwrap_or((now, 0));
        if count >= limit {
            wait = wait.max(Some(since.plus(BUDGET_WINDOW).since(now)));
        }
        counted.push((key, since, count + 1));
    }
    if let Some(wait) = wait {
        return Ok(Admission::Refused { wait });
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO sign_in_budgets (key, since, count) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET since = excluded.since, count = excluded.count",
    )?;
    for (key, since, count) in &counted {
        statement.execute(params![key, since.micros(), count])?;
    }
    Ok(Admission::Admitted(Counted { budgets: counted.into_iter().map(|(key, since, _)| (key, since)).collect() }))
}

/// Takes back what an attempt was counted as, unless a new window has begun.
pub(super) fn forgive(ledger: &Ledger<'_>, counted: &Counted) -> rusqlite::Result<()> {
    let mut statement = ledger
        .connection
        .prepare_cached("UPDATE sign_in_budgets SET count = count - 1 WHERE key = ?1 AND since = ?2 AND count > 0")?;
    for (key, since) in &counted.budgets {
        statement.execute(params![key, since.micros()])?;
    }
    Ok(())
}
