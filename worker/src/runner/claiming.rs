//! The loop that claims as many tasks as there are permits.

use std::sync::Arc;
use std::time::Duration;

use card_core::engine::{Claim, ClaimRequest, EngineError, ErrorKind};
use card_core::retry::RetryPolicy;
use card_core::tasks::Kind;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Runner, report};
use crate::handlers::Claimable;

/// At most so many tasks in one claim.
const BATCH: usize = 256;
/// A claim that finds nothing waits so long; it also shows that the worker is alive.
const WAIT: Duration = Duration::from_secs(1);
/// What a claim may take beyond its wait before it counts as failed.
const GRACE: Duration = Duration::from_secs(10);
/// Between claims that fail.
const BACK_OFF: RetryPolicy =
    RetryPolicy { max_attempts: u32::MAX, base: Duration::from_millis(100), cap: Duration::from_secs(5) };

/// Runs until `stop`, or until the engine is closed.
///
/// A claim that waits when `stop` comes is dropped: the engine's contract allows it, at worst a task comes back later.
pub(super) async fn run(runner: &Arc<Runner>, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
    let mut failures = 0;
    loop {
        while let Some(ended) = tasks.try_join_next() {
            report(ended);
        }
        let Some(Some(mut permits)) = stop.run_until_cancelled(permits(runner)).await else { return };
        let Some(claimed) = stop.run_until_cancelled(claim(runner, permits.num_permits())).await else { return };
        let error = match claimed {
            Ok(claims) => {
                failures = 0;
                runner.claims.worked();
                runner.begin(claims, &mut permits, tasks);
                continue;
            }
            Err(error) if error.kind() == ErrorKind::Closed => {
                tracing::debug!("the engine is closed; claiming stops");
                return;
            }
            Err(error) => error,
        };
        drop(permits);
        runner.claims.failed(&error);
        failures += 1;
        let wait = BACK_OFF.wait_after(failures, rand::random_range(0.1..1.0)).unwrap_or(BACK_OFF.cap);
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// Waits for a permit and takes what else is free. None only if the semaphore is closed, which nobody does.
async fn permits(runner: &Runner) -> Option<OwnedSemaphorePermit> {
    let mut permits = Arc::clone(&runner.permits).acquire_owned().await.ok()?;
    let more = u32::try_from(runner.permits.available_permits().min(BATCH - 1)).unwrap_or(0);
    // Only this loop takes permits, so what was free a moment ago still is.
    if more > 0
        && let Ok(more) = Arc::clone(&runner.permits).try_acquire_many_owned(more)
    {
        permits.merge(more);
    }
    Some(permits)
}

/// Claims up to `max` tasks, of a kind whose breaker wants a probe at most one.
async fn claim(runner: &Runner, max: usize) -> Result<Vec<Claim>, EngineError> {
    let Claimable { freely, probing, review } = runner.worker.handlers.claimable();
    let wait = review.map_or(WAIT, |review| review.min(WAIT));
    if probing.is_empty() {
        return ask(runner, freely, max, wait).await;
    }
    let mut claims = if max > 1 { ask(runner, freely.clone(), max - 1, Duration::ZERO).await? } else { Vec::new() };
    let wait = if claims.is_empty() { wait } else { Duration::ZERO };
    match ask(runner, [freely, probing].concat(), 1, wait).await {
        Ok(probe) => claims.extend(probe),
        // What was claimed before must not be forgotten; the next claim will meet the error again.
        Err(error) if claims.is_empty() => return Err(error),
        Err(_) => {}
    }
    Ok(claims)
}

async fn ask(runner: &Runner, kinds: Vec<Kind>, max: usize, wait: Duration) -> Result<Vec<Claim>, EngineError> {
    let worker = &runner.worker;
    // Those that this loop holds, and those that it left for the next round.
    let free = max + runner.permits.available_permits();
    let (most, enough) = runner.rooms.share_out(&kinds, free);
    let request = ClaimRequest {
        worker: worker.id,
        host: worker.host.clone(),
        kinds: most.keys().copied().collect(),
        max,
        most,
        lease: worker.settings.lease,
        wait,
        enough,
    };
    timeout(wait + GRACE, worker.engine.claim(&request))
        .await
        .unwrap_or_else(|_| Err(EngineError::new(ErrorKind::Unknown, "the engine did not answer in time")))
}
