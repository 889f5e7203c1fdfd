//! The senders of a campaign: so many at once, each taking the next number, a user of its own for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use card_core::tasks::Task;
use card_loadtests::identities::Identities;
use card_loadtests::ledger::Ledger;
use card_loadtests::orders::Orders;
use card_loadtests::sender::{Sender, Sent};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::campaign::Plan;
use crate::client::{Client, ClientError};

/// How long one request is tried before it is given up.
const SEND_PATIENCE: Duration = Duration::from_secs(15);

/// What a sender tells.
pub(super) enum Note {
    Sent { task: Box<Task>, begun: Instant },
    Refused(ClientError),
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
    let orders = Orders::new(plan.seed, plan.kind, plan.reason);
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..plan.concurrency.min(plan.count) {
        let sender = Sender::new(client, &plan.run, Arc::clone(ledger), SEND_PATIENCE, stop.clone());
        let (identities, next, note) = (Arc::clone(&identities), Arc::clone(&next), note.clone());
        let (count, rate, stop) = (plan.count, plan.rate, stop.clone());
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
                let user = match identities.next().await {
                    Ok(user) => user,
                    Err(error) => {
                        let _ = note.send(Note::Refused(error));
                        continue;
                    }
                };
                let _ = match sender.send(&user, number, &orders.get(number)).await? {
                    Sent::Accepted { task, begun, .. } => note.send(Note::Sent { task, begun }),
                    Sent::Refused(error) | Sent::Unanswered(error) => note.send(Note::Refused(error)),
                    Sent::Stopped => return Ok(()),
                };
            }
        });
    }
    (notes, senders)
}
