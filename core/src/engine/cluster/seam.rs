//! The engine's calls, each led to the file that does it.

use std::time::Duration;

use async_trait::async_trait;

use super::accept::Accept;
use super::settle::EndAttempt;
use super::{ClusterEngine, clean, histories, kinds, log, open, operate, overlay, reads};
use crate::engine::hub::Subscription;
use crate::engine::rows::HistoryPlace;
use crate::engine::{
    Accepted, Cancelled, Claim, ClaimRequest, Cleaned, EffectChanges, EffectPage, Engine, EngineError, EventFilter,
    EventPage, EventSeq, Lease, Log, Operations, Retried, Settled, Tasks, Work, rows, text,
};
use crate::ids::{RunId, TaskId, UserId};
use crate::tasks::{
    Attempt, End, History, HistoryPage, HistorySummary, Kind, NewTask, Stats, Status, StoredEffect, Task, TaskFilter,
    TaskPage,
};
use crate::time::Instant;

impl ClusterEngine {
    /// Whether another worker has the task. A Redis that does not answer remembers nothing, as far as we know.
    async fn is_lost(&self, lease: &Lease) -> bool {
        self.shared.delivery.is_lost(lease).await.unwrap_or(false)
    }

    /// What to tell of an attempt whose lease is another's: it may be that nobody needs it any more.
    async fn lost_or_over(&self, lease: &Lease) -> Result<Settled, EngineError> {
        let found = reads::get(&self.shared, lease.task).await?;
        Ok(match found {
            Some((_, task)) if task.status.is_final() => Settled::AlreadyFinal,
            Some(_) => Settled::LostLease,
            None => Settled::Gone,
        })
    }
}

#[async_trait]
impl Tasks for ClusterEngine {
    async fn accept(&self, new: NewTask) -> Result<Accepted, EngineError> {
        text::check_keys(&new)?;
        let kind = self.shared.kinds.known(new.kind)?;
        Ok(self.lanes()?.accepts.ask(Accept { new, kind }).await?.accepted)
    }

    async fn get(&self, id: TaskId) -> Result<Option<Task>, EngineError> {
        self.check_open()?;
        let Some(found) = reads::get(&self.shared, id).await? else { return Ok(None) };
        let mut found = [found];
        overlay::show_running(&self.shared, &mut found).await;
        let [(_, task)] = found;
        Ok(Some(task))
    }

    async fn list(&self, filter: &TaskFilter, cursor: Option<&str>, limit: usize) -> Result<TaskPage, EngineError> {
        self.check_open()?;
        let before = rows::cursor(cursor, i64::MAX)?;
        let (mut found, next) = reads::list(&self.shared, filter, before, limit.clamp(1, 1000)).await?;
        if !matches!(filter.status, Some(Status::Queued | Status::Running | Status::Retrying)) {
            overlay::show_running(&self.shared, &mut found).await;
        }
        let items = found.into_iter().map(|(_, task)| task).collect();
        Ok(TaskPage { items, next: next.map(|place| place.to_string()) })
    }

    async fn attempts(&self, id: TaskId) -> Result<Vec<Attempt>, EngineError> {
        self.check_open()?;
        reads::attempts(&self.shared.pool, id).await
    }

    async fn effects_of(&self, owner: UserId, kind: Kind) -> Result<Vec<StoredEffect>, EngineError> {
        self.check_open()?;
        histories::all(&self.shared, owner, kind).await
    }

    async fn history(&self, history: &History, cursor: Option<&str>, limit: usize) -> Result<HistoryPage, EngineError> {
        self.check_open()?;
        let (before, limit) = (HistoryPlace::of_cursor(cursor)?, limit.clamp(1, 1000));
        let (found, version) = histories::page(&self.shared, history, before, limit).await?;
        Ok(HistoryPlace::page(found, limit, version))
    }

    async fn history_summary(&self, history: &History) -> Result<HistorySummary, EngineError> {
        self.check_open()?;
        histories::summary(&self.shared, history).await
    }

    async fn history_version(&self, owner: UserId, kind: Kind) -> Result<i64, EngineError> {
        self.check_open()?;
        histories::version(&self.shared, owner, kind).await
    }

    async fn effect(&self, task: TaskId) -> Result<Option<StoredEffect>, EngineError> {
        self.check_open()?;
        histories::one(&self.shared, task).await
    }

    async fn kinds(&self) -> Result<Vec<Kind>, EngineError> {
        self.check_open()?;
        // Others may have brought some since.
        kinds::learn_all(&self.shared).await?;
        Ok(self.shared.kinds.all().iter().map(|known| known.kind).collect())
    }
}

#[async_trait]
impl Work for ClusterEngine {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>, EngineError> {
        self.hand_out(request).await
    }

    async fn extend(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, EngineError> {
        self.renew(leases, lease).await
    }

    async fn end(&self, lease: &Lease, started_at: Instant, end: End) -> Result<Settled, EngineError> {
        if !matches!(end, End::Settle(_)) && self.is_lost(lease).await {
            return self.lost_or_over(lease).await;
        }
        let end = text::end(end);
        Ok(self.lanes()?.ends.ask(EndAttempt { lease: *lease, started_at, end }).await?.settled)
    }
}

#[async_trait]
impl Log for ClusterEngine {
    async fn events_after(
        &self,
        filter: &EventFilter,
        after: EventSeq,
        limit: usize,
    ) -> Result<EventPage, EngineError> {
        self.check_open()?;
        log::events_after(&self.shared, filter, after, limit.clamp(1, 1000)).await
    }

    async fn effects_after(&self, after: EventSeq, limit: usize) -> Result<EffectChanges, EngineError> {
        self.check_open()?;
        log::effects_after(&self.shared, after, limit.clamp(1, 1000)).await
    }

    async fn last_event(&self) -> Result<EventSeq, EngineError> {
        self.check_open()?;
        operate::last_event(&self.shared.pool).await
    }

    fn wakeups(&self, filter: &EventFilter) -> Subscription {
        self.shared.hub.subscribe(filter)
    }
}

#[async_trait]
impl Operations for ClusterEngine {
    async fn stats(&self) -> Result<Stats, EngineError> {
        self.check_open()?;
        operate::stats(&self.shared).await
    }

    async fn set_paused(&self, paused: bool) -> Result<(), EngineError> {
        self.check_open()?;
        operate::set_paused(&self.shared, paused).await
    }

    async fn retry_dead(&self, id: TaskId) -> Result<Retried, EngineError> {
        self.check_open()?;
        operate::retry_dead(&self.shared, id).await
    }

    async fn cancel(&self, id: TaskId, reason: String) -> Result<Cancelled, EngineError> {
        self.check_open()?;
        operate::cancel(&self.shared, id, &text::prose(reason)).await
    }

    async fn discard(&self, id: TaskId, reason: String) -> Result<bool, EngineError> {
        self.check_open()?;
        operate::discard(&self.shared, id, &text::prose(reason)).await
    }

    async fn effects(&self, run: &RunId, cursor: Option<&str>, limit: usize) -> Result<EffectPage, EngineError> {
        self.check_open()?;
        let after = rows::cursor(cursor, 0)?;
        reads::effects(&self.shared, run, after, limit.clamp(1, 10_000)).await
    }

    async fn forget(&self, owner: UserId, kind: Kind) -> Result<u64, EngineError> {
        self.check_open()?;
        histories::forget(&self.shared, owner, kind).await
    }

    async fn clean_run(&self, run: &RunId) -> Result<Cleaned, EngineError> {
        self.check_open()?;
        clean::run(self, run).await
    }
}

#[async_trait]
impl Engine for ClusterEngine {
    fn name(&self) -> &'static str {
        "cluster"
    }

    async fn ping(&self) -> Result<(), EngineError> {
        self.check_open()?;
        open::check_schema(&self.shared.pool).await?;
        operate::can_write(&self.shared.pool).await
    }

    async fn close(&self) {
        self.shut().await;
    }
}
