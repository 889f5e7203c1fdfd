//! Sessions in the embedded ledger: one row each, and one for its live refresh token. Everything here runs in the
//! writer's transaction, so that nobody comes in between.

use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::accounts::revoke;
use super::rows::uuid;
use super::writer::Ledger;
use crate::accounts::{
    NETWORKS_PER_USER, NewSession, RefreshBounds, RefreshHashes, Refreshed, SESSIONS_PER_USER, Session, created_at_of,
};
use crate::ids::{SessionId, UserId};
use crate::time::Instant;

const FOR_WHOM_IT_WAS_VERIFIED: &str = "SELECT 1 FROM users WHERE id = ?1 AND password_hash = ?2";

/// Opens a session, if the user is there with the password that was checked; the sessions that had to make room for it.
pub(super) fn open(ledger: &Ledger<'_>, new: &NewSession) -> rusqlite::Result<Option<Vec<Uuid>>> {
    let (connection, user) = (ledger.connection, new.user.uuid().into_bytes());
    if !connection.prepare_cached(FOR_WHOM_IT_WAS_VERIFIED)?.exists(params![user, new.password_hash])? {
        return Ok(None);
    }
    connection
        .prepare_cached(
            "INSERT INTO sessions (id, user, family, created_at, last_used_at, expires_at, address, agent)
             VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            new.id.uuid().as_bytes(),
            user,
            new.refresh.family,
            new.created_at.micros(),
            new.expires_at.micros(),
            new.address,
            new.agent
        ])?;
    connection
        .prepare_cached(
            "INSERT INTO refresh_tokens (hash, session, user, expires_at, spent) VALUES (?1, ?2, ?3, ?4, 0)",
        )?
        .execute(params![new.refresh.token, new.id.uuid().as_bytes(), user, new.expires_at.micros()])?;
    connection
        .prepare_cached(
            "INSERT INTO known_networks (user, network, last_used_at) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET last_used_at = excluded.last_used_at",
        )?
        .execute(params![user, new.network, ledger.now.micros()])?;
    connection
        .prepare_cached(
            "DELETE FROM known_networks WHERE user = ?1 AND network IN (
             SELECT network FROM known_networks WHERE user = ?1 ORDER BY last_used_at DESC LIMIT -1 OFFSET ?2)",
        )?
        .execute(params![user, NETWORKS_PER_USER as i64])?;
    let surplus = connection
        .prepare_cached("SELECT id FROM sessions WHERE user = ?1 ORDER BY last_used_at DESC LIMIT -1 OFFSET ?2")?
        .query_map(params![user, SESSIONS_PER_USER as i64], |row| uuid(row, 0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for session in &surplus {
        remove(connection, *session, ledger.now)?;
    }
    Ok(Some(surplus))
}

/// What became of a refresh, and the session that it ended.
pub(super) fn refresh(
    ledger: &Ledger<'_>,
    old: &RefreshHashes,
    new: &RefreshHashes,
    bounds: &RefreshBounds,
) -> rusqlite::Result<(Refreshed, Option<Uuid>)> {
    let connection = ledger.connection;
    let found = connection
        .prepare_cached(
            "SELECT t.session, t.user, t.expires_at, t.spent, s.created_at
             FROM refresh_tokens t LEFT JOIN sessions s ON s.id = t.session WHERE t.hash = ?1",
        )?
        .query_row([old.token], |row| {
            let expires_at = Instant::from_micros(row.get(2)?);
            Ok((uuid(row, 0)?, uuid(row, 1)?, expires_at, row.get::<_, bool>(3)?, row.get::<_, Option<i64>>(4)?))
        })
        .optional()?;
    let Some((session, user, expires, spent, created)) = found else {
        let family = connection
            .prepare_cached("SELECT id FROM sessions WHERE family = ?1")?
            .query_row([old.family], |row| uuid(row, 0))
            .optional()?;
        return match family {
            Some(session) => reused(ledger, session),
            None => Ok((Refreshed::Unknown, None)),
        };
    };
    if spent {
        return reused(ledger, session);
    }
    if expires <= bounds.now {
        return Ok((Refreshed::Unknown, None));
    }
    let created = created.map_or_else(|| created_at_of(session, bounds.now), Instant::from_micros);
    let Some(expires_at) = bounds.expires_at(created) else {
        remove(connection, session, ledger.now)?;
        return Ok((Refreshed::Unknown, Some(session)));
    };
    connection
        .prepare_cached("UPDATE refresh_tokens SET hash = ?2, expires_at = ?3 WHERE hash = ?1")?
        .execute(params![old.token, new.token, expires_at.micros()])?;
    connection
        .prepare_cached(
            "INSERT INTO sessions (id, user, family, created_at, last_used_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE
             SET family = excluded.family, last_used_at = excluded.last_used_at, expires_at = excluded.expires_at",
        )?
        .execute(params![
            session.as_bytes(),
            user.as_bytes(),
            new.family,
            created.micros(),
            bounds.now.micros(),
            expires_at.micros()
        ])?;
    let (user, session) = (UserId::from_uuid(user), SessionId::from_uuid(session));
    Ok((Refreshed::Rotated { user, session, ends_at: bounds.ends_at(created) }, None))
}

fn reused(ledger: &Ledger<'_>, session: Uuid) -> rusqlite::Result<(Refreshed, Option<Uuid>)> {
    remove(ledger.connection, session, ledger.now)?;
    Ok((Refreshed::Reused, Some(session)))
}

/// Ends a session of the user; says whether it was one.
pub(super) fn end(connection: &Connection, user: UserId, session: SessionId, now: Instant) -> rusqlite::Result<bool> {
    let found = connection
        .prepare_cached(
            "SELECT 1 FROM sessions WHERE id = ?1 AND user = ?2
             UNION ALL SELECT 1 FROM refresh_tokens WHERE session = ?1 AND user = ?2",
        )?
        .exists(params![session.uuid().as_bytes(), user.uuid().as_bytes()])?;
    if found {
        remove(connection, session.uuid(), now)?;
    }
    Ok(found)
}

/// Ends all sessions of a user but one.
pub(super) fn end_others(
    connection: &Connection,
    user: UserId,
    keep: SessionId,
    now: Instant,
) -> rusqlite::Result<Vec<Uuid>> {
    let others = connection
        .prepare_cached(
            "SELECT id FROM sessions WHERE user = ?1 AND id <> ?2
             UNION SELECT session FROM refresh_tokens WHERE user = ?1 AND session <> ?2",
        )?
        .query_map(params![user.uuid().as_bytes(), keep.uuid().as_bytes()], |row| uuid(row, 0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for session in &others {
        remove(connection, *session, now)?;
    }
    Ok(others)
}

/// The sessions of a user that can be refreshed, the one that was used last first.
pub(super) fn list(connection: &Connection, user: UserId, now: Instant) -> rusqlite::Result<Vec<Session>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, created_at, last_used_at, address, agent FROM sessions
         WHERE user = ?1 AND expires_at > ?2 ORDER BY last_used_at DESC, id DESC",
    )?;
    let rows = statement.query_map(params![user.uuid().as_bytes(), now.micros()], |row| {
        Ok(Session {
            id: SessionId::from_uuid(uuid(row, 0)?),
            created_at: Instant::from_micros(row.get(1)?),
            last_used_at: Instant::from_micros(row.get(2)?),
            address: row.get(3)?,
            agent: row.get(4)?,
            current: false,
        })
    })?;
    rows.collect()
}

/// Removes a session with its tokens; access tokens that name it are refused from now on.
pub(super) fn remove(connection: &Connection, session: Uuid, now: Instant) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM refresh_tokens WHERE session = ?1")?.execute([session.as_bytes()])?;
    connection.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([session.as_bytes()])?;
    revoke(connection, session, now)
}
