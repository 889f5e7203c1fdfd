//! Users, sessions and cards in the embedded ledger.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{optional_uuid, uuid};
use super::writer::Ledger;
use super::{SqliteEngine, rows};
use crate::accounts::{Accounts, Credentials, Refreshed, Registered, TokenHash, User, check_names, folded};
use crate::cards::{Card, CardStatus, Network};
use crate::engine::{EngineError, ErrorKind};
use crate::ids::{CardId, RunId, SessionId, TaskId, UserId};
use crate::time::Instant;

const INSERT_USER: &str = "
    INSERT INTO users (id, username, password_hash, created_at, run) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";

fn insert(ledger: &Ledger<'_>, user: &User, hash: Option<&str>, run: Option<&RunId>) -> rusqlite::Result<bool> {
    let mut statement = ledger.connection.prepare_cached(INSERT_USER)?;
    let inserted = statement.execute(params![
        user.id.uuid().as_bytes(),
        user.username,
        hash,
        user.created_at.micros(),
        run.map(RunId::as_str)
    ])?;
    Ok(inserted == 1)
}

/// Removes a user and what identifies it, and remembers the bare id until its tokens have run out.
pub(super) fn delete(connection: &Connection, user: UserId, now: Instant) -> rusqlite::Result<bool> {
    let id = user.uuid().into_bytes();
    let deleted = connection.prepare_cached("DELETE FROM users WHERE id = ?1")?.execute([id])?;
    connection.prepare_cached("DELETE FROM refresh_tokens WHERE user = ?1")?.execute([id])?;
    if deleted == 1 {
        connection
            .prepare_cached("INSERT INTO deleted_users (id, deleted_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![id, now.micros()])?;
    }
    Ok(deleted == 1)
}

fn refresh(
    ledger: &Ledger<'_>,
    old: &TokenHash,
    new: &TokenHash,
    now: Instant,
    expires_at: Instant,
) -> rusqlite::Result<Refreshed> {
    let connection = ledger.connection;
    let found = connection
        .prepare_cached("SELECT session, user, expires_at, spent FROM refresh_tokens WHERE hash = ?1")?
        .query_row([old], |row| {
            Ok((uuid(row, 0)?, uuid(row, 1)?, Instant::from_micros(row.get(2)?), row.get::<_, bool>(3)?))
        })
        .optional()?;
    let Some((session, user, expires, spent)) = found else { return Ok(Refreshed::Unknown) };
    if spent {
        connection.prepare_cached("DELETE FROM refresh_tokens WHERE session = ?1")?.execute([session.as_bytes()])?;
        return Ok(Refreshed::Reused);
    }
    if expires <= now {
        return Ok(Refreshed::Unknown);
    }
    connection.prepare_cached("UPDATE refresh_tokens SET spent = 1 WHERE hash = ?1")?.execute([old])?;
    store_token(ledger, new, session, user, expires_at)?;
    Ok(Refreshed::Rotated { user: UserId::from_uuid(user), session: SessionId::from_uuid(session) })
}

fn store_token(
    ledger: &Ledger<'_>,
    hash: &TokenHash,
    session: uuid::Uuid,
    user: uuid::Uuid,
    expires_at: Instant,
) -> rusqlite::Result<()> {
    ledger
        .connection
        .prepare_cached(
            "INSERT INTO refresh_tokens (hash, session, user, expires_at, spent) VALUES (?1, ?2, ?3, ?4, 0)",
        )?
        .execute(params![hash, session.as_bytes(), user.as_bytes(), expires_at.micros()])?;
    Ok(())
}

fn read_card(row: &rusqlite::Row<'_>) -> rusqlite::Result<Card> {
    let network: i64 = row.get(2)?;
    Ok(Card {
        id: CardId::from_uuid(uuid(row, 0)?),
        last4: row.get(1)?,
        network: usize::try_from(network).ok().and_then(|at| Network::ALL.get(at).copied()).unwrap_or(Network::Visa),
        status: if row.get(3)? { CardStatus::Active } else { CardStatus::Blocked },
        issued_at: Instant::from_micros(row.get(4)?),
        replaces: optional_uuid(row, 5)?.map(CardId::from_uuid),
        task: TaskId::from_uuid(uuid(row, 6)?),
    })
}

#[async_trait]
impl Accounts for SqliteEngine {
    async fn register(&self, user: User, password_hash: String) -> Result<Registered, EngineError> {
        check_names([&user])?;
        self.writer
            .call(move |ledger| {
                let inserted = insert(ledger, &user, Some(&password_hash), None)?;
                Ok(if inserted { Registered::Created } else { Registered::UsernameTaken })
            })
            .await
    }

    async fn register_synthetic(&self, run: RunId, users: Vec<User>) -> Result<(), EngineError> {
        check_names(&users)?;
        let taken = self
            .writer
            .call(move |ledger| {
                // All or none: nobody else writes in between, so looking first is safe.
                let mut statement = ledger.connection.prepare_cached("SELECT 1 FROM users WHERE username = ?1")?;
                for user in &users {
                    if statement.exists([&user.username])? {
                        return Ok(true);
                    }
                }
                for user in &users {
                    insert(ledger, user, None, Some(&run))?;
                }
                Ok(false)
            })
            .await?;
        if taken {
            return Err(EngineError::new(ErrorKind::Invalid, "the run has users with these numbers already"));
        }
        Ok(())
    }

    async fn credentials(&self, username: &str) -> Result<Option<Credentials>, EngineError> {
        let Some(username) = folded(username) else { return Ok(None) };
        self.readers
            .read(move |connection| {
                let mut statement =
                    connection.prepare_cached("SELECT id, password_hash FROM users WHERE username = ?1")?;
                statement
                    .query_row([username], |row| {
                        Ok(Credentials { user: UserId::from_uuid(uuid(row, 0)?), password_hash: row.get(1)? })
                    })
                    .optional()
            })
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, EngineError> {
        self.readers
            .read(move |connection| {
                let mut statement =
                    connection.prepare_cached("SELECT username, created_at FROM users WHERE id = ?1")?;
                statement
                    .query_row([id.uuid().as_bytes()], |row| {
                        Ok(User { id, username: row.get(0)?, created_at: Instant::from_micros(row.get(1)?) })
                    })
                    .optional()
            })
            .await
    }

    fn is_deleted(&self, id: UserId) -> bool {
        self.shared.deleted().contains(&id)
    }

    async fn delete_user(&self, id: UserId) -> Result<bool, EngineError> {
        let existed = self.writer.call(move |ledger| delete(ledger.connection, id, ledger.now)).await?;
        if existed {
            self.shared.deleted_mut().insert(id);
        }
        Ok(existed)
    }

    async fn open_session(
        &self,
        user: UserId,
        session: SessionId,
        token: TokenHash,
        expires_at: Instant,
    ) -> Result<(), EngineError> {
        self.writer.call(move |ledger| store_token(ledger, &token, session.uuid(), user.uuid(), expires_at)).await
    }

    async fn refresh_session(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Instant,
        expires_at: Instant,
    ) -> Result<Refreshed, EngineError> {
        self.writer.call(move |ledger| refresh(ledger, &old, &new, now, expires_at)).await
    }

    async fn close_session(&self, session: SessionId) -> Result<(), EngineError> {
        self.writer
            .call(move |ledger| {
                ledger
                    .connection
                    .prepare_cached("DELETE FROM refresh_tokens WHERE session = ?1")?
                    .execute([session.uuid().as_bytes()])?;
                Ok(())
            })
            .await
    }

    async fn session_of(&self, token: TokenHash) -> Result<Option<(UserId, SessionId)>, EngineError> {
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT user, session FROM refresh_tokens WHERE hash = ?1 AND spent = 0 AND expires_at > ?2",
                )?;
                statement
                    .query_row(params![token, Instant::now().micros()], |row| {
                        Ok((UserId::from_uuid(uuid(row, 0)?), SessionId::from_uuid(rows::uuid(row, 1)?)))
                    })
                    .optional()
            })
            .await
    }

    async fn cards(&self, owner: UserId) -> Result<Vec<Card>, EngineError> {
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT c.id, c.last4, c.network, c.active, c.issued_at, c.replaces, t.id
                     FROM cards c JOIN tasks t ON t.seq = c.task WHERE c.owner = ?1 ORDER BY c.issued_at DESC, c.id DESC",
                )?;
                let cards = statement.query_map([owner.uuid().as_bytes()], read_card)?;
                cards.collect()
            })
            .await
    }
}
