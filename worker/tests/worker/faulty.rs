//! The real engine behind one that fails on demand and counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use card_core::engine::{
    Accepted, Claim, ClaimRequest, Cleaned, EffectPage, Engine, EngineError, ErrorKind, EventFilter, EventPage,
    EventSeq, Lease, Retried, Settled, Subscription,
};
use card_core::ids::{RunId, TaskId};
use card_core::tasks::{Attempt, NewTask, Outcome, Scaling, Stats, Task, TaskError, TaskFilter, TaskPage};
use card_core::time::Instant;

pub(crate) struct Faulty {
    engine: Arc<dyn Engine>,
    /// So many of the next claims fail.
    pub(crate) claims_fail: AtomicUsize,
    /// So many of the next settles take effect and their answer is lost.
    pub(crate) settle_answers_lost: AtomicUsize,
    /// So many of the next settles fail.
    pub(crate) settles_fail: AtomicUsize,
    pub(crate) extensions: AtomicUsize,
    /// Leases in the last extension.
    pub(crate) extended: AtomicUsize,
    /// So many seconds the ledger's clock is behind this machine's.
    pub(crate) clock_behind: AtomicU64,
}

impl Faulty {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Arc<Self> {
        let [claims_fail, settle_answers_lost, settles_fail, extensions, extended] =
            std::array::from_fn(|_| AtomicUsize::new(0));
        let clock_behind = AtomicU64::new(0);
        Arc::new(Self { engine, claims_fail, settle_answers_lost, settles_fail, extensions, extended, clock_behind })
    }

    fn behind(&self) -> Duration {
        Duration::from_secs(self.clock_behind.load(Ordering::SeqCst))
    }
}

fn takes_one(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn fault(kind: ErrorKind) -> EngineError {
    EngineError::new(kind, "a fault of the test's")
}

#[async_trait]
impl Engine for Faulty {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    async fn accept(&self, new: NewTask) -> Result<Accepted, EngineError> {
        self.engine.accept(new).await
    }

    async fn get(&self, id: TaskId) -> Result<Option<Task>, EngineError> {
        self.engine.get(id).await
    }

    async fn list(&self, filter: &TaskFilter, cursor: Option<&str>, limit: usize) -> Result<TaskPage, EngineError> {
        self.engine.list(filter, cursor, limit).await
    }

    async fn attempts(&self, id: TaskId) -> Result<Vec<Attempt>, EngineError> {
        self.engine.attempts(id).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>, EngineError> {
        if takes_one(&self.claims_fail) {
            return Err(fault(ErrorKind::Unavailable));
        }
        let mut claims = self.engine.claim(request).await?;
        for claim in &mut claims {
            claim.accepted_at = claim.accepted_at.minus(self.behind());
            claim.started_at = claim.started_at.minus(self.behind());
        }
        Ok(claims)
    }

    async fn extend(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, EngineError> {
        let lost = self.engine.extend(leases, lease).await;
        self.extended.store(leases.len(), Ordering::SeqCst);
        self.extensions.fetch_add(1, Ordering::SeqCst);
        lost
    }

    async fn settle(&self, lease: &Lease, started_at: Instant, outcome: Outcome) -> Result<Settled, EngineError> {
        if takes_one(&self.settles_fail) {
            return Err(fault(ErrorKind::Unavailable));
        }
        let settled = self.engine.settle(lease, started_at.plus(self.behind()), outcome).await;
        if takes_one(&self.settle_answers_lost) { Err(fault(ErrorKind::Unknown)) } else { settled }
    }

    async fn retry_at(
        &self,
        lease: &Lease,
        started_at: Instant,
        due: Instant,
        error: TaskError,
        counts: bool,
    ) -> Result<Settled, EngineError> {
        let behind = self.behind();
        self.engine.retry_at(lease, started_at.plus(behind), due.plus(behind), error, counts).await
    }

    async fn give_up(&self, lease: &Lease, started_at: Instant, error: TaskError) -> Result<Settled, EngineError> {
        self.engine.give_up(lease, started_at.plus(self.behind()), error).await
    }

    async fn events_after(
        &self,
        filter: &EventFilter,
        after: EventSeq,
        limit: usize,
    ) -> Result<EventPage, EngineError> {
        self.engine.events_after(filter, after, limit).await
    }

    async fn last_event(&self) -> Result<EventSeq, EngineError> {
        self.engine.last_event().await
    }

    fn wakeups(&self, filter: &EventFilter) -> Subscription {
        self.engine.wakeups(filter)
    }

    async fn stats(&self) -> Result<Stats, EngineError> {
        self.engine.stats().await
    }

    async fn scaling(&self) -> Result<Scaling, EngineError> {
        self.engine.scaling().await
    }

    async fn set_paused(&self, paused: bool) -> Result<(), EngineError> {
        self.engine.set_paused(paused).await
    }

    async fn retry_dead(&self, id: TaskId) -> Result<Retried, EngineError> {
        self.engine.retry_dead(id).await
    }

    async fn discard(&self, id: TaskId, reason: String) -> Result<bool, EngineError> {
        self.engine.discard(id, reason).await
    }

    async fn effects(&self, run: &RunId, cursor: Option<&str>, limit: usize) -> Result<EffectPage, EngineError> {
        self.engine.effects(run, cursor, limit).await
    }

    async fn clean_run(&self, run: &RunId) -> Result<Cleaned, EngineError> {
        self.engine.clean_run(run).await
    }

    async fn ping(&self) -> Result<(), EngineError> {
        self.engine.ping().await
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}
