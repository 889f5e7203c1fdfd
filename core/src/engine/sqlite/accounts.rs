//! Users and sessions in the embedded ledger.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::watch;
use uuid::Uuid;

use super::rows::uuid;
use super::shared::Shared;
use super::writer::Ledger;
use super::{SqliteEngine, budgets, sessions};
use crate::accounts::{
    Accounts, Admission, BUDGET_WINDOW, Counted, Credentials, NewSession, REVOKED_FOR, RefreshBounds, RefreshHashes,
    Refreshed, Registered, Session, SignInAttempt, SignInLimits, TokenHash, User, check_names, folded,
};
use crate::engine::{EngineError, ErrorKind};
use crate::ids::{RunId, SessionId, UserId};
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

/// Removes a user with all that is only for one that is there, and remembers the bare id until its tokens have run out.
pub(super) fn delete(connection: &Connection, user: UserId, now: Instant) -> rusqlite::Result<bool> {
    let id = user.uuid().into_bytes();
    let deleted = connection.prepare_cached("DELETE FROM users WHERE id = ?1")?.execute([id])?;
    if deleted == 1 {
        revoke(connection, user.uuid(), now)?;
    }
    Ok(deleted == 1)
}

/// Notes that access tokens that name this user or session are refused.
pub(super) fn revoke(connection: &Connection, id: Uuid, now: Instant) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO deleted_users (id, deleted_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![id.as_bytes(), now.micros()])?;
    Ok(())
}

/// All that is refused.
pub(super) fn revoked(connection: &Connection) -> rusqlite::Result<Vec<(Uuid, Instant)>> {
    let mut statement = connection.prepare("SELECT id, deleted_at FROM deleted_users")?;
    let rows = statement.query_map([], |row| Ok((uuid(row, 0)?, Instant::from_micros(row.get(1)?))))?;
    rows.collect()
}

/// This ledger's own name.
pub(super) fn ledger(connection: &Connection) -> rusqlite::Result<Uuid> {
    connection.query_row("SELECT id FROM ledger", [], |row| uuid(row, 0))
}

/// Removes what can't matter any more: expired tokens, old revocations, budgets that are whole again.
pub(super) fn prune(ledger: &Ledger<'_>) -> rusqlite::Result<()> {
    let (connection, now) = (ledger.connection, ledger.now);
    connection.prepare_cached("DELETE FROM refresh_tokens WHERE expires_at < ?1")?.execute([now.micros()])?;
    connection.prepare_cached("DELETE FROM sessions WHERE expires_at < ?1")?.execute([now.micros()])?;
    connection
        .prepare_cached("DELETE FROM deleted_users WHERE deleted_at < ?1")?
        .execute([now.minus(REVOKED_FOR).micros()])?;
    connection
        .prepare_cached("DELETE FROM sign_in_budgets WHERE since < ?1")?
        .execute([now.minus(BUDGET_WINDOW).micros()])?;
    Ok(())
}

/// Sessions that ended.
fn told(ended: &Option<Vec<Uuid>>, shared: &Shared) {
    let now = Instant::now();
    shared.revocations.add(ended.iter().flatten().map(|session| (*session, now)));
}

#[async_trait]
impl Accounts for SqliteEngine {
    fn ledger(&self) -> Uuid {
        self.ledger
    }

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

    async fn password_hash(&self, id: UserId) -> Result<Option<String>, EngineError> {
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached("SELECT password_hash FROM users WHERE id = ?1")?;
                Ok(statement.query_row([id.uuid().as_bytes()], |row| row.get(0)).optional()?.flatten())
            })
            .await
    }

    async fn is_revoked(&self, user: UserId, session: SessionId) -> Result<bool, EngineError> {
        Ok(self.shared.revocations.refuses(user, session))
    }

    fn revocations(&self) -> watch::Receiver<u64> {
        self.shared.revocations.follow()
    }

    async fn delete_user(&self, id: UserId) -> Result<bool, EngineError> {
        self.writer
            .call_then(
                move |ledger| delete(ledger.connection, id, ledger.now),
                move |existed, shared| {
                    if *existed {
                        shared.revocations.add([(id.uuid(), Instant::now())]);
                    }
                },
            )
            .await
    }

    async fn open_session(&self, new: NewSession) -> Result<bool, EngineError> {
        self.writer.call_then(move |ledger| sessions::open(ledger, &new), told).await.map(|opened| opened.is_some())
    }

    async fn refresh_session(
        &self,
        old: RefreshHashes,
        new: RefreshHashes,
        bounds: RefreshBounds,
    ) -> Result<Refreshed, EngineError> {
        let refresh = move |ledger: &mut Ledger<'_>| sessions::refresh(ledger, &old, &new, &bounds);
        let told = |(_, ended): &(Refreshed, Option<Uuid>), shared: &Shared| {
            shared.revocations.add(ended.map(|session| (session, Instant::now())));
        };
        Ok(self.writer.call_then(refresh, told).await?.0)
    }

    async fn close_session(&self, session: SessionId) -> Result<(), EngineError> {
        let close = move |ledger: &mut Ledger<'_>| {
            sessions::remove(ledger.connection, session.uuid(), ledger.now)?;
            Ok(Some(vec![session.uuid()]))
        };
        self.writer.call_then(close, told).await.map(drop)
    }

    async fn end_session(&self, user: UserId, session: SessionId) -> Result<bool, EngineError> {
        let end = move |ledger: &mut Ledger<'_>| {
            let ended = sessions::end(ledger.connection, user, session, ledger.now)?;
            Ok(ended.then(|| vec![session.uuid()]))
        };
        Ok(self.writer.call_then(end, told).await?.is_some())
    }

    async fn session_of(&self, token: TokenHash) -> Result<Option<(UserId, SessionId)>, EngineError> {
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT user, session FROM refresh_tokens WHERE hash = ?1 AND spent = 0 AND expires_at > ?2",
                )?;
                statement
                    .query_row(params![token, Instant::now().micros()], |row| {
                        Ok((UserId::from_uuid(uuid(row, 0)?), SessionId::from_uuid(uuid(row, 1)?)))
                    })
                    .optional()
            })
            .await
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<Session>, EngineError> {
        self.readers.read(move |connection| sessions::list(connection, user, Instant::now())).await
    }

    async fn change_password(
        &self,
        user: UserId,
        old: String,
        new: String,
        keep: SessionId,
    ) -> Result<bool, EngineError> {
        let change = move |ledger: &mut Ledger<'_>| {
            let changed = ledger
                .connection
                .prepare_cached("UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2")?
                .execute(params![user.uuid().as_bytes(), old, new])?;
            if changed == 0 {
                return Ok(None);
            }
            sessions::end_others(ledger.connection, user, keep, ledger.now).map(Some)
        };
        Ok(self.writer.call_then(change, told).await?.is_some())
    }

    async fn admit_sign_in(&self, attempt: SignInAttempt, limits: SignInLimits) -> Result<Admission, EngineError> {
        self.writer.call(move |ledger| budgets::admit(ledger, &attempt, &limits)).await
    }

    async fn forgive_sign_in(&self, counted: Counted) -> Result<(), EngineError> {
        self.writer.call(move |ledger| budgets::forgive(ledger, &counted)).await
    }
}
