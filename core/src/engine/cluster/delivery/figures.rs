//! Who is alive, and what each worker holds.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use redis::RedisResult;

use super::super::rows::SHARDS;
use super::{Delivery, QueueId};
use crate::engine::KnownKind;
use crate::ids::WorkerId;
use crate::tasks::WorkerStats;
use crate::time::Instant;

/// A worker not heard of for this long is not counted any more.
const WORKER_FORGOTTEN: Duration = Duration::from_secs(15);
/// That a worker is alive is said no more often.
const WORKER_TOLD: Duration = Duration::from_secs(1);

/// What delivery knows, for `stats`.
#[derive(Debug, Default)]
pub(in super::super) struct Figures {
    pub(in super::super) held: u64,
    pub(in super::super) workers: Vec<WorkerStats>,
}

impl Delivery {
    /// Says that a worker is alive, unless that was said a moment ago. One that only renews its leases need not say again
    /// where it runs.
    pub(in super::super) async fn see(&self, worker: WorkerId, host: Option<&str>, now: Instant) -> RedisResult<()> {
        let clock = tokio::time::Instant::now();
        let known = self.seen().get(&worker).cloned();
        if known.as_ref().is_some_and(|(told, _)| clock.duration_since(*told) < WORKER_TOLD) {
            return Ok(());
        }
        let Some(host) = host.map(str::to_owned).or_else(|| known.map(|(_, host)| host)) else { return Ok(()) };
        let mut command = redis::cmd("HSET");
        command.arg(self.keys.workers()).arg(worker.to_string()).arg(format!("{} {host}", now.micros()));
        self.link.run(|mut connection| async move { command.query_async::<()>(&mut connection).await }).await?;
        let mut seen = self.seen();
        seen.retain(|_, (told, _)| clock.duration_since(*told) < WORKER_FORGOTTEN);
        seen.insert(worker, (clock, host));
        Ok(())
    }

    /// Says that the workers of this process are gone.
    pub(in super::super) async fn leave(&self) -> RedisResult<()> {
        let workers: Vec<String> = self.seen().drain().map(|(worker, _)| worker.to_string()).collect();
        if workers.is_empty() { Ok(()) } else { self.strike(workers).await }
    }

    async fn strike(&self, workers: Vec<String>) -> RedisResult<()> {
        let mut command = redis::cmd("HDEL");
        command.arg(self.keys.workers()).arg(workers);
        self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<WorkerId, (tokio::time::Instant, String)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What all shards hold of some kinds.
    pub(in super::super) async fn figures(&self, kinds: &[KnownKind], now: Instant) -> RedisResult<Figures> {
        let shards = join_all((0..SHARDS).map(|shard| async move {
            let mut call = self.scripts.holders.prepare_invoke();
            for queue in QueueId::of_all(kinds) {
                call.key(&self.keys.place(shard, queue).held);
            }
            let answer: RedisResult<Vec<(String, u64)>> =
                self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await;
            answer
        }))
        .await;
        let mut figures = Figures::default();
        let mut inflight = HashMap::<String, u64>::new();
        for shard in shards {
            for (worker, count) in shard? {
                figures.held += count;
                *inflight.entry(worker).or_default() += count;
            }
        }
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.workers());
        let seen: Vec<(String, String)> =
            self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await?;
        let mut forgotten = Vec::new();
        for (id, seen) in seen {
            let entry = seen.split_once(' ').and_then(|(at, host)| {
                Some((id.parse::<WorkerId>().ok()?, Instant::from_micros(at.parse().ok()?), host.to_owned()))
            });
            let holds = inflight.get(&id).copied().unwrap_or(0);
            match entry {
                Some((worker, last_seen, host)) if alive(last_seen, now) => {
                    figures.workers.push(WorkerStats { id: worker, host, inflight: holds, last_seen });
                }
                _ => forgotten.push(id),
            }
        }
        if !forgotten.is_empty() {
            // Only tidiness.
            let _ = self.strike(forgotten).await;
        }
        figures.workers.sort_by_key(|worker| worker.id);
        Ok(figures)
    }
}

/// One that was seen later than now is of another clock.
fn alive(last_seen: Instant, now: Instant) -> bool {
    now.since(last_seen) < WORKER_FORGOTTEN && last_seen.since(now) < WORKER_FORGOTTEN
}
