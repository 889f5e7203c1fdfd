//! The seam between the platform and what keeps its word: the ledger (the truth) and the delivery (hints, which may be lost).
//!
//! ```text
//!              accept                     claim                 settle
//!  caller ───────────────► LEDGER ─offer► DELIVERY ───► worker ───────► LEDGER
//!                            │ ▲              │  ▲        │ extend        │
//!                            │ └──── sweep ───┘  └────────┘               │
//!                            └── events, in commit order ◄────────────────┘
//! ```
//!
//! The ledger's rows are the outbox: accept commits, then notifies. Delivery may forget everything at any moment; the
//! sweep finds rows that are due and that nobody works on, and offers them again. Leases live with the delivery, so a task
//! costs two durable writes, accept and settle, and a claim none.

pub mod cluster;
mod error;
mod figures;
pub mod hub;
mod identity;
mod kinds;
mod revocations;
mod rows;
pub mod sqlite;
mod text;

#[cfg(test)]
mod conformance;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub use self::error::{EngineError, ErrorKind};
pub use self::hub::{Signal, Subscription};
pub use self::kinds::KnownKind;
use crate::ids::{RunId, TaskId, UserId, WorkerId};
use crate::tasks::{
    Attempt, End, History, HistoryPage, HistorySummary, Kind, NewTask, Stats, StoredEffect, Task, TaskFilter, TaskPage,
};
use crate::time::Instant as Time;

/// Position in the log of events. Follows commit order and is never used twice in a ledger. 0 is before the first.
pub type EventSeq = u64;

/// What became of an accept.
#[derive(Debug, Clone)]
pub enum Accepted {
    /// It is durable, with its event at this place in the log.
    New(Task, EventSeq),
    /// The same idempotency key and request were accepted before: the first answer, as it was then.
    Replay(Task),
    /// The idempotency key was used with another request.
    IdempotencyMismatch,
    /// A task with the same exclusivity key is not final yet.
    Exclusive {
        /// That task.
        open: TaskId,
    },
}

/// A worker's right to a task until a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    pub task: TaskId,
    /// Spares engines a look-up.
    pub row: LeaseRow,
    /// Tells this claim from every other claim of the same task.
    pub token: u64,
    pub worker: WorkerId,
}

/// The ledger's row of a task. Only the engine that made it can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct LeaseRow(i64);

/// A task handed to a worker.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The right to it.
    pub lease: Lease,
    /// What it does.
    pub kind: Kind,
    /// For whom.
    pub owner: Option<UserId>,
    /// Which run it belongs to.
    pub run: Option<RunId>,
    /// The kind's payload.
    pub payload: Box<RawValue>,
    /// This attempt's number, from 1.
    pub attempt: u32,
    /// When it was accepted.
    pub accepted_at: Time,
    /// When this attempt began.
    pub started_at: Time,
}

/// What a worker asks for.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Who asks.
    pub worker: WorkerId,
    /// Where it runs, for `stats`.
    pub host: String,
    /// Of which kinds.
    pub kinds: Vec<Kind>,
    /// At most how many. 0 only says that the worker is alive.
    pub max: usize,
    /// Of these kinds so many at most; of the others as many as `max`.
    pub most: BTreeMap<Kind, usize>,
    /// For how long each, unless extended.
    pub lease: Duration,
    /// How long to wait when there is nothing.
    pub wait: Duration,
    /// Ends the wait: the worker would ask for something else by now.
    pub enough: Option<CancellationToken>,
}

impl ClaimRequest {
    /// At most how many of a kind.
    pub(crate) fn most(&self, kind: Kind) -> usize {
        self.most.get(&kind).map_or(self.max, |most| self.max.min(*most))
    }

    /// Waits until the worker would ask for something else; for ever, if that does not come.
    pub(crate) async fn enough(&self) {
        match &self.enough {
            Some(enough) => enough.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

/// Claims until there is something, the wait is over or the worker would ask for something else: again when it is woken
/// up, and after `look` in any case.
async fn claim_or_wait<F>(
    request: &ClaimRequest,
    wake_up: &Notify,
    look: Duration,
    mut claim: impl FnMut() -> F + Send,
) -> Result<Vec<Claim>, EngineError>
where
    F: Future<Output = Result<Vec<Claim>, EngineError>> + Send,
{
    let deadline = Instant::now() + request.wait;
    loop {
        // Before the look: what is offered meanwhile is noticed.
        let offered = wake_up.notified();
        tokio::pin!(offered);
        offered.as_mut().enable();
        let claims = claim().await?;
        let now = Instant::now();
        if !claims.is_empty() || request.max == 0 || now >= deadline {
            return Ok(claims);
        }
        tokio::select! {
            () = offered => {}
            () = sleep_until(deadline.min(now + look)) => {}
            () = request.enough() => return Ok(Vec::new()),
        }
    }
}

/// What became of the end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It took effect.
    Applied,
    /// The task was final already; nothing was changed.
    AlreadyFinal,
    /// Another worker holds the task now; nothing was changed. Not for [`End::Settle`].
    LostLease,
    /// The task was cleaned up; nothing was changed.
    Gone,
}

/// A change of a task's state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskEvent {
    /// Its place in the log; none for what is not durable (`running`).
    pub seq: Option<EventSeq>,
    /// The task as it was right after the change.
    pub task: Task,
}

/// Which events a reader means. Conditions are joined by "and"; empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this run.
    pub run: Option<RunId>,
    /// Of one of these tasks; empty means any.
    pub tasks: Vec<TaskId>,
    /// Of this owner's tasks.
    pub owner: Option<UserId>,
}

/// A stretch of the log.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// In order, each with a `seq` above the one asked for. Fewer than asked for does not mean that there are no more:
    /// with several conditions a page is cut before they are joined. The end is where `cursor` stands still.
    pub events: Vec<TaskEvent>,
    /// Everything the filter lets through up to here is in `events`: where to go on.
    pub cursor: EventSeq,
    /// Events after the one asked for are gone from the log (retention): the reader has a gap and must be told so.
    pub reset: bool,
}

/// Whose effects a stretch of the log has changed.
#[derive(Debug, Clone, Default)]
pub struct EffectChanges {
    /// The owner and the kind of each new effect, and its place in the log, in order.
    pub changes: Vec<(UserId, Kind, EventSeq)>,
    /// All up to here is in `changes`. Fewer than asked for does not mean that there are no more.
    pub cursor: EventSeq,
    /// Events after the one asked for are gone from the log: anything may have changed.
    pub reset: bool,
    /// The ledger was read for it; an engine may know by itself that nothing is new.
    pub read: bool,
}

/// What became of an operator's retry of one dead task.
#[derive(Debug, Clone)]
pub enum Retried {
    /// It is queued again, its history kept.
    Queued(Task),
    /// It is not dead.
    NotDead,
    /// Its owner has another open one with the same exclusivity key.
    Exclusive {
        /// That one.
        open: TaskId,
    },
    /// There is no such task.
    NotFound,
}

/// What became of calling a task off.
#[derive(Debug, Clone)]
pub enum Cancelled {
    /// It is cancelled now.
    Done(Task),
    /// It was final before, cancelled perhaps: nothing was changed.
    Final(Task),
    /// There is no such task.
    NotFound,
}

/// The code of [`Task::error`] of a task that was cancelled; the message is the reason.
pub const CANCELLED: &str = "cancelled";

/// The effects that a ledger holds for one task, as the audit counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EffectCount {
    /// The task.
    pub task: TaskId,
    /// What it does.
    pub kind: Kind,
    /// Where it stands in the ledger (never `running`).
    pub status: crate::tasks::Status,
    /// What it left behind: effects, if tasks of its kind have some; results otherwise.
    pub effects: u32,
    /// Durable events that say `succeeded`, `declined`, `dead` or `cancelled`, less one for each operator's retry.
    pub finals: u32,
}

/// A page of [`EffectCount`]s.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EffectPage {
    /// In order of acceptance.
    pub items: Vec<EffectCount>,
    /// Pass it as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}

/// Submitting tasks, and reading what became of them.
#[async_trait]
pub trait Tasks: Send + Sync + 'static {
    /// Makes a task durable with its first event, then notifies, unless it is due later. Of concurrent accepts with one exclusivity key, one is
    /// `New`; of those with one idempotency key and owner, one is `New` and the others `Replay` or
    /// `IdempotencyMismatch`. The idempotency key is looked at first. A key of either kind that holds a NUL or more than a
    /// thousand bytes is an error of kind `Invalid`, and so is a kind that nobody has brought to the ledger.
    async fn accept(&self, new: NewTask) -> Result<Accepted, EngineError>;

    /// The task as it is now, `running` included if the delivery knows of a lease.
    async fn get(&self, id: TaskId) -> Result<Option<Task>, EngineError>;

    /// Tasks by filter, newest first. `cursor` is a `next` of an earlier page; a cursor that this engine did not make
    /// is an error of kind `Invalid`. `limit` is clamped to 1..=1000.
    async fn list(&self, filter: &TaskFilter, cursor: Option<&str>, limit: usize) -> Result<TaskPage, EngineError>;

    /// The attempts of a task that ended, oldest first.
    async fn attempts(&self, id: TaskId) -> Result<Vec<Attempt>, EngineError>;

    /// An owner's effects of one kind, newest first.
    async fn effects_of(&self, owner: UserId, kind: Kind) -> Result<Vec<StoredEffect>, EngineError>;

    /// A page of an owner's effects of one kind, newest first, and its version, from one snapshot. `cursor` is a `next` of
    /// an earlier page; one that is not is an error of kind `Invalid`. `limit` is clamped to 1..=1000.
    async fn history(&self, history: &History, cursor: Option<&str>, limit: usize) -> Result<HistoryPage, EngineError>;

    /// What an owner's effects of one kind come to, and its version, from one snapshot.
    async fn history_summary(&self, history: &History) -> Result<HistorySummary, EngineError>;

    /// The version that the two above would answer, without reading what it is the version of.
    async fn history_version(&self, owner: UserId, kind: Kind) -> Result<i64, EngineError>;

    /// What a task left behind.
    async fn effect(&self, task: TaskId) -> Result<Option<StoredEffect>, EngineError>;

    /// Every kind that the ledger has heard of: from this process or from others, newer ones included.
    async fn kinds(&self) -> Result<Vec<Kind>, EngineError>;
}

/// Doing tasks.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// Hands out due tasks, by priority (see [`Priority`](crate::tasks::Priority)) and then the oldest first, waiting up to `request.wait` for the
    /// first. Nothing is durable: if the process dies, the sweep of another finds the tasks. Returns nothing while
    /// paused.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>, EngineError>;

    /// Renews leases for `lease` from now; returns those that are lost (expired and taken, settled or cleaned up).
    async fn extend(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, EngineError>;

    /// Ends an attempt that began at `started_at`; what follows from it, its event and its effect are one transaction.
    ///
    /// - [`End::Settle`]: of several the first wins, whether its lease still stands or not; a later one is told
    ///   `AlreadyFinal`.
    /// - [`End::RetryAt`], [`End::GiveUp`]: told `LostLease` if another worker holds the task.
    async fn end(&self, lease: &Lease, started_at: Time, end: End) -> Result<Settled, EngineError>;
}

/// Following what happens.
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Durable events after `after`, in order, at most `limit` (clamped to 1..=1000).
    async fn events_after(&self, filter: &EventFilter, after: EventSeq, limit: usize)
    -> Result<EventPage, EngineError>;

    /// Whose effects the events after `after` have changed, at most `limit` (clamped to 1..=1000), and the place up to which
    /// that is all. Less than reading the events.
    async fn effects_after(&self, after: EventSeq, limit: usize) -> Result<EffectChanges, EngineError>;

    /// The `seq` of the latest event, 0 if there is none.
    async fn last_event(&self) -> Result<EventSeq, EngineError>;

    /// Wake-ups for a filter, from now on. Hints: they may be lost or come for nothing. Subscribe first, then
    /// read, then wait with a deadline.
    fn wakeups(&self, filter: &EventFilter) -> Subscription;
}

/// Looking after the whole: depth, dead letters, runs.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// Depth, age, totals, workers. Cheap enough to ask every second with a million tasks queued.
    async fn stats(&self) -> Result<Stats, EngineError>;

    /// Stops claiming, or starts it again; survives a restart. Accepting goes on.
    async fn set_paused(&self, paused: bool) -> Result<(), EngineError>;

    /// Queues a dead task again, at once, with a fresh count of attempts; its history is kept.
    async fn retry_dead(&self, id: TaskId) -> Result<Retried, EngineError>;

    /// Calls a task off: it is final, without an effect, and whoever works on it finds that the lease is lost. The reason
    /// is kept as its error, [`CANCELLED`].
    async fn cancel(&self, id: TaskId, reason: String) -> Result<Cancelled, EngineError>;

    /// Takes a dead letter off the list for good and keeps the reason with it. False if it is not a dead letter.
    async fn discard(&self, id: TaskId, reason: String) -> Result<bool, EngineError>;

    /// How often each task of a run took effect, in order of acceptance, for the audit.
    async fn effects(&self, run: &RunId, cursor: Option<&str>, limit: usize) -> Result<EffectPage, EngineError>;

    /// Takes what an owner's effects of one kind say out of the ledger, and whose they were, in batches that let others
    /// through; returns how many. That each was there once stays: the audit counts it. Again does no harm.
    async fn forget(&self, owner: UserId, kind: Kind) -> Result<u64, EngineError>;

    /// Removes a run: its generated users with all that they own, its other tasks and their events, in batches that let
    /// others through; never what a person ordered, also if the person has left: whose a task is, is decided when it is
    /// accepted. Returns how many users and tasks. What still runs is told
    /// `Gone` when it settles.
    async fn clean_run(&self, run: &RunId) -> Result<Cleaned, EngineError>;
}

/// Ledger and delivery behind one seam: what a process opens once, and hands on by what each of its parts does with it.
///
/// # Contract
/// Every implementation passes [`conformance`], whole.
///
/// - **Durable.** [`Tasks::accept`], [`Work::end`], and what [`Operations`] changes return `Ok` only when what they did
///   survives the loss of power. Nothing else is durable.
/// - **All or nothing.** What one call changes, with its event, is one transaction. An `Err` means that nothing
///   was changed, except with [`ErrorKind::Unknown`]: then it may have been, and the same call again is safe.
/// - **Events follow commits.** A reader that has seen `seq` n never later finds one with `seq` < n.
/// - **At least once, effect once.** A due task that is not final is handed out again and again until it is; to at
///   most one worker at a time as far as the delivery remembers. The first settle wins.
/// - Implementations MUST NOT block the calling thread for I/O, MUST be safe to call from many tasks at once, and MUST
///   stay correct when a returned future is dropped half-way (the write may or may not happen).
#[async_trait]
pub trait Engine: Tasks + Work + Log + Operations {
    /// The engine's name in `up -o json` and `status`: `sqlite` or `cluster`.
    fn name(&self) -> &'static str;

    /// Answers if the ledger can be read and written and its schema is right.
    async fn ping(&self) -> Result<(), EngineError>;

    /// Stops accepting writes, ends the engine's own tasks and returns when all is on disk. Idempotent.
    async fn close(&self);
}

/// What a clean-up removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cleaned {
    /// Generated users.
    pub users: u64,
    /// Tasks.
    pub tasks: u64,
}

/// A store: tasks and accounts in one ledger.
#[derive(Clone)]
pub struct Store {
    /// Tasks.
    pub engine: std::sync::Arc<dyn Engine>,
    /// Users, sessions, cards.
    pub accounts: std::sync::Arc<dyn crate::accounts::Accounts>,
}
