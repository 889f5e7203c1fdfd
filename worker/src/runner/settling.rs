//! Tells the engine how attempts ended, and keeps at it while it can't hear.

use std::sync::Arc;
use std::time::Duration;

use card_core::engine::{EngineError, ErrorKind, Settled};
use card_core::retry::RetryPolicy;
use card_core::tasks::End;
use card_kinds::Step;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::timeout;

use super::Runner;
use super::attempt::Attempt;
use super::meters::EndKind;
use super::outcome::conclude;
use super::rooms::Outgoing;

/// Between two tries.
const BACK_OFF: RetryPolicy =
    RetryPolicy { max_attempts: u32::MAX, base: Duration::from_millis(50), cap: Duration::from_secs(2) };
/// Leases that a task is kept for while the engine does not take its outcome in. Beyond, the work is done again.
const PATIENCE: u32 = 3;

impl Runner {
    /// Settles what was over as soon as it was begun, all at once.
    pub(super) fn settle_all(
        self: Arc<Self>,
        over: Vec<(Attempt, Step, Outgoing)>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let entries = self.in_flight.enter_over(over.iter().map(|(attempt, ..)| attempt.lease));
        async move {
            let runner = &*self;
            let mut settles: FuturesUnordered<_> = over
                .into_iter()
                .zip(entries)
                .map(|((attempt, step, outgoing), entry)| async move {
                    runner.finish(attempt, step).await;
                    drop((entry, outgoing));
                })
                .collect();
            while settles.next().await.is_some() {}
        }
    }

    /// Acts on how a step ended.
    pub(super) async fn finish(&self, attempt: Attempt, step: Step) {
        let run = attempt.elapsed();
        let now = attempt.ledger_time_after(run);
        let end = conclude(step, attempt.number, &self.worker.settings.retry, now, rand::random());
        if let End::GiveUp(error) = &end {
            tracing::warn!(task = %attempt.lease.task, kind = %attempt.kind, attempt = attempt.number, %error, "gave up");
        }
        let kind = EndKind::from(&end);
        if let Some(settled) = self.tell(&attempt, end).await {
            self.meters.ended(&attempt, run, &kind, settled);
            if settled != Settled::Applied {
                tracing::debug!(task = %attempt.lease.task, ?settled, "the outcome changed nothing");
            }
        }
    }

    /// None if the engine could not be told: the task is let go and comes back.
    async fn tell(&self, attempt: &Attempt, end: End) -> Option<Settled> {
        let lease = self.worker.settings.lease;
        let patience = tokio::time::Instant::now() + lease * PATIENCE;
        for failures in 1.. {
            let told = timeout(lease, self.tell_once(attempt, end.clone()))
                .await
                .unwrap_or_else(|_| Err(EngineError::new(ErrorKind::Unknown, "the engine did not answer in time")));
            let error = match told {
                Ok(settled) => {
                    self.settles.worked();
                    return Some(settled);
                }
                Err(error) => error,
            };
            self.settles.failed(&error);
            // Full jitter, though never no pause at all.
            let wait = BACK_OFF.wait_after(failures, rand::random_range(0.1..1.0))?;
            let late = tokio::time::Instant::now() + wait >= patience || self.closing.is_cancelled();
            if !error.is_retryable() || late {
                tracing::debug!(task = %attempt.lease.task, "released: its lease expires and it is dispatched again");
                return None;
            }
            // The end of the drain is no reason not to try once more.
            let _ = timeout(wait, self.closing.cancelled()).await;
        }
        None
    }

    async fn tell_once(&self, attempt: &Attempt, end: End) -> Result<Settled, EngineError> {
        self.worker.engine.end(&attempt.lease, attempt.started_at, end).await
    }
}
