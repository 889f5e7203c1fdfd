//! People: users and their sessions. The store behind them is the engine's own ledger, so that
//! a card is blocked and issued in the same transaction that settles its task.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;
use uuid::Uuid;

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

/// No access token lives longer: `auth.access-lifetime` is held to it.
pub const LONGEST_ACCESS: Duration = Duration::from_secs(24 * 3600);
/// How long an id stays refused after its user left or its session ended: longer than any token that names it, by more
/// than the clocks of two servers may differ.
pub const REVOKED_FOR: Duration = Duration::from_secs(26 * 3600);
/// Sessions that one user may have; one more ends the one that was used longest ago.
pub const SESSIONS_PER_USER: usize = 100;
/// Networks that one user is remembered to have signed in from.
pub const NETWORKS_PER_USER: usize = 10;

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

/// A hash that the store knows a part of a refresh token by.
pub type TokenHash = [u8; 32];

/// A refresh token as the store knows it: never its text. All tokens of a session have the first half in common, so that
/// one that was spent long ago is still known to be of that session, without a row for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshHashes {
    /// The SHA-256 of the whole token.
    pub token: TokenHash,
    /// The SHA-256 of what all tokens of its session have in common.
    pub family: TokenHash,
}

/// A session about to be opened.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub id: SessionId,
    pub user: UserId,
    /// The hash that the password was verified against.
    pub password_hash: String,
    /// Its first refresh token.
    pub refresh: RefreshHashes,
    /// When it is opened.
    pub created_at: Instant,
    /// When that token expires.
    pub expires_at: Instant,
    /// The network of `address` that budgets go by.
    pub network: String,
    /// Where the sign-in came from.
    pub address: String,
    /// What it was sent by (`User-Agent`).
    pub agent: Option<String>,
}

/// A session as the wire shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// When it was opened by a sign-in.
    pub created_at: Instant,
    /// When its refresh token was last used.
    pub last_used_at: Instant,
    /// Where the sign-in came from.
    pub address: Option<String>,
    /// What it was sent by (`User-Agent`).
    pub agent: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// How long a refresh makes a session last.
#[derive(Debug, Clone, Copy)]
pub struct RefreshBounds {
    /// Now.
    pub now: Instant,
    /// Life of a refresh token.
    pub token: Duration,
    /// Life of a session, from its sign-in on, however often it is refreshed.
    pub session: Duration,
}

impl RefreshBounds {
    /// When a session ends for good.
    #[must_use]
    pub fn ends_at(&self, created_at: Instant) -> Instant {
        created_at.plus(self.session)
    }

    /// When the next refresh token of a session expires; none if the session is over.
    #[must_use]
    pub fn expires_at(&self, created_at: Instant) -> Option<Instant> {
        let end = self.ends_at(created_at);
        (end > self.now).then(|| self.now.plus(self.token).min(end))
    }
}

/// When the session of a refresh token from before there were rows for sessions was opened: its id says so.
#[must_use]
pub fn created_at_of(session: Uuid, now: Instant) -> Instant {
    let (seconds, nanos) = session.get_timestamp().map_or((0, 0), |stamp| stamp.to_unix());
    let micros = i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000).saturating_add(i64::from(nanos / 1000));
    if micros == 0 { now } else { Instant::from_micros(micros).min(now) }
}

/// What became of a refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The old token is spent and the new one stored.
    Rotated {
        user: UserId,
        /// The session that both belong to.
        session: SessionId,
        /// When the session ends for good.
        ends_at: Instant,
    },
    /// The token was spent before: somebody has a copy, so its session is ended now.
    Reused,
    /// Nobody knows the token, it is expired or revoked, its session is over, or its user is gone.
    Unknown,
}

/// A sign-in about to be tried, for the budgets that it draws on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInAttempt {
    /// The name as it was given, canonical, whether there is such a user or not.
    pub name: String,
    /// The user of that name.
    pub user: Option<UserId>,
    /// The network it comes from.
    pub network: String,
}

/// Sign-ins that may fail in a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInLimits {
    /// For one name from one network.
    pub pair: u32,
    /// For one name from all networks together.
    pub account: u32,
    /// From one network for all names together.
    pub network: u32,
}

/// A budget is whole again after this.
pub const BUDGET_WINDOW: Duration = Duration::from_secs(60);

/// What a sign-in was counted under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The budgets, each with when its window began.
    pub(crate) budgets: Vec<(BudgetKey, Instant)>,
}

/// Whether a sign-in may be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It counts as failed from now on; [`Accounts::forgive_sign_in`] takes that back.
    Admitted(Counted),
    /// One of its budgets is used up; nothing was counted.
    Refused {
        /// When to try again.
        wait: Duration,
    },
}

/// What a store knows a budget by: a hash, since people type passwords into the field for the name.
pub(crate) type BudgetKey = [u8; 32];

/// The budgets of an attempt with their limits, in an order that is the same for all attempts. A network that the user
/// has signed in from before draws on budgets of its own: whoever uses up those of strangers does not lock the owner out.
pub(crate) fn budgets(attempt: &SignInAttempt, known: bool, limits: &SignInLimits) -> [(BudgetKey, u32); 3] {
    use sha2::{Digest, Sha256};
    let (name, network) = (attempt.name.as_str(), attempt.network.as_str());
    let who = if known { "known" } else { "strange" };
    let key = |parts: [&str; 4]| -> BudgetKey {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    };
    let mut budgets = [
        (key(["pair", "", name, network]), limits.pair),
        (key(["account", who, name, ""]), limits.account),
        (key(["network", who, "", network]), limits.network),
    ];
    budgets.sort_unstable();
    budgets
}

/// The accounts half of a store. Every write that returned `Ok` is durable.
///
/// Implementations MUST be safe to call from many tasks at once, MUST NOT block the calling thread for I/O,
/// and MUST compare user names by [`folded`]; no user has a name that can't be folded, and none is stored.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Names this ledger, the same for every server on it: who else has the same key is told apart by it.
    fn ledger(&self) -> Uuid;

    /// Stores a user with a password. Atomic: of two registrations of one name, one is told `UsernameTaken`.
    async fn register(&self, user: User, password_hash: String) -> Result<Registered, EngineError>;

    /// Stores generated users for a run, all or none. A name that is taken is an error of kind `Invalid`.
    async fn register_synthetic(&self, run: RunId, users: Vec<User>) -> Result<(), EngineError>;

    /// What is needed to check a password; none if there is no such user.
    async fn credentials(&self, username: &str) -> Result<Option<Credentials>, EngineError>;

    /// The user, unless deleted.
    async fn user(&self, id: UserId) -> Result<Option<User>, EngineError>;

    /// The hash of the user's password; none if there is no such user, or it can't sign in.
    async fn password_hash(&self, id: UserId) -> Result<Option<String>, EngineError>;

    /// Whether tokens of this session are refused: its user was deleted or it was ended. Asked on every authenticated
    /// request, so it is answered from memory; an answer that may be older than what a call below has waited for MUST NOT
    /// be given.
    async fn is_revoked(&self, user: UserId, session: SessionId) -> Result<bool, EngineError>;

    /// Changes whenever this process has heard that something was revoked.
    fn revocations(&self) -> watch::Receiver<u64>;

    /// Deletes the user, its sessions and what identifies it; its tasks and cards stay under the bare id. From the
    /// return on [`Accounts::is_revoked`] says true in every process on this ledger, and no session can be opened or
    /// refreshed. Deleting twice is no error; says whether there was one.
    async fn delete_user(&self, id: UserId) -> Result<bool, EngineError>;

    /// Stores a session with its first refresh token, if the user is there and has this very hash at that moment, and
    /// remembers the network. False, and nothing was stored, if not. Beyond [`SESSIONS_PER_USER`] the session that was
    /// used longest ago ends.
    async fn open_session(&self, new: NewSession) -> Result<bool, EngineError>;

    /// Spends `old` and stores `new` in one transaction. Of two calls with the same `old`, one is told `Reused`. A
    /// session takes the same room however often it is refreshed.
    async fn refresh_session(
        &self,
        old: RefreshHashes,
        new: RefreshHashes,
        bounds: RefreshBounds,
    ) -> Result<Refreshed, EngineError>;

    /// Ends a session: neither its refresh token nor its access tokens work any more, as [`Accounts::delete_user`] says.
    /// One that is not stored (its user was generated, or it has expired) is ended all the same. Twice is no error.
    async fn close_session(&self, session: SessionId) -> Result<(), EngineError>;

    /// As [`Accounts::close_session`], if the user has it; says whether it does.
    async fn end_session(&self, user: UserId, session: SessionId) -> Result<bool, EngineError>;

    /// The session that a live refresh token belongs to.
    async fn session_of(&self, token: TokenHash) -> Result<Option<(UserId, SessionId)>, EngineError>;

    /// The user's sessions that can be refreshed, the one that was used last first.
    async fn sessions(&self, user: UserId) -> Result<Vec<Session>, EngineError>;

    /// Replaces the password if it is still the one with the hash `old`, and ends every session of the user but `keep`,
    /// in one transaction. False if it is not, and nothing was changed.
    async fn change_password(
        &self,
        user: UserId,
        old: String,
        new: String,
        keep: SessionId,
    ) -> Result<bool, EngineError>;

    /// Counts a sign-in as failed, unless one of its budgets is used up. All budgets are shared by all processes on this
    /// ledger and survive a restart.
    async fn admit_sign_in(&self, attempt: SignInAttempt, limits: SignInLimits) -> Result<Admission, EngineError>;

    /// A sign-in did not fail after all, or not by a wrong password.
    async fn forgive_sign_in(&self, counted: Counted) -> Result<(), EngineError>;
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

    const LIMITS: SignInLimits = SignInLimits { pair: 5, account: 10, network: 30 };

    fn attempt(name: &str, network: &str) -> SignInAttempt {
        SignInAttempt { name: name.into(), user: None, network: network.into() }
    }

    #[test]
    fn budgets_are_told_apart_by_all_that_they_are_for() {
        let all = [
            budgets(&attempt("ada", "192.0.2.1"), false, &LIMITS),
            budgets(&attempt("bob", "192.0.2.2"), false, &LIMITS),
            // A separator that is part of the name makes no other budget of it.
            budgets(&attempt("ad", "a192.0.2.1"), false, &LIMITS),
        ];
        let keys: std::collections::HashSet<_> = all.iter().flatten().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), 9);
        let shared = |one: &[(BudgetKey, u32)], other: &[(BudgetKey, u32)]| {
            one.iter().filter(|budget| other.contains(budget)).map(|(_, limit)| *limit).collect::<Vec<_>>()
        };
        let known = budgets(&attempt("ada", "192.0.2.1"), true, &LIMITS);
        assert_eq!(shared(&all[0], &known), [LIMITS.pair]);
        assert_eq!(shared(&all[0], &budgets(&attempt("ada", "x"), false, &LIMITS)), [LIMITS.account]);
        assert_eq!(shared(&all[0], &budgets(&attempt("x", "192.0.2.1"), false, &LIMITS)), [LIMITS.network]);
    }

    #[test]
    fn a_session_ends_however_often_it_is_refreshed() {
        let (day, created) = (Duration::from_secs(86_400), Instant::from_micros(0));
        let at = |days: u32| RefreshBounds { now: created.plus(day * days), token: day * 30, session: day * 90 };
        assert_eq!(at(1).expires_at(created), Some(created.plus(day * 31)));
        assert_eq!(at(89).expires_at(created), Some(created.plus(day * 90)));
        assert_eq!(at(90).expires_at(created), None);
    }
}
