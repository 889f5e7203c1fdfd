//! The engine for more than one machine: Postgres is the ledger, Redis Streams are the doorbell.
//!
//! ```text
//!  accept ──► lane ──one statement a batch──► Postgres ──► ringer ──► Redis ◄── claim
//!                                               ▲  │                    ▲
//!  settle ──► lane ─────────────────────────────┘  └──── sweep ─────────┘
//!                      └─► messages through Redis ─► other processes' subscribers
//! ```
//!
//! Redis may be away or lose everything: that only delays. With Postgres away accepts are refused, and nothing is lost.

mod accept;
mod accounts;
mod address;
mod clean;
mod clock;
mod delivery;
mod failure;
mod lane;
mod log;
mod messages;
mod open;
mod operate;
mod overlay;
mod reads;
mod retention;
mod rows;
mod settle;
mod shared;
mod sweep;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::accept::Accepting;
pub use self::address::Address;
use self::delivery::{Channel, Delivery, Link, Ringer};
use self::lane::Lane;
pub use self::open::{Migrated, migrate};

use self::settle::{End, EndAttempt, Ending};
use self::shared::Shared;
use super::hub::{Hub, Subscription};
use super::{
    Accepted, Claim, ClaimRequest, Cleaned, EffectPage, Engine, EngineError, EventFilter, EventPage, EventSeq, Lease,
    Retried, Settled, Store,
};
use crate::ids::{RunId, TaskId};
use crate::settings::Settings;
use crate::tasks::{Attempt, NewTask, Outcome, Scaling, Stats, Status, Task, TaskError, TaskFilter, TaskPage};
use crate::time::Instant;

/// A waiting claim looks everywhere this often, whatever the messages say; also how late a lease that ran out is seen.
const LOOK: Duration = Duration::from_millis(250);

/// The engine. Made by [`open`].
pub struct ClusterEngine {
    shared: Arc<Shared>,
    /// None once the engine is closed.
    lanes: Mutex<Option<Arc<Lanes>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Lanes {
    accepts: Lane<Accepting>,
    ends: Lane<Ending>,
}

/// Connects, brings the schema up to date (under a lock, once among all that try) and starts the engine's tasks. Needs
/// a tokio runtime.
///
/// # Errors
/// `Broken`: the schema is from a newer version, Postgres does not let us in, or an address means nothing.
/// `Unavailable`: Postgres can't be reached. A Redis that is away is no error: it only delays.
pub async fn open(address: &Address, settings: &Settings) -> Result<Store, EngineError> {
    let engine = Arc::new(open_engine(address, settings).await?);
    Ok(Store { engine: Arc::<ClusterEngine>::clone(&engine), accounts: engine })
}

async fn open_engine(address: &Address, settings: &Settings) -> Result<ClusterEngine, EngineError> {
    let options = open::options(&address.database)?;
    let link = Link::new(&address.redis)?;
    let pool = open::prepare(&options).await?;
    let namespace = open::namespace(&pool, &settings.delivery.prefix).await?;
    let delivery = Arc::new(Delivery::new(link, &namespace, settings.delivery.limit));
    let (ringer, mut tasks) = Ringer::start(&delivery);
    let shared = Arc::new(Shared {
        pool,
        delivery,
        ringer,
        hub: Arc::new(Hub::default()),
        clock: clock::Clock::default(),
        origin: rand::random(),
        told: 0.into(),
        listens: false.into(),
        look: tokio::sync::Notify::new(),
        deleted: std::sync::RwLock::default(),
        ledger_away: false.into(),
        stop: CancellationToken::new(),
    });
    watch::look_once(&shared, &mut watch::Seen::default()).await?;
    let limit = settings.ledger.batch_limit;
    let (accepts, accepting) = Lane::start(options.clone(), Arc::new(Accepting(Arc::clone(&shared))), limit);
    let (ends, ending) = Lane::start(options, Arc::new(Ending(Arc::clone(&shared))), limit);
    tasks.extend([accepting, ending]);
    tasks.push(tokio::spawn(watch::listen(Arc::clone(&shared))));
    tasks.push(tokio::spawn(watch::look(Arc::clone(&shared))));
    tasks.push(tokio::spawn(sweep::run(Arc::clone(&shared), settings.ledger.event_retention, settings.worker.lease)));
    let lanes = Mutex::new(Some(Arc::new(Lanes { accepts, ends })));
    Ok(ClusterEngine { shared, lanes, tasks: Mutex::new(tasks) })
}

/// An engine that nobody closed ends its tasks all the same.
impl Drop for ClusterEngine {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.shared.ringer.close();
    }
}

impl ClusterEngine {
    fn lanes(&self) -> Result<Arc<Lanes>, EngineError> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(failure::closed)
    }

    fn check_open(&self) -> Result<(), EngineError> {
        if self.shared.stop.is_cancelled() { Err(failure::closed()) } else { Ok(()) }
    }

    async fn end(&self, lease: &Lease, started_at: Instant, end: End) -> Result<Settled, EngineError> {
        let ended = self.lanes()?.ends.ask(EndAttempt { lease: *lease, started_at, end }).await?;
        Ok(ended.settled)
    }

    /// Whether another worker has the task. A Redis that does not answer remembers nothing, as far as we know.
    async fn is_lost(&self, lease: &Lease) -> bool {
        self.shared.delivery.is_lost(lease).await.unwrap_or(false)
    }

    fn begin(&self, found: Vec<(delivery::Ready, Lease)>, started_at: Instant) -> Vec<Claim> {
        let shared = &self.shared;
        let tasks: Vec<_> = found.iter().map(|(ready, _)| ready).collect();
        if !tasks.is_empty() {
            shared.ringer.tell(Channel::Running, messages::running(shared.origin, started_at, &tasks));
        }
        let listened = !shared.hub.is_idle();
        let begun = found.into_iter().map(|(ready, lease)| {
            let delivery::Ready { identity, payload, attempts, .. } = ready;
            let attempt = attempts + 1;
            if listened {
                shared.hub.announce_transient(&Arc::new(identity.running(attempt, started_at)));
            }
            Claim {
                lease,
                kind: identity.kind,
                owner: identity.owner,
                run: identity.run,
                payload,
                attempt,
                accepted_at: identity.accepted_at,
                started_at,
            }
        });
        begun.collect()
    }
}

#[async_trait]
impl Engine for ClusterEngine {
    fn name(&self) -> &'static str {
        "cluster"
    }

    async fn accept(&self, new: NewTask) -> Result<Accepted, EngineError> {
        Ok(self.lanes()?.accepts.ask(new).await?.accepted)
    }

    async fn get(&self, id: TaskId) -> Result<Option<Task>, EngineError> {
        self.check_open()?;
        let Some(found) = reads::get(&self.shared.pool, id).await? else { return Ok(None) };
        let mut found = [found];
        overlay::show_running(&self.shared.delivery, &mut found).await;
        let [(_, task)] = found;
        Ok(Some(task))
    }

    async fn list(&self, filter: &TaskFilter, cursor: Option<&str>, limit: usize) -> Result<TaskPage, EngineError> {
        self.check_open()?;
        let before = reads::cursor(cursor, i64::MAX)?;
        let (mut found, next) = reads::list(&self.shared, filter, before, limit.clamp(1, 1000)).await?;
        if !matches!(filter.status, Some(Status::Queued | Status::Running | Status::Retrying)) {
            overlay::show_running(&self.shared.delivery, &mut found).await;
        }
        let items = found.into_iter().map(|(_, task)| task).collect();
        Ok(TaskPage { items, next: next.map(|place| place.to_string()) })
    }

    async fn attempts(&self, id: TaskId) -> Result<Vec<Attempt>, EngineError> {
        self.check_open()?;
        reads::attempts(&self.shared.pool, id).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>, EngineError> {
        let delivery = &self.shared.delivery;
        let deadline = tokio::time::Instant::now() + request.wait;
        let seen = delivery.see(request.worker, Some(&request.host), self.shared.clock.now()).await;
        seen.map_err(failure::redis)?;
        loop {
            self.check_open()?;
            delivery.look(LOOK);
            let bell = delivery.bell.notified();
            tokio::pin!(bell);
            bell.as_mut().enable();
            if !delivery.paused.load(Ordering::Acquire) && request.max > 0 {
                let now = self.shared.clock.now();
                let found = delivery.claim(request, now).await.map_err(failure::redis)?;
                if !found.is_empty() {
                    return Ok(self.begin(found, now));
                }
            }
            let now = tokio::time::Instant::now();
            if request.max == 0 || now >= deadline {
                return Ok(Vec::new());
            }
            let pause = tokio::time::timeout_at(deadline.min(now + LOOK), bell);
            if self.shared.stop.run_until_cancelled(pause).await.is_none() {
                return Err(failure::closed());
            }
        }
    }

    async fn extend(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, EngineError> {
        let shared = &self.shared;
        if let Some(first) = leases.first() {
            // Whether it is heard or not: the leases matter more.
            let _ = shared.delivery.see(first.worker, None, shared.clock.now()).await;
        }
        let (mut lost, unknown) = shared.delivery.extend(leases, lease).await.map_err(failure::redis)?;
        if !unknown.is_empty() {
            // Redis forgot them, or they are over: the ledger knows which.
            let ids: Vec<_> = unknown.iter().map(|lease| lease.task.uuid()).collect();
            let open = reads::read(|| {
                sqlx::query_scalar!("SELECT id FROM tasks WHERE id = ANY ($1) AND status + 0 < 4", &ids)
                    .fetch_all(&shared.pool)
            })
            .await?;
            let (open, over): (Vec<_>, Vec<_>) =
                unknown.into_iter().partition(|lease| open.contains(&lease.task.uuid()));
            lost.extend(over);
            lost.extend(shared.delivery.adopt(&open, lease, shared.clock.now()).await.map_err(failure::redis)?);
        }
        Ok(lost)
    }

    async fn settle(&self, lease: &Lease, started_at: Instant, outcome: Outcome) -> Result<Settled, EngineError> {
        self.end(lease, started_at, End::Settle(outcome)).await
    }

    async fn retry_at(
        &self,
        lease: &Lease,
        started_at: Instant,
        due: Instant,
        error: TaskError,
        counts: bool,
    ) -> Result<Settled, EngineError> {
        if self.is_lost(lease).await {
            return self.lost_or_over(lease).await;
        }
        let wait = i64::try_from(self.shared.clock.until(due).as_micros()).unwrap_or(i64::MAX / 4);
        self.end(lease, started_at, End::RetryAt { wait, error, counts }).await
    }

    async fn give_up(&self, lease: &Lease, started_at: Instant, error: TaskError) -> Result<Settled, EngineError> {
        if self.is_lost(lease).await {
            return self.lost_or_over(lease).await;
        }
        self.end(lease, started_at, End::GiveUp(error)).await
    }

    async fn events_after(
        &self,
        filter: &EventFilter,
        after: EventSeq,
        limit: usize,
    ) -> Result<EventPage, EngineError> {
        self.check_open()?;
        log::events_after(&self.shared.pool, filter, after, limit.clamp(1, 1000)).await
    }

    async fn last_event(&self) -> Result<EventSeq, EngineError> {
        self.check_open()?;
        operate::last_event(&self.shared.pool).await
    }

    fn wakeups(&self, filter: &EventFilter) -> Subscription {
        self.shared.hub.subscribe(filter)
    }

    async fn stats(&self) -> Result<Stats, EngineError> {
        self.check_open()?;
        operate::stats(&self.shared).await
    }

    async fn scaling(&self) -> Result<Scaling, EngineError> {
        self.check_open()?;
        operate::scaling(&self.shared).await
    }

    async fn set_paused(&self, paused: bool) -> Result<(), EngineError> {
        self.check_open()?;
        operate::set_paused(&self.shared, paused).await
    }

    async fn retry_dead(&self, id: TaskId) -> Result<Retried, EngineError> {
        self.check_open()?;
        operate::retry_dead(&self.shared, id).await
    }

    async fn discard(&self, id: TaskId, reason: String) -> Result<bool, EngineError> {
        self.check_open()?;
        operate::discard(&self.shared, id, &reason).await
    }

    async fn effects(&self, run: &RunId, cursor: Option<&str>, limit: usize) -> Result<EffectPage, EngineError> {
        self.check_open()?;
        let after = reads::cursor(cursor, 0)?;
        reads::effects(&self.shared.pool, run, after, limit.clamp(1, 10_000)).await
    }

    async fn clean_run(&self, run: &RunId) -> Result<Cleaned, EngineError> {
        self.check_open()?;
        clean::run(self, run).await
    }

    async fn ping(&self) -> Result<(), EngineError> {
        self.check_open()?;
        open::check_schema(&self.shared.pool).await?;
        operate::can_write(&self.shared.pool).await
    }

    async fn close(&self) {
        self.shared.stop.cancel();
        // The lanes end when what waits is written and the last caller has its answer.
        drop(self.lanes.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.shared.delivery.bell.notify_waiters();
        self.shared.hub.announce_all();
        self.shared.ringer.close();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // A task that panicked has said so.
            let _ = tokio::time::timeout(Duration::from_secs(10), task).await;
        }
        self.shared.pool.close().await;
    }
}

impl ClusterEngine {
    /// What to tell of an attempt whose lease is another's: it may be that nobody needs it any more.
    async fn lost_or_over(&self, lease: &Lease) -> Result<Settled, EngineError> {
        let found = reads::get(&self.shared.pool, lease.task).await?;
        Ok(match found {
            Some((_, task)) if task.status.is_final() => Settled::AlreadyFinal,
            Some(_) => Settled::LostLease,
            None => Settled::Gone,
        })
    }
}
