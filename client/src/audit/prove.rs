//! Fetches what the comparison needs: waits for the end of what was accepted, watches a while longer for what comes
//! late and twice, then reads the platform's ledger.

use std::time::Duration;

use card_core::engine::EffectPage;
use card_core::ids::{RunId, TaskId};
use card_core::retry::RetryPolicy;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Audit, Comparison, whole_millis};
use crate::ledger::Ledger;
use crate::observer::Observer;
use crate::{Client, ClientError};

/// How long to wait before the platform's ledger is read.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    /// For what was accepted to become final, at most.
    pub bound: Duration,
    /// After that, for what comes late and twice.
    pub settle: Duration,
    /// Ends the watching for late ones.
    pub stop: CancellationToken,
}

/// How far an audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// What was accepted is waited for.
    Drain,
    /// What comes late and twice is watched for.
    Settle,
    /// The platform's ledger is read and compared.
    Compare,
}

/// Waits until what the ledger has is final (as the observer hears, at most `drain.bound`), watches for
/// `drain.settle`, then compares the ledger with the platform's. `reached` hears how far it is. Costs one request per
/// thousand tasks of the run, and some fifty bytes of memory an id.
pub async fn prove(
    client: &Client,
    run: &RunId,
    ledger: &Ledger,
    observer: &Observer,
    drain: Drain,
    mut reached: impl FnMut(Stage),
) -> Audit {
    reached(Stage::Drain);
    let begun = Instant::now();
    let expectation = ledger.expectation();
    let tasks: Vec<TaskId> = expectation.accepted.keys().copied().collect();
    let complete = observer.drained(&tasks, drain.bound).await == tasks.len();
    drop(tasks);
    let drained = match observer.last_end() {
        // The last one's end may lie before the drain's beginning.
        Some(last) if complete => last.saturating_duration_since(begun),
        _ if complete => Duration::ZERO,
        _ => begun.elapsed(),
    };
    reached(Stage::Settle);
    let settling = Instant::now();
    tokio::select! {
        () = tokio::time::sleep(drain.settle) => {}
        () = drain.stop.cancelled() => {}
    }
    let settled = settling.elapsed().min(drain.settle);
    reached(Stage::Compare);
    let comparing = Instant::now();
    let mut comparison = Comparison::new(expectation, |task| observer.status_of(task), observer.repeated());
    let incomplete = read(client, run, &mut comparison).await.err().map(|error| error.to_string());
    let mut audit = comparison.finish(incomplete);
    audit.drain_ms = whole_millis(drained);
    audit.settle_ms = whole_millis(settled);
    audit.audit_ms = whole_millis(comparing.elapsed());
    audit
}

async fn read<O: Fn(TaskId) -> Option<card_core::tasks::Status>>(
    client: &Client,
    run: &RunId,
    comparison: &mut Comparison<O>,
) -> Result<(), ClientError> {
    let mut cursor: Option<String> = None;
    loop {
        let page = page(client, run, cursor.as_deref()).await?;
        comparison.page(&page.items);
        match page.next {
            // A cursor that does not move would be an audit that does not end.
            Some(next) if Some(&next) == cursor.as_ref() => return Err(client.protocol("/effects repeats a cursor")),
            Some(next) => cursor = Some(next),
            None => return Ok(()),
        }
    }
}

/// One page; a read can be repeated without harm, so a passing trouble does not make a run unverified.
async fn page(client: &Client, run: &RunId, cursor: Option<&str>) -> Result<EffectPage, ClientError> {
    let backoff = RetryPolicy { max_attempts: 6, base: Duration::from_millis(200), cap: Duration::from_secs(3) };
    let mut attempt = 1;
    loop {
        let error = match client.effects(run, cursor).await {
            Ok(page) => return Ok(page),
            Err(error) => error,
        };
        match backoff.wait_after(attempt, rand::random()) {
            Some(wait) if error.is_retryable() || error.is_unknown() => {
                tokio::time::sleep(wait.max(error.retry_after().unwrap_or_default().min(backoff.cap))).await;
            }
            _ => return Err(error),
        }
        attempt += 1;
    }
}
