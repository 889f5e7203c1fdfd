//! Sends one order until its fate is known: accepted, refused, or unanswered after the sender's patience.
//!
//! An answer that was lost (a timeout, a cut connection) says nothing, so the order is sent again with the same
//! `Idempotency-Key`: it is neither doubled nor lost. What is accepted is in the ledger before it counts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use card_core::ids::RunId;
use card_core::retry::RetryPolicy;
use card_core::tasks::Task;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::{Accept, Caller, Client, ClientError, Order, SyntheticUser};
use crate::ledger::Ledger;

/// What became of an order.
#[derive(Debug)]
pub enum Sent {
    /// It is durable, and in the ledger.
    Accepted {
        /// The task.
        task: Box<Task>,
        /// When the first attempt was begun: latencies count from here.
        begun: Instant,
        /// From there to the answer.
        took: Duration,
    },
    /// It was not accepted, and the platform says why; nothing was changed.
    Refused(ClientError),
    /// Nobody knows. It is in the ledger as such.
    Unanswered(ClientError),
    /// The sender was stopped before the first attempt.
    Stopped,
}

/// What a sender does about a refusal that can pass (overload, a server that is not there).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// Tries again while its patience lasts: the order matters.
    TryAgain,
    /// Reports it: how often that happens is what is measured.
    Report,
}

/// Sends orders of one run.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    run: RunId,
    ledger: Arc<Ledger>,
    patience: Duration,
    stop: CancellationToken,
    backoff: RetryPolicy,
    on_refusal: OnRefusal,
}

impl Sender {
    /// A sender that gives one order up after `patience`. `stop` ends what has not begun: what was sent is followed
    /// up for a little while, so that the ledger is true.
    #[must_use]
    pub fn new(client: &Client, run: &RunId, ledger: Arc<Ledger>, patience: Duration, stop: CancellationToken) -> Self {
        let backoff =
            RetryPolicy { max_attempts: u32::MAX, base: Duration::from_millis(50), cap: Duration::from_secs(2) };
        let (client, run) = (client.clone(), run.clone());
        Self { client, run, ledger, patience, stop, backoff, on_refusal: OnRefusal::TryAgain }
    }

    /// The same, with another way to deal with refusals. A lost answer is followed up in any case.
    #[must_use]
    pub fn on_refusal(self, on_refusal: OnRefusal) -> Self {
        Self { on_refusal, ..self }
    }

    /// Sends an order of a user. `number` tells the orders of one user apart.
    ///
    /// # Errors
    /// The ledger can't be written: no more may be sent.
    pub async fn send(&self, user: &SyntheticUser, number: u64, order: &Order) -> io::Result<Sent> {
        if self.stop.is_cancelled() {
            return Ok(Sent::Stopped);
        }
        let key = format!("{}-{number}", user.id);
        let accept = Accept { caller: Caller::User(&user.access_token), key: Some(&key), run: Some(&self.run) };
        let begun = Instant::now();
        let mut unknown = false;
        for attempt in 1.. {
            let error = match self.client.accept(order, accept).await {
                Ok(task) => {
                    let took = begun.elapsed();
                    self.ledger.accepted(task.id, user.id, task.kind)?;
                    return Ok(Sent::Accepted { task: Box::new(task), begun, took });
                }
                Err(error) => error,
            };
            unknown |= error.is_unknown();
            let wait = self.backoff.wait_after(attempt, rand::random()).unwrap_or(self.backoff.cap);
            let wait = wait.max(error.retry_after().unwrap_or_default());
            let passing = error.is_retryable() && (unknown || self.on_refusal == OnRefusal::TryAgain);
            let again = passing || error.is_unknown();
            if !again || begun.elapsed() + wait >= self.patience || (self.stop.is_cancelled() && !unknown) {
                // After a lost answer a refusal proves nothing about the first attempt.
                return if unknown {
                    self.ledger.unanswered(&key)?;
                    Ok(Sent::Unanswered(error))
                } else {
                    Ok(Sent::Refused(error))
                };
            }
            tokio::time::sleep(wait).await;
        }
        unreachable!("the attempts are not counted to an end")
    }
}
