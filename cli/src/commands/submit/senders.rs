//! The senders of a campaign: so many at once, each taking the next number, a user of its own for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use card_client::identities::Identities;
use card_client::ledger::Ledger;
use card_client::retries::{Retries, patience};
use card_client::sender::{FailedAttempt, Sender, Sent};
use card_core::tasks::Task;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::campaign::Plan;
use crate::client::{Client, ClientError, SyntheticUser};

/// How long one request, or the user for it, is tried before it is given up.
const SEND_PATIENCE: Duration = Duration::from_secs(15);

/// What a sender tells.
pub(super) enum Note {
    Sent {
        task: Box<Task>,
        begun: Instant,
    },
    /// It is tried again: why, and for how long at most.
    Waiting(String, Duration),
    Refused(ClientError),
    /// An attempt failed; whether it is made again.
    Failed {
        again: bool,
        foreign: Option<&'static str>,
    },
}

/// Ended when all is sent; aborted when dropped.
pub(super) type Senders = JoinSet<std::io::Result<()>>;

/// Starts them. The notes end when all of them have ended.
pub(super) fn spawn(
    client: &Client,
    plan: &Plan,
    ledger: &Arc<Ledger>,
    stop: &CancellationToken,
) -> (mpsc::UnboundedReceiver<Note>, Senders) {
    let (note, notes) = mpsc::unbounded_channel();
    let identities = match plan.joined {
        true => Identities::joining(client, &plan.run, plan.count),
        false => Identities::new(client, &plan.run, plan.count),
    };
    let identities = Arc::new(identities);
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    // Set once a request was refused for as long as one is tried: what does not pass is not waited for by each request anew.
    let spent = Arc::new(AtomicBool::new(false));
    let mut senders = JoinSet::new();
    for _ in 0..plan.concurrency.min(plan.count) {
        let sender = |limit| Sender::new(client, &plan.run, Arc::clone(ledger), limit, stop.clone());
        let (patient, quick, spent) = (sender(SEND_PATIENCE), sender(Duration::ZERO), Arc::clone(&spent));
        let (identities, next, note) = (Arc::clone(&identities), Arc::clone(&next), note.clone());
        let (count, rate, stop, orders) = (plan.count, plan.rate, stop.clone(), plan.orders.clone());
        senders.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count || stop.is_cancelled() {
                    return Ok(());
                }
                if let Some(rate) = rate {
                    tokio::select! {
                        () = sleep_until(begun + rate.due(number)) => {}
                        () = stop.cancelled() => return Ok(()),
                    }
                }
                // Whoever listens may be gone: then the stop is near.
                let limit = if spent.load(Ordering::Acquire) { Duration::ZERO } else { SEND_PATIENCE };
                let hear = |error: &ClientError, again: bool| {
                    if again {
                        let _ = note.send(Note::Waiting(error.to_string(), patience(error, limit)));
                    }
                    let _ = note.send(failed(error, again));
                };
                let user = match user(&identities, limit, &stop, hear).await {
                    Ok(user) => user,
                    Err(error) => {
                        spent.store(true, Ordering::Release);
                        let _ = note.send(Note::Refused(error));
                        continue;
                    }
                };
                let sender = if limit.is_zero() { &quick } else { &patient };
                let hear = |attempt: FailedAttempt<'_>| hear(attempt.error, attempt.again);
                let _ = match sender.send(&user, number, &orders.get(number), hear).await? {
                    Sent::Accepted { task, begun, .. } => {
                        spent.store(false, Ordering::Release);
                        note.send(Note::Sent { task, begun })
                    }
                    Sent::Refused(error) | Sent::Unanswered(error) => {
                        if error.is_retryable() || error.is_foreign() {
                            spent.store(true, Ordering::Release);
                        }
                        note.send(Note::Refused(error))
                    }
                    Sent::Stopped => return Ok(()),
                };
            }
        });
    }
    (notes, senders)
}

/// A user for a request, with the patience that the request itself would get. Each try asks for other users: those that
/// an answer was lost for are left alone.
async fn user(
    identities: &Identities,
    limit: Duration,
    stop: &CancellationToken,
    hear: impl Fn(&ClientError, bool),
) -> Result<SyntheticUser, ClientError> {
    let mut retries = Retries::new(limit);
    loop {
        let error = match identities.next().await {
            Ok(user) => return Ok(user),
            Err(error) => error,
        };
        let wait = retries.wait_after(&error, rand::random());
        hear(&error, wait.is_some());
        let Some(wait) = wait else { return Err(error) };
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return Err(error);
        }
    }
}

/// Whoever listens may be gone: then the stop is near.
fn failed(error: &ClientError, again: bool) -> Note {
    Note::Failed { again, foreign: error.is_foreign().then(|| error.name()) }
}
