//! Users and sessions in the cluster's ledger.

use async_trait::async_trait;
use tokio::sync::watch;
use uuid::Uuid;

use super::failure::{classify, classify_write};
use super::reads::read;
use super::{ClusterEngine, budgets, revoked, user_sessions};
use crate::accounts::{
    Accounts, Admission, Counted, Credentials, NewSession, RefreshBounds, RefreshHashes, Refreshed, Registered,
    Session, SignInAttempt, SignInLimits, TokenHash, User, check_names, folded,
};
use crate::engine::{EngineError, ErrorKind};
use crate::ids::{RunId, SessionId, UserId};
use crate::time::Instant;

impl ClusterEngine {
    /// Removes users with all that is only for one that is there, and remembers the bare ids until their tokens have run
    /// out. The caller waits until that is in force.
    pub(super) async fn delete_users(&self, ids: &[UserId]) -> Result<u64, EngineError> {
        let uuids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let mut transaction = self.shared.pool.begin().await.map_err(classify)?;
        // The user's row first: who signs in holds it, so the next statement finds what that has made. Then tokens and
        // sessions, in the order in which a refresh takes them, so that neither waits for the other.
        sqlx::query!("SELECT id FROM users WHERE id = ANY ($1) ORDER BY id FOR UPDATE", &uuids)
            .fetch_all(&mut *transaction)
            .await
            .map_err(classify)?;
        sqlx::query!("DELETE FROM refresh_tokens WHERE user_id = ANY ($1)", &uuids)
            .execute(&mut *transaction)
            .await
            .map_err(classify)?;
        let deleted = sqlx::query_scalar!(
            r#"WITH gone AS (DELETE FROM users WHERE id = ANY ($1) RETURNING id),
                    noted AS (INSERT INTO deleted_users (id, deleted_at) SELECT id, ledger_now() FROM gone
                              ON CONFLICT DO NOTHING)
               SELECT id AS "id!" FROM gone"#,
            &uuids
        )
        .fetch_all(&mut *transaction)
        .await
        .map_err(classify)?;
        transaction.commit().await.map_err(classify_write)?;
        revoked::tell(&self.shared, &deleted);
        Ok(deleted.len() as u64)
    }
}

#[async_trait]
impl Accounts for ClusterEngine {
    fn ledger(&self) -> Uuid {
        self.shared.ledger
    }

    async fn register(&self, user: User, password_hash: String) -> Result<Registered, EngineError> {
        self.check_open()?;
        check_names([&user])?;
        let done = sqlx::query!(
            "INSERT INTO users (id, username, password_hash, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            user.id.uuid(),
            user.username,
            password_hash,
            user.created_at.micros()
        )
        .execute(&self.shared.pool)
        .await
        .map_err(classify_write)?;
        Ok(if done.rows_affected() == 1 { Registered::Created } else { Registered::UsernameTaken })
    }

    async fn register_synthetic(&self, run: RunId, users: Vec<User>) -> Result<(), EngineError> {
        self.check_open()?;
        check_names(&users)?;
        let ids: Vec<Uuid> = users.iter().map(|user| user.id.uuid()).collect();
        let names: Vec<&str> = users.iter().map(|user| user.username.as_str()).collect();
        let created: Vec<i64> = users.iter().map(|user| user.created_at.micros()).collect();
        let done = sqlx::query!(
            "INSERT INTO users (id, username, created_at, run)
             SELECT a.id, a.username, a.created_at, $4 FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS a (id, username, created_at)",
            &ids,
            &names as _,
            &created,
            run.as_str()
        )
        .execute(&self.shared.pool)
        .await;
        match done {
            Ok(_) => Ok(()),
            // One statement: all or none.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Err(EngineError::new(ErrorKind::Invalid, "the run has users with these numbers already"))
            }
            Err(error) => Err(classify_write(error)),
        }
    }

    async fn credentials(&self, username: &str) -> Result<Option<Credentials>, EngineError> {
        let Some(username) = folded(username) else { return Ok(None) };
        let row = read(|| {
            sqlx::query!("SELECT id, password_hash FROM users WHERE lower(username COLLATE \"C\") = $1", username)
                .fetch_optional(&self.shared.pool)
        })
        .await?;
        Ok(row.map(|row| Credentials { user: UserId::from_uuid(row.id), password_hash: row.password_hash }))
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, EngineError> {
        let row = read(|| {
            sqlx::query!("SELECT username, created_at FROM users WHERE id = $1", id.uuid())
                .fetch_optional(&self.shared.pool)
        })
        .await?;
        Ok(row.map(|row| User { id, username: row.username, created_at: Instant::from_micros(row.created_at) }))
    }

    async fn password_hash(&self, id: UserId) -> Result<Option<String>, EngineError> {
        let hash = read(|| {
            sqlx::query_scalar!("SELECT password_hash FROM users WHERE id = $1", id.uuid())
                .fetch_optional(&self.shared.pool)
        })
        .await?;
        Ok(hash.flatten())
    }

    async fn is_revoked(&self, user: UserId, session: SessionId) -> Result<bool, EngineError> {
        revoked::refuses(&self.shared, user, session).await
    }

    fn revocations(&self) -> watch::Receiver<u64> {
        self.shared.revoked.revocations.follow()
    }

    async fn delete_user(&self, id: UserId) -> Result<bool, EngineError> {
        self.check_open()?;
        let deleted = self.delete_users(&[id]).await? == 1;
        revoked::in_force().await;
        Ok(deleted)
    }

    async fn open_session(&self, new: NewSession) -> Result<bool, EngineError> {
        self.check_open()?;
        user_sessions::open(&self.shared, &new).await
    }

    async fn refresh_session(
        &self,
        old: RefreshHashes,
        new: RefreshHashes,
        bounds: RefreshBounds,
    ) -> Result<Refreshed, EngineError> {
        self.check_open()?;
        user_sessions::refresh(&self.shared, &old, &new, &bounds).await
    }

    async fn close_session(&self, session: SessionId) -> Result<(), EngineError> {
        self.check_open()?;
        user_sessions::close(&self.shared, session).await
    }

    async fn end_session(&self, user: UserId, session: SessionId) -> Result<bool, EngineError> {
        self.check_open()?;
        user_sessions::end(&self.shared, user, session).await
    }

    async fn session_of(&self, token: TokenHash) -> Result<Option<(UserId, SessionId)>, EngineError> {
        let row = read(|| {
            sqlx::query!(
                "SELECT user_id, session FROM refresh_tokens WHERE hash = $1 AND NOT spent AND expires_at > $2",
                token.as_slice(),
                Instant::now().micros()
            )
            .fetch_optional(&self.shared.pool)
        })
        .await?;
        Ok(row.map(|row| (UserId::from_uuid(row.user_id), SessionId::from_uuid(row.session))))
    }

    async fn sessions(&self, user: UserId) -> Result<Vec<Session>, EngineError> {
        user_sessions::list(&self.shared, user).await
    }

    async fn change_password(
        &self,
        user: UserId,
        old: String,
        new: String,
        keep: SessionId,
    ) -> Result<bool, EngineError> {
        self.check_open()?;
        user_sessions::change_password(&self.shared, user, &old, &new, keep).await
    }

    async fn admit_sign_in(&self, attempt: SignInAttempt, limits: SignInLimits) -> Result<Admission, EngineError> {
        self.check_open()?;
        budgets::admit(&self.shared, &attempt, &limits).await
    }

    async fn forgive_sign_in(&self, counted: Counted) -> Result<(), EngineError> {
        self.check_open()?;
        budgets::forgive(&self.shared, &counted).await
    }
}
