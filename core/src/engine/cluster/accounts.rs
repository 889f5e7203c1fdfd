//! Users, sessions and cards in the cluster's ledger.

use async_trait::async_trait;
use uuid::Uuid;

use super::ClusterEngine;
use super::delivery::Channel;
use super::failure::classify_write;
use super::reads::read;
use super::settle::network_of;
use crate::accounts::{Accounts, Credentials, Refreshed, Registered, TokenHash, User, check_names, folded};
use crate::cards::{Card, CardStatus};
use crate::engine::{EngineError, ErrorKind};
use crate::ids::{CardId, RunId, SessionId, TaskId, UserId};
use crate::time::Instant;

impl ClusterEngine {
    /// Removes users and what identifies them, and remembers the bare ids until their tokens have run out.
    pub(super) async fn delete_users(&self, ids: &[UserId]) -> Result<u64, EngineError> {
        let uuids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let deleted = sqlx::query_scalar!(
            r#"WITH gone AS (DELETE FROM users WHERE id = ANY ($1) RETURNING id),
                    tokens AS (DELETE FROM refresh_tokens WHERE user_id = ANY ($1)),
                    noted AS (INSERT INTO deleted_users SELECT id, ledger_now() FROM gone ON CONFLICT DO NOTHING)
               SELECT id AS "id!" FROM gone"#,
            &uuids
        )
        .fetch_all(&self.shared.pool)
        .await
        .map_err(classify_write)?;
        self.shared.deleted_mut().extend(deleted.iter().map(|id| UserId::from_uuid(*id)));
        if !deleted.is_empty() {
            self.shared.ringer.tell(Channel::Note, self.shared.origin.to_be_bytes().to_vec());
        }
        Ok(deleted.len() as u64)
    }
}

#[async_trait]
impl Accounts for ClusterEngine {
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

    fn is_deleted(&self, id: UserId) -> bool {
        self.shared.deleted().contains(&id)
    }

    async fn delete_user(&self, id: UserId) -> Result<bool, EngineError> {
        self.check_open()?;
        Ok(self.delete_users(&[id]).await? == 1)
    }

    async fn open_session(
        &self,
        user: UserId,
        session: SessionId,
        token: TokenHash,
        expires_at: Instant,
    ) -> Result<(), EngineError> {
        self.check_open()?;
        sqlx::query!(
            "INSERT INTO refresh_tokens (hash, session, user_id, expires_at, spent) VALUES ($1, $2, $3, $4, false)",
            token.as_slice(),
            session.uuid(),
            user.uuid(),
            expires_at.micros()
        )
        .execute(&self.shared.pool)
        .await
        .map_err(classify_write)?;
        Ok(())
    }

    async fn refresh_session(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Instant,
        expires_at: Instant,
    ) -> Result<Refreshed, EngineError> {
        self.check_open()?;
        let mut transaction = self.shared.pool.begin().await.map_err(super::failure::classify)?;
        // The row is locked: of two calls with one token the second sees what the first has done.
        let found = sqlx::query!(
            "SELECT session, user_id, expires_at, spent FROM refresh_tokens WHERE hash = $1 FOR UPDATE",
            old.as_slice()
        )
        .fetch_optional(&mut *transaction)
        .await
        .map_err(super::failure::classify)?;
        let Some(found) = found else { return Ok(Refreshed::Unknown) };
        let refreshed = if found.spent {
            sqlx::query!("DELETE FROM refresh_tokens WHERE session = $1", found.session)
                .execute(&mut *transaction)
                .await
                .map_err(super::failure::classify)?;
            Refreshed::Reused
        } else if found.expires_at <= now.micros() {
            return Ok(Refreshed::Unknown);
        } else {
            sqlx::query!(
                "WITH spent AS (UPDATE refresh_tokens SET spent = true WHERE hash = $1)
                 INSERT INTO refresh_tokens (hash, session, user_id, expires_at, spent) VALUES ($2, $3, $4, $5, false)",
                old.as_slice(),
                new.as_slice(),
                found.session,
                found.user_id,
                expires_at.micros()
            )
            .execute(&mut *transaction)
            .await
            .map_err(super::failure::classify)?;
            Refreshed::Rotated { user: UserId::from_uuid(found.user_id), session: SessionId::from_uuid(found.session) }
        };
        transaction.commit().await.map_err(classify_write)?;
        Ok(refreshed)
    }

    async fn close_session(&self, session: SessionId) -> Result<(), EngineError> {
        self.check_open()?;
        sqlx::query!("DELETE FROM refresh_tokens WHERE session = $1", session.uuid())
            .execute(&self.shared.pool)
            .await
            .map_err(classify_write)?;
        Ok(())
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

    async fn cards(&self, owner: UserId) -> Result<Vec<Card>, EngineError> {
        let rows = read(|| {
            sqlx::query!(
                "SELECT id, last4, network, active, issued_at, replaces, task FROM cards
                 WHERE owner = $1 ORDER BY issued_at DESC, id DESC",
                owner.uuid()
            )
            .fetch_all(&self.shared.pool)
        })
        .await?;
        let cards = rows.into_iter().map(|row| Card {
            id: CardId::from_uuid(row.id),
            last4: row.last4,
            network: network_of(row.network),
            status: if row.active { CardStatus::Active } else { CardStatus::Blocked },
            issued_at: Instant::from_micros(row.issued_at),
            replaces: row.replaces.map(CardId::from_uuid),
            task: TaskId::from_uuid(row.task),
        });
        Ok(cards.collect())
    }
}
