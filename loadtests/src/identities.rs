//! Generated users, handed out one at a time and fetched in batches.
//!
//! Unique without coordination: a user's name is made of its run and its number, and two runs never share an id.
//! A run that is joined by name (`--run`) numbers its users from the present time, so that two who join do not meet.

use std::collections::VecDeque;

use card_core::ids::RunId;
use card_core::time::Instant;
use tokio::sync::Mutex;

use crate::client::{Client, ClientError, SyntheticUser};

/// Fetched at once; the server signs a token for each.
const BATCH: u64 = 200;

/// A source of users, for one run.
pub struct Identities {
    client: Client,
    run: RunId,
    store: Mutex<Store>,
}

struct Store {
    next: u64,
    left: u64,
    ready: VecDeque<SyntheticUser>,
}

impl Identities {
    /// A source for a run that this process made up. `expected` users are wanted; more are given when asked for.
    #[must_use]
    pub fn new(client: &Client, run: &RunId, expected: u64) -> Self {
        Self::numbered(client, run, 0, expected)
    }

    /// A source for a run that others may have tagged users with.
    #[must_use]
    pub fn joining(client: &Client, run: &RunId, expected: u64) -> Self {
        let micros = u64::try_from(Instant::now().micros()).unwrap_or_default();
        Self::numbered(client, run, micros, expected)
    }

    fn numbered(client: &Client, run: &RunId, from: u64, expected: u64) -> Self {
        let store = Store { next: from, left: expected, ready: VecDeque::new() };
        Self { client: client.clone(), run: run.clone(), store: Mutex::new(store) }
    }

    /// A user that was never handed out before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn next(&self) -> Result<SyntheticUser, ClientError> {
        // Held across the call on purpose: who comes meanwhile wants the same batch.
        let mut store = self.store.lock().await;
        if let Some(user) = store.ready.pop_front() {
            return Ok(user);
        }
        let count = store.left.clamp(1, BATCH);
        let from = store.next;
        // Counted before the answer: after a lost answer those numbers are taken, so they are never asked for again.
        store.next += count;
        store.left = store.left.saturating_sub(count);
        store.ready = self.client.synthetic_users(&self.run, from, count).await?.into();
        store.ready.pop_front().ok_or_else(|| self.client.protocol("an empty batch of users"))
    }
}
