//! Generated users, handed out one at a time and fetched in batches.
//!
//! Unique without coordination: a user's name is made of its run and its number, and two runs never share an id.
//! Who joins a run by its name (`--run`) takes random numbers, so that two who join do not meet.

use std::collections::VecDeque;
use std::time::Duration;

use card_core::ids::RunId;
use card_core::problem::Code;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::client::{Client, ClientError, SyntheticUser};

/// Fetched at once; the server signs a token for each.
const BATCH: u64 = 200;
/// Random numbers lie below this: a meeting of two is one in billions, and then another number is drawn.
const NUMBERS: u64 = 900_000_000_000;

/// A source of users, for one run.
pub struct Identities {
    client: Client,
    run: RunId,
    store: Mutex<Store>,
}

/// A token that waits longer than this is not handed out: access tokens live for a quarter of an hour.
pub const FRESH_FOR: Duration = Duration::from_secs(360);

struct Store {
    /// The next number; none for random ones.
    next: Option<u64>,
    left: u64,
    ready: VecDeque<SyntheticUser>,
    fetched: Instant,
}

impl Identities {
    /// A source for a run that this process made up. `expected` users are wanted; more are given when asked for.
    #[must_use]
    pub fn new(client: &Client, run: &RunId, expected: u64) -> Self {
        Self::numbered(client, run, Some(0), expected)
    }

    /// A source for a run that others may have tagged users with.
    #[must_use]
    pub fn joining(client: &Client, run: &RunId, expected: u64) -> Self {
        Self::numbered(client, run, None, expected)
    }

    fn numbered(client: &Client, run: &RunId, next: Option<u64>, expected: u64) -> Self {
        let store = Store { next, left: expected, ready: VecDeque::new(), fetched: Instant::now() };
        Self { client: client.clone(), run: run.clone(), store: Mutex::new(store) }
    }

    /// A user that was never handed out before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn next(&self) -> Result<SyntheticUser, ClientError> {
        // Held across the call on purpose: who comes meanwhile wants the same batch.
        let mut store = self.store.lock().await;
        if store.fetched.elapsed() > FRESH_FOR {
            store.left += store.ready.len() as u64;
            store.ready.clear();
        }
        if let Some(user) = store.ready.pop_front() {
            return Ok(user);
        }
        let count = store.left.clamp(1, BATCH);
        loop {
            // Counted before the answer: after a lost answer those numbers are taken, so they are never asked for again.
            let from = match &mut store.next {
                Some(next) => std::mem::replace(next, *next + count),
                None => rand::random_range(0..NUMBERS),
            };
            match self.client.synthetic_users(&self.run, from, count).await {
                Ok(users) => (store.ready, store.fetched) = (users.into(), Instant::now()),
                Err(error) if store.next.is_none() && error.code() == Some(Code::UsernameTaken) => continue,
                Err(error) => return Err(error),
            }
            store.left = store.left.saturating_sub(count);
            return store.ready.pop_front().ok_or_else(|| self.client.protocol("an empty batch of users"));
        }
    }
}
