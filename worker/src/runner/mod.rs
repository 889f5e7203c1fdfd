//! Claims tasks, begins their steps, keeps their leases and tells the engine how they ended.
//!
//! - At most `settings.concurrency` steps of one kind are under way at once, and a third as many of the others. A permit
//!   moves into the task that works under it, so a panic gives it back.
//! - A slow step or a slow settle never holds up another: every waiting step is a task of its own, and what is over at
//!   once is settled concurrently, so that the engine commits many together.
//! - What can't be settled is let go in the end: its lease runs out, and the engine's sweep hands it out again.

mod attempt;
mod claiming;
mod in_flight;
mod leases;
mod meters;
mod outcome;
mod rooms;
mod settling;
mod state_log;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use card_core::engine::{Claim, Work};
use card_core::ids::WorkerId;
use card_core::settings;
use card_kinds::{Begun, Step, task_error};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::attempt::Attempt;
use self::in_flight::{Cut, InFlight};
use self::meters::Meters;
use self::rooms::{Rooms, Seat, permits};
use self::state_log::StateLog;
use crate::handlers::Handlers;

/// How long a stop waits for steps under way, unless said.
const DRAIN: Duration = Duration::from_secs(25);
/// After the drain, handing back may take this long.
const HAND_BACK: Duration = Duration::from_secs(3);

/// A worker, not yet at work.
pub struct Worker {
    engine: Arc<dyn Work>,
    handlers: Handlers,
    settings: settings::Worker,
    id: WorkerId,
    host: String,
    drain: Duration,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Whether every step under way ended within the drain. If not, the rest was cut off and handed back; its attempts
    /// don't count.
    pub drained: bool,
}

impl Worker {
    /// A worker that takes tasks from `engine` and does what `handlers` know; clones of them share connections
    /// and breakers. `id` belongs to one running worker; `host` says where, for `GET /stats`.
    #[must_use]
    pub fn new(
        engine: Arc<dyn Work>,
        handlers: Handlers,
        settings: settings::Worker,
        id: WorkerId,
        host: impl Into<String>,
    ) -> Self {
        Self { engine, handlers, settings, id, host: host.into(), drain: DRAIN }
    }

    /// How long a stop waits for steps under way, before it cuts them off; 25 seconds unless said.
    #[must_use]
    pub fn with_drain(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }

    /// Works until `stop`, or until the engine is closed. Must be called inside a Tokio runtime. Dropping the future
    /// cuts everything off, as a crash would.
    pub async fn run(self, stop: CancellationToken) -> Stopped {
        let drain = self.drain;
        let kinds = self.handlers.kinds().count();
        let limit = permits(self.settings.concurrency, kinds).clamp(1, Semaphore::MAX_PERMITS);
        let runner = Arc::new(Runner {
            meters: Meters::new(self.handlers.kinds()),
            in_flight: Arc::default(),
            permits: Arc::new(Semaphore::new(limit)),
            rooms: Arc::new(Rooms::new(self.settings.concurrency, kinds)),
            closing: CancellationToken::new(),
            claims: StateLog::new("claim tasks"),
            extensions: StateLog::new("extend leases"),
            settles: StateLog::new("settle tasks"),
            worker: self,
        });
        tracing::info!(worker = %runner.worker.id, concurrency = runner.worker.settings.concurrency, "worker started");
        let leases = AbortOnDropHandle::new(tokio::spawn(leases::keep(Arc::clone(&runner))));
        let mut tasks = JoinSet::new();
        claiming::run(&runner, &mut tasks, &stop).await;
        let stopped = runner.drain(tasks, drain).await;
        drop(leases);
        tracing::info!(worker = %runner.worker.id, drained = stopped.drained, "worker stopped");
        stopped
    }
}

/// A worker at work.
struct Runner {
    worker: Worker,
    meters: Meters,
    in_flight: Arc<InFlight>,
    permits: Arc<Semaphore>,
    rooms: Arc<Rooms>,
    /// The drain is over: nothing waits any more.
    closing: CancellationToken,
    claims: StateLog,
    extensions: StateLog,
    settles: StateLog,
}

impl Runner {
    /// Begins the steps of what was claimed, one permit each.
    fn begin(self: &Arc<Self>, claims: Vec<Claim>, permits: &mut OwnedSemaphorePermit, tasks: &mut JoinSet<()>) {
        let came_in = std::time::Instant::now();
        let mut over = Vec::new();
        for claim in claims {
            // The claim asked for no more than there are permits; an engine that hands out more is not believed.
            let Some(permit) = permits.split(1) else { break };
            let seat = self.rooms.enter(claim.kind, permit);
            let attempt = Attempt::of(&claim, came_in);
            self.meters.began(&attempt);
            match self.begin_step(&claim, &attempt) {
                Begun::Done(step) => over.push((attempt, step, seat.step_is_over())),
                Begun::Running(step) => {
                    tasks.spawn(Arc::clone(self).attend(attempt, step, seat));
                }
            }
        }
        if !over.is_empty() {
            tasks.spawn(Arc::clone(self).settle_all(over));
        }
    }

    fn begin_step(&self, claim: &Claim, attempt: &Attempt) -> Begun {
        let Some(handler) = self.worker.handlers.handler(claim.kind) else {
            // Only an engine that hands out what was not asked for leads here. Another worker may know the kind.
            return Begun::Done(Step::Retry(task_error(
                "unknown-kind",
                "this worker does not support this kind of task",
            )));
        };
        std::panic::catch_unwind(AssertUnwindSafe(|| handler.begin(claim)))
            .unwrap_or_else(|_| Begun::Done(panicked(attempt)))
    }

    /// Waits for a step, unless it is cut off, and acts on how it ended.
    fn attend(
        self: Arc<Self>,
        attempt: Attempt,
        step: BoxFuture<'static, Step>,
        seat: Seat,
    ) -> impl Future<Output = ()> + Send + 'static {
        // Entered before the task first runs: a lease is extended, and a stop finds it, from the claim on.
        let (mut entry, cut) = self.in_flight.enter(attempt.lease);
        async move {
            let step = AssertUnwindSafe(step).catch_unwind();
            let step = tokio::select! {
                biased;
                step = step => step.unwrap_or_else(|_| panicked(&attempt)),
                cut = cut => match cut {
                    Ok(Cut::Stopping) => cut_off(),
                    // The other end only goes away with the lease.
                    Ok(Cut::LostLease) | Err(_) => {
                        self.meters.lost(&attempt);
                        return;
                    }
                },
            };
            entry.step_is_over();
            let outgoing = seat.step_is_over();
            self.finish(attempt, step).await;
            drop(outgoing);
        }
    }

    /// Lets what is under way end, within the drain; hands back the rest.
    async fn drain(&self, mut tasks: JoinSet<()>, drain: Duration) -> Stopped {
        let drained = tokio::time::timeout(drain, join(&mut tasks)).await.is_ok();
        self.closing.cancel();
        if !drained {
            let cut = self.in_flight.cut_all();
            tracing::warn!(steps = cut, "the drain timeout is over; handing back running tasks");
            if tokio::time::timeout(HAND_BACK, join(&mut tasks)).await.is_err() {
                tracing::warn!(tasks = tasks.len(), "tasks were not handed back in time; their leases will expire");
            }
        }
        tasks.shutdown().await;
        Stopped { drained }
    }
}

/// How a step ends that was cut off by a stop: due again at once, for whoever works then.
fn cut_off() -> Step {
    let error = task_error("worker-stopped", "the worker stopped before the step ended");
    Step::Defer { wait: Duration::ZERO, error }
}

fn panicked(attempt: &Attempt) -> Step {
    tracing::error!(task = %attempt.lease.task, kind = %attempt.kind, attempt = attempt.number, "a step panicked");
    Step::Retry(task_error("step-panicked", "the step failed because of a defect in the platform"))
}

async fn join(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        report(ended);
    }
}

/// Steps can't panic past [`Runner::attend`]: what is reported here is a defect of the runner.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a worker's task panicked; its leases expire and its tasks are dispatched again");
    }
}
