//! People: users, their sessions and their cards. The store behind them is the engine's own ledger, so that
//! a card is blocked and issued in the same transaction that settles its task.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cards::Card;
use crate::engine::{EngineError, ErrorKind};
use crate::ids::{RunId, SessionId, UserId};
use crate::time::Instant;

/// Longest name of a generated user: a run id, a dash and a number.
const LONGEST_NAME: usize = 96;

/// The form by which user names are compared, stored apart and counted: every look-up, every unique index and every
/// limit by name goes by it. None for text that no user can be called, which needs no look into a store.
///
/// It is made here and nowhere else. What a database calls lower case depends on its collation: in Turkish `I` becomes
/// `ı`, and the Kelvin sign becomes `k` in most. Names are ASCII, so that each has one folded form on every engine.
#[must_use]
pub fn folded(username: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let possible = (1..=LONGEST_NAME).contains(&username.len()) && username.bytes().all(plain);
    possible.then(|| username.to_ascii_lowercase())
}

/// Whether users can be stored under their names.
///
/// # Errors
/// `Invalid`: one of them has no folded form.
pub(crate) fn check_names<'a>(users: impl IntoIterator<Item = &'a User>) -> Result<(), EngineError> {
    if users.into_iter().all(|user| folded(&user.username).is_some()) {
        return Ok(());
    }
    // Not the name: it may be anything.
    Err(EngineError::new(ErrorKind::Invalid, "a user name has letters, digits, '.', '_' and '-' (ASCII) only"))
}

/// A user as the wire shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Unique whatever its letter case.
    pub username: String,
    /// When it was registered.
    pub created_at: Instant,
}

/// What a sign-in needs to know of a user.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Whose.
    pub user: UserId,
    /// The PHC string of the password's argon2id hash; none for generated users, who can't sign in.
    pub password_hash: Option<String>,
}

/// What became of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// It is stored.
    Created,
    /// Another user has the name.
    UsernameTaken,
}

/// A refresh token as the store knows it: only its SHA-256.
pub type TokenHash = [u8; 32];

/// What became of a refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The old token is spent and the new one stored.
    Rotated {
        /// Whose.
        user: UserId,
        /// The family that both belong to.
        session: SessionId,
    },
    /// The token was spent before: somebody has a copy, so its whole family is revoked now.
    Reused,
    /// Nobody knows the token, or it is expired or revoked.
    Unknown,
}

/// The accounts half of a store. Every write that returned `Ok` is durable.
///
/// Implementations MUST be safe to call from many tasks at once, MUST NOT block the calling thread for I/O,
/// and MUST compare user names by [`folded`]; no user has a name that can't be folded, and none is stored.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Stores a user with a password. Atomic: of two registrations of one name, one is told `UsernameTaken`.
    async fn register(&self, user: User, password_hash: String) -> Result<Registered, EngineError>;

    /// Stores generated users for a run, all or none. A name that is taken is an error of kind `Invalid`.
    async fn register_synthetic(&self, run: RunId, users: Vec<User>) -> Result<(), EngineError>;

    /// What is needed to check a password; none if there is no such user.
    async fn credentials(&self, username: &str) -> Result<Option<Credentials>, EngineError>;

    /// The user, unless deleted.
    async fn user(&self, id: UserId) -> Result<Option<User>, EngineError>;

    /// Whether the user was deleted in the last access-token lifetime. Asked on every authenticated request, so it
    /// MUST be answered from memory.
    fn is_deleted(&self, id: UserId) -> bool;

    /// Deletes the user, its sessions and what identifies it; its tasks and cards stay under the bare id. From the
    /// return on, [`Accounts::is_deleted`] says true. Deleting twice is no error; says whether there was one.
    async fn delete_user(&self, id: UserId) -> Result<bool, EngineError>;

    /// Stores the first refresh token of a new family.
    async fn open_session(
        &self,
        user: UserId,
        session: SessionId,
        token: TokenHash,
        expires_at: Instant,
    ) -> Result<(), EngineError>;

    /// Spends `old` and stores `new` in one transaction. Of two calls with the same `old`, one is told `Reused`.
    async fn refresh_session(
        &self,
        old: TokenHash,
        new: TokenHash,
        now: Instant,
        expires_at: Instant,
    ) -> Result<Refreshed, EngineError>;

    /// Revokes a family of refresh tokens. Revoking twice is no error.
    async fn close_session(&self, session: SessionId) -> Result<(), EngineError>;

    /// The family that a live refresh token belongs to.
    async fn session_of(&self, token: TokenHash) -> Result<Option<(UserId, SessionId)>, EngineError>;

    /// The user's cards, newest first.
    async fn cards(&self, owner: UserId) -> Result<Vec<Card>, EngineError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_folded_form_whatever_the_language() {
        assert_eq!(folded("ISTANBUL"), folded("istanbul"));
        assert_eq!(folded("Ada.Lovelace_1-x").as_deref(), Some("ada.lovelace_1-x"));
        // Kelvin sign, dotless and dotted i, sharp s, full width, combining dot.
        for foreign in
            ["\u{212a}evin", "\u{131}stanbul", "\u{130}stanbul", "stra\u{df}e", "\u{ff21}da", "i\u{307}stanbul"]
        {
            assert_eq!(folded(foreign), None, "{foreign}");
        }
        for impossible in ["", "a\0b", "a b", "a/b", &"a".repeat(LONGEST_NAME + 1)] {
            assert_eq!(folded(impossible), None, "{impossible:?}");
        }
        let generated = format!("{}-{}", "r".repeat(64), 1_000_000_010_000_u64);
        assert!(folded(&generated).is_some(), "the longest name of a generated user");
    }
}
