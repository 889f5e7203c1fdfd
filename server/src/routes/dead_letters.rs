//! `/dead-letters`: what was given up, listed, tried again at a rate, or discarded with a reason (P5).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use card_core::engine::Retried;
use card_core::ids::{RunId, TaskId};
use card_core::problem::FieldError;
use card_core::tasks::{Kind, Status, Task, TaskFilter, TaskPage};
use card_core::time::Instant;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::MissedTickBehavior;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::Operator;
use crate::http::body::{Json, Object};
use crate::http::json::ok;
use crate::http::query::{Query, pattern, point_in_time};
use crate::problem::Refusal;

/// A call does what fits into this; the rest is for the next one.
const TIME_LIMIT: Duration = Duration::from_secs(50);
const SAMPLE: usize = 10;
const PAGE: usize = 1000;
/// Writes under way at once: they share commits.
const CONCURRENCY: usize = 32;

/// Which dead letters. Conditions are joined by "and"; none means all.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Filter {
    /// Whose error (`code: message`) matches this regular expression.
    #[schema(max_length = 512)]
    error: Option<String>,
    /// Died at or after this time (RFC 3339), or within this long (`15m`).
    #[schema(example = "15m")]
    since: Option<String>,
    /// Of this kind.
    kind: Option<Kind>,
    /// Of this run.
    run: Option<RunId>,
}

impl Filter {
    fn parse(&self) -> Result<TaskFilter, Refusal> {
        let mut errors = Vec::new();
        let mut error = |pointer: &str, detail: String| errors.push(FieldError { pointer: pointer.to_owned(), detail });
        let matches =
            self.error.as_deref().and_then(|text| pattern(text).map_err(|why| error("/filter/error", why)).ok());
        let now = Instant::now();
        let since = self
            .since
            .as_deref()
            .and_then(|text| point_in_time(text, now).map_err(|why| error("/filter/since", why)).ok());
        if !errors.is_empty() {
            return Err(Refusal::invalid_all(errors));
        }
        Ok(TaskFilter {
            kind: self.kind,
            status: Some(Status::Dead),
            run: self.run.clone(),
            owner: None,
            error: matches,
            since,
        })
    }
}

/// Retry dead letters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    /// Which.
    #[serde(default)]
    #[schema(value_type = Filter)]
    filter: Object<Filter>,
    /// How many a second; as fast as they can be written if not given.
    #[serde(default)]
    #[schema(minimum = 0.01, maximum = 100_000)]
    rate: Option<f64>,
    /// At most how many; newest first.
    #[serde(default)]
    #[schema(minimum = 1)]
    limit: Option<usize>,
    /// Only say which.
    #[serde(default)]
    dry_run: bool,
}

/// Discard dead letters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Discard {
    /// Which.
    #[serde(default)]
    #[schema(value_type = Filter)]
    filter: Object<Filter>,
    /// Why; kept with each.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// What an operation on dead letters found and did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Handled {
    /// How many the filter means (and the limit allows).
    matched: u64,
    /// How many were handled. Fewer than matched: the time was up, or some were no dead letters any more.
    done: u64,
    /// Some of them, as they were before.
    sample: Vec<Task>,
}

/// Dead letters, newest first.
#[utoipa::path(get, path = "/dead-letters", tag = "dead letters", security(("operator" = [])),
    params(
        ("error" = Option<String>, Query, description = "Whose error (`code: message`) matches this regular expression of at most 512 bytes", max_length = 512),
        ("since" = Option<String>, Query, description = "Died at or after this time (RFC 3339), or within this long (`15m`)", example = "15m"),
        ("kind" = Option<Kind>, Query, description = "Of this kind"),
        ("run" = Option<RunId>, Query, description = "Of this run"),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1 to 1000, 50 if not given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = TaskPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator, mut query: Query) -> Result<Response, Refusal> {
    let now = Instant::now();
    let filter = TaskFilter {
        kind: query.get("kind"),
        status: Some(Status::Dead),
        run: query.get("run"),
        owner: None,
        error: query.with("error", pattern),
        since: query.with("since", |text| point_in_time(text, now)),
    };
    let (limit, cursor) = (query.limit(50, 1000), query.text("cursor"));
    query.finish()?;
    Ok(ok(&app.engine.list(&filter, cursor.as_deref(), limit).await?))
}

/// Queues dead letters again, at a rate. Does what fits into 50 s; call again for the rest.
#[utoipa::path(post, path = "/dead-letters/retry", tag = "dead letters", security(("operator" = [])), request_body = Retry,
    responses((status = 200, description = "What was found and done", body = Handled)))]
pub(crate) async fn retry(State(app): State<Arc<App>>, _: Operator, body: Json<Retry>) -> Result<Response, Refusal> {
    let Retry { filter, rate, limit, dry_run } = body.value;
    if rate.is_some_and(|rate| !(0.01..=100_000.0).contains(&rate)) {
        return Err(Refusal::invalid("/rate", "must lie between 0.01 and 100000 a second"));
    }
    if limit == Some(0) {
        return Err(Refusal::invalid("/limit", "must be at least 1"));
    }
    let filter = filter.0.parse()?;
    let _parked = app.gate.park()?;
    let deadline = tokio::time::Instant::now() + TIME_LIMIT;
    let (ids, sample) = find(&app, &filter, limit.unwrap_or(usize::MAX), deadline).await?;
    let matched = ids.len() as u64;
    let attempts = if dry_run { Vec::new() } else { ids };
    let engine = &app.engine;
    let retry = |id| async move { Ok(matches!(engine.retry_dead(id).await?, Retried::Queued(_))) };
    let done = each(&app, attempts, rate, deadline, retry).await?;
    Ok(ok(&Handled { matched, done, sample }))
}

/// Takes dead letters off the list for good and keeps the reason with each.
#[utoipa::path(post, path = "/dead-letters/discard", tag = "dead letters", security(("operator" = [])), request_body = Discard,
    responses((status = 200, description = "What was found and done", body = Handled)))]
pub(crate) async fn discard(
    State(app): State<Arc<App>>,
    _: Operator,
    body: Json<Discard>,
) -> Result<Response, Refusal> {
    let Discard { filter, reason } = body.value;
    if !(1..=500).contains(&reason.trim().chars().count()) {
        return Err(Refusal::invalid("/reason", "must have 1 to 500 characters"));
    }
    let filter = filter.0.parse()?;
    let _parked = app.gate.park()?;
    let deadline = tokio::time::Instant::now() + TIME_LIMIT;
    let (ids, sample) = find(&app, &filter, usize::MAX, deadline).await?;
    let matched = ids.len() as u64;
    let (engine, reason) = (&app.engine, reason.trim());
    let discard = |id| async move { Ok(engine.discard(id, reason.to_owned()).await?) };
    let done = each(&app, ids, None, deadline, discard).await?;
    Ok(ok(&Handled { matched, done, sample }))
}

/// The ids of what the filter means, found before the first is changed, so that none is handled twice.
async fn find(
    app: &App,
    filter: &TaskFilter,
    limit: usize,
    deadline: tokio::time::Instant,
) -> Result<(Vec<TaskId>, Vec<Task>), Refusal> {
    let (mut ids, mut sample, mut cursor) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let page = app.engine.list(filter, cursor.as_deref(), PAGE).await?;
        let room = limit - ids.len();
        ids.extend(page.items.iter().take(room).map(|task| task.id));
        let more = SAMPLE - sample.len();
        sample.extend(page.items.into_iter().take(more.min(room)));
        cursor = page.next;
        if cursor.is_none() || ids.len() == limit || tokio::time::Instant::now() >= deadline {
            return Ok((ids, sample));
        }
    }
}

/// Handles each at a rate, until the deadline or the stop; counts those that were handled.
async fn each<H: Future<Output = Result<bool, Refusal>>>(
    app: &App,
    ids: Vec<TaskId>,
    rate: Option<f64>,
    deadline: tokio::time::Instant,
    handle: impl Fn(TaskId) -> H,
) -> Result<u64, Refusal> {
    let over = async {
        tokio::select! {
            () = app.stop.cancelled() => {}
            () = tokio::time::sleep_until(deadline) => {}
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
    let mut handled = std::pin::pin!(paced.take_until(over).map(&handle).buffer_unordered(CONCURRENCY));
    let mut done = 0;
    while let Some(result) = handled.next().await {
        done += u64::from(result?);
    }
    Ok(done)
}
