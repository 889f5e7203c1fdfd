//! Sends one order until its fate is known: accepted, refused, or unanswered after the sender's patience.
//!
//! An answer that was lost (a timeout, a cut connection) says nothing, and neither does that of a gateway, so the order is
//! sent again with the same `Idempotency-Key`: it is neither doubled nor lost. Every attempt that failed is told to who
//! counts. What is accepted is in the ledger before it counts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use card_core::ids::RunId;
use card_core::tasks::Task;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;
use crate::retries::Retries;
use crate::{Accept, Caller, Client, ClientError, Order, SyntheticUser};

/// What became of an order.
#[derive(Debug)]
pub enum Sent {
    /// It is durable, and in the ledger.
    Accepted {
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

/// One attempt that did not bring an acceptance.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt<'a> {
    pub error: &'a ClientError,
    /// Whether it is sent again.
    pub again: bool,
    /// Whether it is the first attempt of its order.
    pub first: bool,
}

/// Where how often things happen is measured, an order is not sent more often than this to a gateway that does not pass it
/// on: that would be another load than the one that was planned.
const FOREIGN_ANSWERS_MEASURED: u32 = 3;

/// Sends orders of one run.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    run: RunId,
    ledger: Arc<Ledger>,
    patience: Duration,
    stop: CancellationToken,
    on_refusal: OnRefusal,
}

impl Sender {
    /// A sender that gives one order up after `patience`. `stop` ends what has not begun: what was sent is followed
    /// up for a little while, so that the ledger is true.
    #[must_use]
    pub fn new(client: &Client, run: &RunId, ledger: Arc<Ledger>, patience: Duration, stop: CancellationToken) -> Self {
        let (client, run) = (client.clone(), run.clone());
        Self { client, run, ledger, patience, stop, on_refusal: OnRefusal::TryAgain }
    }

    /// The same, with another way to deal with refusals. A lost answer is followed up in any case.
    #[must_use]
    pub fn on_refusal(self, on_refusal: OnRefusal) -> Self {
        Self { on_refusal, ..self }
    }

    /// Sends an order of a user. `number` tells the orders of one user apart; `failed` hears of every attempt that did
    /// not bring an acceptance, when it failed.
    ///
    /// # Errors
    /// The ledger can't be written: no more may be sent.
    pub async fn send(
        &self,
        user: &SyntheticUser,
        number: u64,
        order: &Order,
        failed: impl Fn(FailedAttempt<'_>),
    ) -> io::Result<Sent> {
        if self.stop.is_cancelled() {
            return Ok(Sent::Stopped);
        }
        let key = format!("{}-{number}", user.id);
        let accept = Accept { caller: Caller::User(&user.access_token), key: Some(&key), run: Some(&self.run) };
        let begun = Instant::now();
        let mut retries = self.retries();
        let (mut unknown, mut first) = (false, true);
        loop {
            let error = match self.client.accept(order, accept).await {
                Ok(task) => {
                    let took = begun.elapsed();
                    self.ledger.accepted(task.id, user.id, task.kind)?;
                    return Ok(Sent::Accepted { task: Box::new(task), begun, took });
                }
                Err(error) => error,
            };
            unknown |= error.is_unknown();
            let goes_on = self.goes_on(&error, unknown) && (unknown || !self.stop.is_cancelled());
            let wait = retries.wait_after(&error, rand::random()).filter(|_| goes_on);
            failed(FailedAttempt { error: &error, again: wait.is_some(), first });
            first = false;
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                // After an answer that was lost a refusal proves nothing about the first attempt.
                None if unknown => {
                    self.ledger.unanswered(&key)?;
                    return Ok(Sent::Unanswered(error));
                }
                None => return Ok(Sent::Refused(error)),
            }
        }
    }

    fn retries(&self) -> Retries {
        let retries = Retries::new(self.patience);
        match self.on_refusal {
            OnRefusal::TryAgain => retries,
            OnRefusal::Report => retries.at_most_foreign(FOREIGN_ANSWERS_MEASURED),
        }
    }

    /// Whether an order is sent again, if that can help. `unknown`: an earlier attempt may have been carried out.
    fn goes_on(&self, error: &ClientError, unknown: bool) -> bool {
        match self.on_refusal {
            OnRefusal::TryAgain => true,
            // A gateway's 503 is a refusal like any other, though nobody can be sure of it: see `is_unknown`.
            OnRefusal::Report => unknown && !(error.is_foreign() && error.is_overload()),
        }
    }
}
