//! Generated users, handed out one at a time and fetched in batches.
//!
//! Unique without coordination: a user's name is made of its run and its number, and two runs never share an id.
//! Who joins a run by its name (`--run`) takes random numbers, so that two who join do not meet.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use card_core::ids::RunId;
use card_core::problem::Code;
use futures::StreamExt;

use crate::{Client, ClientError, SyntheticUser};

/// Fetched at once; the server signs a token for each.
const BATCH: u64 = 200;
/// Batches under way at once when many are prepared.
const BATCHES: usize = 4;
/// Random numbers lie below this: a meeting of two is one in billions, and then another number is drawn.
const NUMBERS: u64 = 900_000_000_000;

/// A token that is older than this is not handed out: access tokens live for a quarter of an hour.
pub const FRESH_FOR: Duration = Duration::from_secs(360);

/// A source of users, for one run.
pub struct Identities {
    client: Client,
    run: RunId,
    ready: Mutex<VecDeque<SyntheticUser>>,
    /// Held across the call on purpose: who comes meanwhile wants the same batch.
    fetch: tokio::sync::Mutex<()>,
    /// The next number; none for random ones.
    next: Option<AtomicU64>,
    left: AtomicU64,
}

impl Identities {
    /// A source for a run that this process made up. `expected` users are wanted; more are given when asked for.
    #[must_use]
    pub fn new(client: &Client, run: &RunId, expected: u64) -> Self {
        Self::numbered(client, run, Some(AtomicU64::new(0)), expected)
    }

    /// A source for a run that others may have tagged users with.
    #[must_use]
    pub fn joining(client: &Client, run: &RunId, expected: u64) -> Self {
        Self::numbered(client, run, None, expected)
    }

    fn numbered(client: &Client, run: &RunId, next: Option<AtomicU64>, expected: u64) -> Self {
        Self {
            client: client.clone(),
            run: run.clone(),
            ready: Mutex::default(),
            fetch: tokio::sync::Mutex::default(),
            next,
            left: AtomicU64::new(expected),
        }
    }

    /// Fetches as many ahead as it takes to have so many ready, so that asking for them later costs nothing.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn have(&self, count: u64) -> Result<(), ClientError> {
        let count = count.saturating_sub(self.ready().len() as u64);
        let batches = (0..count.div_ceil(BATCH)).map(|batch| BATCH.min(count - batch * BATCH));
        let mut fetched = futures::stream::iter(batches.map(|size| self.batch(size))).buffer_unordered(BATCHES);
        while let Some(users) = fetched.next().await {
            self.ready().extend(users?);
        }
        Ok(())
    }

    /// A user that nobody else has at present: one that was never handed out before, or was given back.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn next(&self) -> Result<SyntheticUser, ClientError> {
        if let Some(user) = self.take() {
            return Ok(user);
        }
        let _fetching = self.fetch.lock().await;
        if let Some(user) = self.take() {
            return Ok(user);
        }
        let count = self.left.load(Ordering::Relaxed).clamp(1, BATCH);
        let mut users = self.batch(count).await?;
        let user = users.pop().ok_or_else(|| self.client.protocol("an empty batch of users"))?;
        self.ready().extend(users);
        Ok(user)
    }

    /// Takes back a user that has nothing open.
    pub fn give_back(&self, user: SyntheticUser) {
        self.ready().push_back(user);
    }

    fn take(&self) -> Option<SyntheticUser> {
        let mut ready = self.ready();
        // The oldest comes first: once a fresh one is met, all behind it were used, and are given back, later.
        std::iter::from_fn(|| ready.pop_front()).find(|user| user.since.elapsed() <= FRESH_FOR)
    }

    async fn batch(&self, count: u64) -> Result<Vec<SyntheticUser>, ClientError> {
        loop {
            // Counted before the answer: after a lost answer those numbers are taken, so they are never asked for again.
            let from = match &self.next {
                Some(next) => next.fetch_add(count, Ordering::Relaxed),
                None => rand::random_range(0..NUMBERS),
            };
            match self.client.synthetic_users(&self.run, from, count).await {
                Ok(users) => {
                    let _ = self.left.update(Ordering::Relaxed, Ordering::Relaxed, |left| left.saturating_sub(count));
                    return Ok(users);
                }
                Err(error) if self.next.is_none() && error.code() == Some(Code::UsernameTaken) => {}
                Err(error) => return Err(error),
            }
        }
    }

    // Nothing that runs under this lock can panic half-way through a change.
    fn ready(&self) -> MutexGuard<'_, VecDeque<SyntheticUser>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
