//! Fetches what the comparison needs: waits for the end of what was accepted, then reads the platform's ledger.

use std::collections::HashMap;
use std::time::Duration;

use card_core::engine::EffectPage;
use card_core::ids::{RunId, TaskId};
use card_core::retry::RetryPolicy;
use card_core::tasks::Status;
use tokio::time::Instant;

use super::{Audit, Comparison, whole_millis};
use crate::client::{Client, ClientError};
use crate::ledger::Ledger;
use crate::observer::Observer;

/// How long to wait for what was accepted to become final.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// The longest wait.
    pub bound: Duration,
}

/// Waits until what the ledger has is final (as the observer hears, at most `drain.bound`), then compares the ledger
/// with the platform's. Costs one request per thousand tasks of the run.
pub async fn prove(client: &Client, run: &RunId, ledger: &Ledger, observer: &Observer, drain: Drain) -> Audit {
    let begun = Instant::now();
    let expectation = ledger.expectation();
    let tasks: Vec<TaskId> = expectation.accepted.keys().copied().collect();
    observer.drained(&tasks, drain.bound).await;
    let finals = observer.finals();
    let last = finals.values().map(|end| end.at).max();
    let drained = match last {
        // All done before the drain began: the last one's end may lie before it.
        Some(last) if tasks.iter().all(|task| finals.contains_key(task)) => last.saturating_duration_since(begun),
        _ if tasks.is_empty() => Duration::ZERO,
        _ => begun.elapsed(),
    };
    let observed: HashMap<TaskId, Status> = finals.into_iter().map(|(task, end)| (task, end.status)).collect();
    let mut comparison = Comparison::new(expectation, observed);
    let incomplete = read(client, run, &mut comparison).await.err().map(|error| error.to_string());
    Audit { drain_ms: whole_millis(drained), ..comparison.finish(incomplete) }
}

async fn read(client: &Client, run: &RunId, comparison: &mut Comparison) -> Result<(), ClientError> {
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
