//! Sessions in Postgres: one row each, and one for its live refresh token.
//!
//! A sign-in, a refresh, a change of the password and the deletion of the user may meet, in several processes. They take
//! rows in one order, the user's, then tokens, then sessions, and whoever comes second sees what the first has done.

use uuid::Uuid;

use super::failure::{classify, classify_write};
use super::reads::read;
use super::revoked;
use super::shared::Shared;
use crate::accounts::{
    NETWORKS_PER_USER, NewSession, RefreshBounds, RefreshHashes, Refreshed, SESSIONS_PER_USER, Session, created_at_of,
};
use crate::engine::EngineError;
use crate::ids::{SessionId, UserId};
use crate::time::Instant;

type Transaction<'a> = sqlx::Transaction<'a, sqlx::Postgres>;

/// Opens a session, if the user is there with the password that was checked: one statement, that holds the user's row.
pub(super) async fn open(shared: &Shared, new: &NewSession) -> Result<bool, EngineError> {
    let opened = sqlx::query_scalar!(
        r#"WITH owner AS (SELECT id FROM users WHERE id = $1 AND password_hash = $2 FOR SHARE),
                opened AS (INSERT INTO sessions (id, user_id, family, created_at, last_used_at, expires_at, address, agent)
                           SELECT $3, id, $4, $6::bigint, $6::bigint, $7::bigint, $8, $9 FROM owner RETURNING id),
                token AS (INSERT INTO refresh_tokens (hash, session, user_id, expires_at, spent)
                          SELECT $5, $3, id, $7::bigint, false FROM owner),
                network AS (INSERT INTO known_networks (user_id, network, last_used_at)
                            SELECT id, $10, ledger_now() FROM owner
                            ON CONFLICT (user_id, network) DO UPDATE SET last_used_at = excluded.last_used_at)
           SELECT id AS "id!" FROM opened"#,
        new.user.uuid(),
        new.password_hash,
        new.id.uuid(),
        new.refresh.family.as_slice(),
        new.refresh.token.as_slice(),
        new.created_at.micros(),
        new.expires_at.micros(),
        new.address,
        new.agent,
        new.network
    )
    .fetch_optional(&shared.pool)
    .await
    .map_err(classify_write)?;
    if opened.is_none() {
        return Ok(false);
    }
    make_room(shared, new.user).await?;
    Ok(true)
}

/// Ends the sessions that were used longest ago, and forgets the oldest networks, beyond what one user may have.
async fn make_room(shared: &Shared, user: UserId) -> Result<(), EngineError> {
    sqlx::query!(
        "DELETE FROM known_networks WHERE user_id = $1 AND network IN (
         SELECT network FROM known_networks WHERE user_id = $1 ORDER BY last_used_at DESC OFFSET $2)",
        user.uuid(),
        NETWORKS_PER_USER as i64
    )
    .execute(&shared.pool)
    .await
    .map_err(classify)?;
    let surplus = sqlx::query_scalar!(
        "SELECT id FROM sessions WHERE user_id = $1 ORDER BY last_used_at DESC OFFSET $2",
        user.uuid(),
        SESSIONS_PER_USER as i64
    )
    .fetch_all(&shared.pool)
    .await
    .map_err(classify)?;
    if surplus.is_empty() {
        return Ok(());
    }
    let mut transaction = shared.pool.begin().await.map_err(classify)?;
    remove(&mut transaction, &surplus).await?;
    transaction.commit().await.map_err(classify_write)?;
    revoked::tell(shared, &surplus);
    Ok(())
}

/// See [`crate::accounts::Accounts::refresh_session`].
pub(super) async fn refresh(
    shared: &Shared,
    old: &RefreshHashes,
    new: &RefreshHashes,
    bounds: &RefreshBounds,
) -> Result<Refreshed, EngineError> {
    let mut transaction = shared.pool.begin().await.map_err(classify)?;
    // The row is locked: of two calls with one token the second finds another token in it.
    let found = sqlx::query!(
        r#"SELECT t.session, t.user_id, t.expires_at, t.spent, s.created_at AS "created_at?"
           FROM refresh_tokens t LEFT JOIN sessions s ON s.id = t.session WHERE t.hash = $1 FOR UPDATE OF t"#,
        old.token.as_slice()
    )
    .fetch_optional(&mut *transaction)
    .await
    .map_err(classify)?;
    let ended = match found {
        None => sqlx::query_scalar!("SELECT id FROM sessions WHERE family = $1", old.family.as_slice())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(classify)?
            .map(|session| (session, Refreshed::Reused)),
        Some(found) if found.spent => Some((found.session, Refreshed::Reused)),
        Some(found) if found.expires_at <= bounds.now.micros() => None,
        Some(found) => {
            let created =
                found.created_at.map_or_else(|| created_at_of(found.session, bounds.now), Instant::from_micros);
            match bounds.expires_at(created) {
                None => Some((found.session, Refreshed::Unknown)),
                Some(expires_at) => {
                    let session = Row { id: found.session, user: found.user_id, created, expires_at };
                    rotate(&mut transaction, &session, old, new, bounds.now).await?;
                    transaction.commit().await.map_err(classify_write)?;
                    return Ok(Refreshed::Rotated {
                        user: UserId::from_uuid(session.user),
                        session: SessionId::from_uuid(session.id),
                        ends_at: bounds.ends_at(created),
                    });
                }
            }
        }
    };
    let Some((session, refreshed)) = ended else { return Ok(Refreshed::Unknown) };
    remove(&mut transaction, &[session]).await?;
    transaction.commit().await.map_err(classify_write)?;
    revoked::tell(shared, &[session]);
    Ok(refreshed)
}

struct Row {
    id: Uuid,
    user: Uuid,
    created: Instant,
    expires_at: Instant,
}

async fn rotate(
    transaction: &mut Transaction<'_>,
    session: &Row,
    old: &RefreshHashes,
    new: &RefreshHashes,
    now: Instant,
) -> Result<(), EngineError> {
    sqlx::query!(
        "UPDATE refresh_tokens SET hash = $2, expires_at = $3 WHERE hash = $1",
        old.token.as_slice(),
        new.token.as_slice(),
        session.expires_at.micros()
    )
    .execute(&mut **transaction)
    .await
    .map_err(classify)?;
    // A session that a server of the version before has opened has no row yet.
    sqlx::query!(
        "INSERT INTO sessions (id, user_id, family, created_at, last_used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE
         SET family = excluded.family, last_used_at = excluded.last_used_at, expires_at = excluded.expires_at",
        session.id,
        session.user,
        new.family.as_slice(),
        session.created.micros(),
        now.micros(),
        session.expires_at.micros()
    )
    .execute(&mut **transaction)
    .await
    .map_err(classify)?;
    Ok(())
}

/// Removes sessions with their tokens; access tokens that name them are refused from the commit on.
async fn remove(transaction: &mut Transaction<'_>, sessions: &[Uuid]) -> Result<(), EngineError> {
    sqlx::query!("DELETE FROM refresh_tokens WHERE session = ANY ($1)", sessions)
        .execute(&mut **transaction)
        .await
        .map_err(classify)?;
    sqlx::query!("DELETE FROM sessions WHERE id = ANY ($1)", sessions)
        .execute(&mut **transaction)
        .await
        .map_err(classify)?;
    sqlx::query!(
        "INSERT INTO deleted_users (id, deleted_at) SELECT a.id, ledger_now() FROM unnest($1::uuid[]) AS a (id)
         ON CONFLICT DO NOTHING",
        sessions
    )
    .execute(&mut **transaction)
    .await
    .map_err(classify)?;
    Ok(())
}

/// See [`crate::accounts::Accounts::close_session`].
pub(super) async fn close(shared: &Shared, session: SessionId) -> Result<(), EngineError> {
    let sessions = [session.uuid()];
    let mut transaction = shared.pool.begin().await.map_err(classify)?;
    remove(&mut transaction, &sessions).await?;
    transaction.commit().await.map_err(classify_write)?;
    revoked::tell(shared, &sessions);
    revoked::in_force().await;
    Ok(())
}

/// See [`crate::accounts::Accounts::end_session`].
pub(super) async fn end(shared: &Shared, user: UserId, session: SessionId) -> Result<bool, EngineError> {
    let found = read(|| {
        sqlx::query_scalar!(
            r#"SELECT 1 AS "found!" FROM sessions WHERE id = $1 AND user_id = $2
               UNION ALL SELECT 1 FROM refresh_tokens WHERE session = $1 AND user_id = $2 LIMIT 1"#,
            session.uuid(),
            user.uuid()
        )
        .fetch_optional(&shared.pool)
    })
    .await?;
    if found.is_some() {
        close(shared, session).await?;
    }
    Ok(found.is_some())
}

/// See [`crate::accounts::Accounts::sessions`].
pub(super) async fn list(shared: &Shared, user: UserId) -> Result<Vec<Session>, EngineError> {
    let rows = read(|| {
        sqlx::query!(
            "SELECT id, created_at, last_used_at, address, agent FROM sessions
             WHERE user_id = $1 AND expires_at > ledger_now() ORDER BY last_used_at DESC, id DESC",
            user.uuid()
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    let sessions = rows.into_iter().map(|row| Session {
        id: SessionId::from_uuid(row.id),
        created_at: Instant::from_micros(row.created_at),
        last_used_at: Instant::from_micros(row.last_used_at),
        address: row.address,
        agent: row.agent,
        current: false,
    });
    Ok(sessions.collect())
}

/// See [`crate::accounts::Accounts::change_password`].
pub(super) async fn change_password(
    shared: &Shared,
    user: UserId,
    old: &str,
    new: &str,
    keep: SessionId,
) -> Result<bool, EngineError> {
    let mut transaction = shared.pool.begin().await.map_err(classify)?;
    // Holds the user's row. A sign-in with the old password that is under way has opened its session by now, and the next
    // statement finds it; or it will find another hash.
    let changed =
        sqlx::query!("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2", user.uuid(), old, new)
            .execute(&mut *transaction)
            .await
            .map_err(classify)?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    let others = sqlx::query_scalar!(
        r#"SELECT id AS "id!" FROM sessions WHERE user_id = $1 AND id <> $2
           UNION SELECT session FROM refresh_tokens WHERE user_id = $1 AND session <> $2"#,
        user.uuid(),
        keep.uuid()
    )
    .fetch_all(&mut *transaction)
    .await
    .map_err(classify)?;
    remove(&mut transaction, &others).await?;
    transaction.commit().await.map_err(classify_write)?;
    revoked::tell(shared, &others);
    revoked::in_force().await;
    Ok(true)
}
