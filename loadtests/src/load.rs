//! A closed loop: so many users, each of whom asks, waits for the end, and asks again.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use card_core::tasks::Status;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::SyntheticUser;
use crate::identities::{FRESH_FOR, Identities};
use crate::latency::Latency;
use crate::observer::Observer;
use crate::orders::Orders;
use crate::sender::{Sender, Sent};

/// A user whose order was refused waits so long before the next: a refusal is no invitation to hammer.
const PAUSE: Duration = Duration::from_millis(100);

/// The size of a load.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Users at once.
    pub users: u64,
    /// For how long orders are sent.
    pub duration: Duration,
    /// How long a user waits for the end of one order before it goes on as somebody else.
    pub patience: Duration,
}

/// What a load counts while it runs; cheap to read at any time.
#[derive(Default)]
pub struct Live {
    /// Orders sent.
    pub offered: AtomicU64,
    /// Orders answered with 202.
    pub accepted: AtomicU64,
    /// Ended well.
    pub succeeded: AtomicU64,
    /// The issuer said no.
    pub declined: AtomicU64,
    /// Given up by the platform.
    pub dead: AtomicU64,
    /// Orders that were not accepted, or nobody knows.
    pub failed: AtomicU64,
    /// From order to 202.
    pub accept: Latency,
    /// From order to final status.
    pub end_to_end: Latency,
    errors: Mutex<BTreeMap<&'static str, u64>>,
}

impl Live {
    /// Errors by code.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<&'static str, u64> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Accepted and not known to be final.
    #[must_use]
    pub fn pending(&self) -> u64 {
        let ended = [&self.succeeded, &self.declined, &self.dead].map(|count| count.load(Ordering::Relaxed));
        self.accepted.load(Ordering::Relaxed).saturating_sub(ended.iter().sum())
    }

    /// Counts an order that was not accepted.
    pub fn error(&self, name: &'static str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(0) += 1;
    }

    /// Counts an end.
    pub fn ended(&self, status: Status) {
        let count = match status {
            Status::Succeeded => &self.succeeded,
            Status::Declined => &self.declined,
            _ => &self.dead,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the users of a load share.
#[derive(Clone)]
pub struct Crew {
    /// Sends and keeps the ledger.
    pub sender: Sender,
    /// Who they are.
    pub identities: Arc<Identities>,
    /// What they ask for.
    pub orders: Orders,
    /// Who hears of the ends.
    pub observer: Arc<Observer>,
    /// What is counted.
    pub live: Arc<Live>,
}

/// Runs the load to its end, or until `stop`. Returns how long it ran.
///
/// # Errors
/// The ledger can't be written; nothing was sent after that.
pub async fn run(plan: Plan, crew: &Crew, stop: &CancellationToken) -> io::Result<Duration> {
    let begun = Instant::now();
    let until = begun + plan.duration;
    let numbers = Arc::new(AtomicU64::new(0));
    let mut users = JoinSet::new();
    for _ in 0..plan.users {
        users.spawn(user(plan, crew.clone(), Arc::clone(&numbers), until, stop.child_token()));
    }
    let mut outcome = Ok(());
    while let Some(ended) = users.join_next().await {
        let ended = ended.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        if let (Err(error), Ok(())) = (ended, &outcome) {
            outcome = Err(error);
            users.abort_all();
        }
    }
    outcome.map(|()| begun.elapsed())
}

async fn user(
    plan: Plan,
    crew: Crew,
    numbers: Arc<AtomicU64>,
    until: Instant,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut identity: Option<(SyntheticUser, Instant)> = None;
    while Instant::now() < until && !stop.is_cancelled() {
        let (user, since) = match identity.take().filter(|(_, since)| since.elapsed() <= FRESH_FOR) {
            Some(present) => present,
            None => match crew.identities.next().await {
                Ok(user) => (user, Instant::now()),
                Err(error) => {
                    crew.live.error(error.name());
                    rest(PAUSE * 5, &stop).await;
                    continue;
                }
            },
        };
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        crew.live.offered.fetch_add(1, Ordering::Relaxed);
        match crew.sender.send(&user, number, &crew.orders.get(number)).await? {
            Sent::Accepted { task, begun, took } => {
                crew.live.accepted.fetch_add(1, Ordering::Relaxed);
                crew.live.accept.record(took);
                let end = tokio::select! {
                    end = tokio::time::timeout(plan.patience, crew.observer.final_of(task.id)) => end.ok().flatten(),
                    () = stop.cancelled() => None,
                };
                if let Some(end) = end {
                    crew.live.ended(end.status);
                    crew.live.end_to_end.record(end.at.saturating_duration_since(begun));
                    identity = Some((user, since));
                }
                // Without an end, the order is still open: the next one is somebody else's.
            }
            // Its token may have run out, or an order of it may be open: it is not used again.
            Sent::Refused(error) | Sent::Unanswered(error) => {
                crew.live.error(error.name());
                rest(PAUSE, &stop).await;
            }
            Sent::Stopped => break,
        }
    }
    Ok(())
}

async fn rest(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.cancelled() => {}
    }
}
