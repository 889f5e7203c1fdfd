//! A load test from the first request to the verdict.

use std::path::PathBuf;

use card_core::ids::RunId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::events::StreamLost;
use crate::moment::Moment;
use crate::plan::Plan;
use crate::result::Report;

/// What is needed to carry out a plan.
#[derive(Clone)]
pub struct Setup {
    /// The platform, with the operator's token.
    pub client: Client,
    /// `embedded`, or the URL that was asked for: as it stands in the result.
    pub target: String,
    /// Tags everything. Nobody else may use it, or the audit can't know every task of it.
    pub run: RunId,
    /// What the requests are made from.
    pub seed: u64,
    /// What is done.
    pub plan: Plan,
    /// Where the sender's ledger is kept; in memory if none.
    pub ledger: Option<PathBuf>,
}

/// Why there is no result at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The event stream can't be opened.
    #[error(transparent)]
    Stream(#[from] StreamLost),
    /// The users can't be generated.
    #[error(transparent)]
    Users(#[from] crate::client::ClientError),
    /// The sender's ledger can't be written.
    #[error("the ledger of what was accepted can't be written: {0}")]
    Ledger(#[from] std::io::Error),
    /// The driver of the closed model failed.
    #[error("the load generator failed: {0}")]
    Generator(String),
}

/// Carries out a plan: load, drain, audit, verdicts. `stop` ends the load early; what was accepted until then is
/// audited all the same. `moments` shows how far it is.
///
/// # Errors
/// See [`RunError`]. A platform that goes away in the middle is no error but a result.
pub async fn carry_out(
    setup: &Setup,
    moments: &watch::Sender<Moment>,
    stop: &CancellationToken,
) -> Result<Report, RunError> {
    let _ = (setup, moments, stop);
    Err(RunError::Generator("not written yet".to_owned()))
}
