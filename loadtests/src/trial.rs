//! A load with its audit: the whole way from the first order to the verdict.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use card_core::ids::RunId;
use tokio_util::sync::CancellationToken;

use crate::audit::{Audit, Drain, prove};
use crate::client::Client;
use crate::events::StreamLost;
use crate::identities::Identities;
use crate::ledger::Ledger;
use crate::load::{Crew, Live, Plan, run};
use crate::observer::Observer;
use crate::orders::Orders;
use crate::sender::Sender;

/// How long one order is tried before it is given up.
const SEND_PATIENCE: Duration = Duration::from_secs(15);
/// How long the event stream may be away.
const STREAM_PATIENCE: Duration = Duration::from_secs(60);

/// What is tried.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The run: nobody else may use it, or the audit can't know every task of it.
    pub run: RunId,
    /// What the orders are made from; only noted.
    pub seed: u64,
    /// What is ordered.
    pub orders: Orders,
    /// How much.
    pub plan: Plan,
    /// How long to wait at the end for what was accepted.
    pub drain: Duration,
    /// Where the sender's ledger is kept; in memory if none.
    pub ledger: Option<PathBuf>,
}

/// Why a trial says nothing.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The event stream can't be opened.
    #[error(transparent)]
    Stream(#[from] StreamLost),
    /// The sender's ledger can't be written.
    #[error("the ledger of what was accepted can't be written: {0}")]
    Ledger(#[from] io::Error),
}

impl Trial {
    /// Runs the load, waits for the end of what was accepted, and audits. `stop` ends the load early; what was accepted
    /// until then is audited all the same.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub async fn run(&self, client: &Client, live: &Arc<Live>, stop: &CancellationToken) -> Result<Audit, TrialError> {
        let ledger = Arc::new(Ledger::create(self.ledger.as_deref(), &self.run, self.seed, true)?);
        let observer = Arc::new(Observer::start(client, &self.run, STREAM_PATIENCE, |_, _| {}).await?);
        let crew = Crew {
            sender: Sender::new(client, &self.run, Arc::clone(&ledger), SEND_PATIENCE, stop.clone()),
            identities: Arc::new(Identities::new(client, &self.run, self.plan.users)),
            orders: self.orders,
            observer: Arc::clone(&observer),
            live: Arc::clone(live),
        };
        let flushed = flush_now_and_then(&ledger);
        let ran = run(self.plan, &crew, stop).await;
        flushed.abort();
        ledger.flush()?;
        ran?;
        Ok(prove(client, &self.run, &ledger, &observer, Drain { bound: self.drain }).await)
    }
}

/// What a kill of this process can cost the ledger is bounded by time, not by the size of a buffer.
fn flush_now_and_then(ledger: &Arc<Ledger>) -> tokio_util::task::AbortOnDropHandle<()> {
    let ledger = Arc::clone(ledger);
    tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            // The next line that is written meets the same error and reports it.
            let _ = ledger.flush();
        }
    }))
}
