//! One operation on many dead letters: found first, then handled one by one at a rate, within the time of a call.

use std::time::Duration;

use card_core::engine::{Engine, Retried};
use card_core::ids::TaskId;
use card_core::problem::Code;
use card_core::tasks::{Status, Task, TaskFilter};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::filter::Which;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::http::gate::Admission;
use crate::problem::Refusal;

/// A call does what fits into this; the rest is for the next one.
const TIME_LIMIT: Duration = Duration::from_secs(50);
const SAMPLE: usize = 10;
const PAGE: usize = 1000;
/// Named in an answer; those beyond are only missing from `done`.
const REFUSED: usize = 1000;
/// Calls of the engine under way at once: writes share commits.
const CONCURRENCY: usize = 32;

/// What an operation on dead letters found and did.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Handled {
    /// How many the filter means (and the limit allows).
    matched: u64,
    /// How many were handled. Fewer than matched: the time was up, the ledger failed, or some were refused.
    done: u64,
    /// Some of them, as they were before.
    sample: Vec<Task>,
    /// Those that were tried or named, and were not handled; at most 1000.
    refused: Vec<Refused>,
}

/// A task that was not handled.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refused {
    /// Which.
    task: TaskId,
    /// Why: `not-found`, `not-dead` (any more), `replacement-open`, or what the ledger's failure is called.
    code: Code,
    /// With `replacement-open`: the task that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_task: Option<TaskId>,
}

/// What is done to each.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation<'a> {
    Retry,
    Discard { reason: &'a str },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) rate: Option<f64>,
    pub(super) limit: Option<usize>,
    pub(super) dry_run: bool,
}

impl Pace {
    fn check(self) -> Result<(), Refusal> {
        if self.rate.is_some_and(|rate| !(0.01..=100_000.0).contains(&rate)) {
            return Err(Refusal::invalid("/rate", "must lie between 0.01 and 100000 a second"));
        }
        if self.limit == Some(0) {
            return Err(Refusal::invalid("/limit", "must be at least 1"));
        }
        Ok(())
    }
}

impl Operation<'_> {
    /// None if it was done.
    async fn apply(self, engine: &dyn Engine, task: TaskId) -> Result<Option<Refused>, Refusal> {
        let refused = |code, open_task| Ok(Some(Refused { task, code, open_task }));
        match self {
            Self::Retry => match engine.retry_dead(task).await? {
                Retried::Queued(_) => Ok(None),
                Retried::NotDead => refused(Code::NotDead, None),
                Retried::NotFound => refused(Code::NotFound, None),
                Retried::Exclusive { open } => refused(Code::ReplacementOpen, Some(open)),
            },
            Self::Discard { reason } => match engine.discard(task, reason.to_owned()).await? {
                true => Ok(None),
                false => refused(Code::NotDead, None),
            },
        }
    }
}

/// Finds and handles.
pub(super) async fn run(
    app: &App,
    admission: Admission,
    which: Which,
    pace: Pace,
    operation: Operation<'_>,
) -> Result<Handled, Refusal> {
    pace.check()?;
    let _parked = app.gate.park(admission, Caller::Operator)?;
    let deadline = Instant::now() + TIME_LIMIT;
    let (ids, mut handled) = find(app, which, pace.limit.unwrap_or(usize::MAX), deadline).await?;
    if !pace.dry_run {
        each(app, ids, pace.rate, deadline, operation, &mut handled).await?;
    }
    Ok(handled)
}

/// The ids, found before the first is changed, so that none is handled twice.
async fn find(app: &App, which: Which, limit: usize, deadline: Instant) -> Result<(Vec<TaskId>, Handled), Refusal> {
    let mut handled = Handled::default();
    let ids = match which {
        Which::Matching(filter) => matching(app, &filter, limit, deadline, &mut handled.sample).await?,
        Which::Named(names) => named(app, names, limit, &mut handled).await?,
    };
    handled.matched = ids.len() as u64;
    Ok((ids, handled))
}

async fn matching(
    app: &App,
    filter: &TaskFilter,
    limit: usize,
    deadline: Instant,
    sample: &mut Vec<Task>,
) -> Result<Vec<TaskId>, Refusal> {
    let (mut ids, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = app.engine.list(filter, cursor.as_deref(), PAGE).await?;
        let room = limit - ids.len();
        ids.extend(page.items.iter().take(room).map(|task| task.id));
        let more = SAMPLE - sample.len();
        sample.extend(page.items.into_iter().take(more.min(room)));
        cursor = page.next;
        if cursor.is_none() || ids.len() == limit || Instant::now() >= deadline {
            return Ok(ids);
        }
    }
}

/// Of those that are named, those that are dead; the others are refused.
async fn named(app: &App, names: Vec<TaskId>, limit: usize, handled: &mut Handled) -> Result<Vec<TaskId>, Refusal> {
    let mut found =
        stream::iter(names).map(async |id| Ok::<_, Refusal>((id, app.engine.get(id).await?))).buffered(CONCURRENCY);
    let mut ids = Vec::new();
    while ids.len() < limit
        && let Some((id, task)) = found.try_next().await?
    {
        let code = match task {
            Some(task) if task.status == Status::Dead => {
                ids.push(id);
                if handled.sample.len() < SAMPLE {
                    handled.sample.push(task);
                }
                continue;
            }
            Some(_) => Code::NotDead,
            None => Code::NotFound,
        };
        handled.refused.push(Refused { task: id, code, open_task: None });
    }
    Ok(ids)
}

/// Handles each in turn, until the deadline, the stop or a failure of the ledger. What is under way then is ended, so
/// that those which were tried are the first of `ids`, and each of them is either done or refused.
async fn each(
    app: &App,
    ids: Vec<TaskId>,
    rate: Option<f64>,
    deadline: Instant,
    operation: Operation<'_>,
    handled: &mut Handled,
) -> Result<(), Refusal> {
    let broken = CancellationToken::new();
    let over = async {
        tokio::select! {
            () = app.stop.cancelled() => {}
            () = broken.cancelled() => {}
            () = sleep_until(deadline) => {}
        }
    };
    let mut ticks = rate.map(|rate| tokio::time::interval(Duration::from_secs_f64(1.0 / rate)));
    if let Some(ticks) = &mut ticks {
        // A late tick is made up for, so that the rate is kept on the whole.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    }
    let paced = stream::unfold((ids.into_iter(), ticks), async |(mut ids, mut ticks)| {
        let id = ids.next()?;
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        Some((id, (ids, ticks)))
    });
    let apply = |id| async move { (id, operation.apply(app.engine.as_ref(), id).await) };
    let mut results = std::pin::pin!(paced.take_until(over).map(apply).buffer_unordered(CONCURRENCY));
    let mut failure = None;
    while let Some((task, result)) = results.next().await {
        let refused = match result {
            Ok(None) => {
                handled.done += 1;
                continue;
            }
            Ok(Some(refused)) => refused,
            Err(refusal) => {
                broken.cancel();
                let code = refusal.code();
                failure.get_or_insert(refusal);
                Refused { task, code, open_task: None }
            }
        };
        if handled.refused.len() < REFUSED {
            handled.refused.push(refused);
        }
    }
    match failure {
        // The caller must learn of what was done before: a failure alone would hide it.
        Some(refusal) if handled.done > 0 => {
            tracing::warn!(
                code = refusal.code().as_str(),
                cause = refusal.cause(),
                done = handled.done,
                "an operation on dead letters ended early"
            );
            Ok(())
        }
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}
