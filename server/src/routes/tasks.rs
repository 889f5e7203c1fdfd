//! `/tasks`: submitting, reading, waiting for and retrying tasks of any kind.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use card_core::engine::{Accepted, EventFilter, Retried};
use card_core::ids::{RunId, TaskId, UserId};
use card_core::problem::Code;
use card_core::tasks::{Add, Idempotency, Kind, NewTask, Task, TaskFilter, TaskPage};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::{Caller, Operator};
use crate::auth::seen::{Attempts, Seen};
use crate::auth::standing::Standing;
use crate::http::body::{Json, Object};
use crate::http::gate::{Admission, Holders};
use crate::http::headers::{IDEMPOTENCY_REPLAYED, WriteHeaders};
use crate::http::json::{json, ok};
use crate::http::query::{Query, pattern};
use crate::problem::Refusal;

const ROUTE: &str = "/api/v1/tasks";

/// What is asked for: a kind that anybody may submit, with its payload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskRequest {
    /// What to do.
    #[serde(rename = "kind")]
    _kind: SubmittableKind,
    /// The kind's own.
    #[schema(value_type = Add)]
    payload: Object<Add>,
}

/// Kinds that can be submitted here; a replacement has a route of its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum SubmittableKind {
    /// Adds two numbers.
    Add,
}

/// What a route found out about a new task.
pub(crate) struct Submission {
    pub(crate) kind: Kind,
    pub(crate) caller: Caller,
    /// Whose room in the backlog it takes.
    pub(crate) holders: Holders,
    pub(crate) run: Option<RunId>,
    pub(crate) payload: Box<RawValue>,
    pub(crate) exclusive: Option<String>,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) location: &'static str,
}

/// Makes a task durable and answers with it.
pub(crate) async fn submit_task(app: &App, submission: Submission) -> Result<Response, Refusal> {
    let Submission { kind, caller, holders, run, payload, exclusive, idempotency, location } = submission;
    app.backlog.admit(&holders)?;
    let owner = caller.owner();
    let new = NewTask { id: TaskId::new(), kind, owner, run, payload, exclusive, idempotency };
    match app.engine.accept(new).await? {
        Accepted::New(task) => {
            app.accepted(kind, &holders);
            accepted(caller, task, location, false)
        }
        Accepted::Replay(task) => accepted(caller, task, location, true),
        Accepted::IdempotencyMismatch => Err(Refusal::new(
            Code::IdempotencyMismatch,
            "This Idempotency-Key was used for another request; use a new key for a new request.",
        )),
        Accepted::Exclusive { open } => Err(Refusal::replacement_open(open)),
    }
}

fn accepted(caller: Caller, task: Task, location: &str, replayed: bool) -> Result<Response, Refusal> {
    // It was accepted for this caller, or under a key of this caller's.
    let task = caller.see(task).ok_or_else(|| Refusal::not_found("There is no such task that you may see."))?;
    let mut response = json(StatusCode::ACCEPTED, &task);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(format!("{location}/{}", task.id)) {
        headers.insert(header::LOCATION, value);
    }
    if replayed {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// JSON that can't be written: a defect of ours.
pub(crate) fn unwritable(error: serde_json::Error) -> Refusal {
    Refusal::new(Code::Internal, "Something went wrong inside.").caused_by(error.to_string())
}

/// Submits a task, as a user or as the operator.
#[utoipa::path(post, path = "/tasks", tag = "tasks", security(("user" = []), ("operator" = [])), request_body = TaskRequest,
    params(
        ("idempotency-key" = Option<String>, Header, description = "Makes sending twice safe: 1 to 255 visible ASCII characters", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
        ("x-run-id" = Option<RunId>, Header, description = "Tags the task with a run")),
    responses((status = 202, description = "Accepted: it is on disk. `idempotency-replayed: true` if it was already, by the same key", body = Task,
        headers(("location" = String, description = "The task"), ("idempotency-replayed" = Option<String>, description = "`true` for a repeated answer")))))]
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    admission: Admission,
    headers: WriteHeaders,
    body: Json<TaskRequest>,
) -> Result<Response, Refusal> {
    let payload = serde_json::value::to_raw_value(&body.value.payload.0).map_err(unwritable)?;
    let idempotency = headers.idempotency(&Method::POST, ROUTE, &body.bytes);
    submit_task(
        &app,
        Submission {
            kind: Kind::Add,
            caller,
            holders: admission.holders(caller),
            run: headers.run,
            payload,
            exclusive: None,
            idempotency,
            location: ROUTE,
        },
    )
    .await
}

/// Tasks by filter, newest first.
#[utoipa::path(get, path = "/tasks", tag = "tasks", security(("operator" = [])),
    params(
        ("kind" = Option<Kind>, Query, description = "Of this kind"),
        ("status" = Option<card_core::tasks::Status>, Query, description = "In this status"),
        ("run" = Option<RunId>, Query, description = "Of this run"),
        ("owner" = Option<UserId>, Query, description = "Of this user"),
        ("error" = Option<String>, Query, description = "Whose error (`code: message`) matches this regular expression of at most 512 bytes", max_length = 512),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1 to 1000, 50 if not given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", body = TaskPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator, mut query: Query) -> Result<Response, Refusal> {
    let filter = TaskFilter {
        kind: query.get("kind"),
        status: query.get("status"),
        run: query.get("run"),
        owner: query.get("owner"),
        error: query.with("error", pattern),
        since: None,
    };
    let (limit, cursor) = (query.limit(50, 1000), query.text("cursor"));
    query.finish()?;
    Ok(ok(&app.engine.list(&filter, cursor.as_deref(), limit).await?))
}

/// A task: the caller's own, or any for the operator. With `wait`, answers when it is final or when the time is up.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", security(("user" = []), ("operator" = [])),
    params(
        ("id" = TaskId, Path, description = "The task"),
        ("wait" = Option<String>, Query, description = "How long to wait for the final status, such as `30s`; at most `60s`", example = "30s", pattern = "^(0|([1-9]|[1-5][0-9]|60)s)$")),
    responses((status = 200, description = "The task", body = Task)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    admission: Admission,
    Path(id): Path<String>,
    mut query: Query,
) -> Result<Response, Refusal> {
    let wait = query.wait();
    query.finish()?;
    let task = find(&app, caller, &id).await?;
    match wait {
        Some(wait) if !task.status.is_final() => {
            let _parked = app.gate.park(admission, caller)?;
            Ok(ok(&wait_for_final(&app, caller, task, wait).await?))
        }
        _ => Ok(ok(&task)),
    }
}

/// The task, if the caller may know of it.
pub(crate) async fn find(app: &App, caller: Caller, id: &str) -> Result<Seen, Refusal> {
    let missing = || Refusal::not_found("There is no such task that you may see.");
    let task = app.engine.get(id.parse().map_err(|_| missing())?).await?;
    task.and_then(|task| caller.see(task)).ok_or_else(missing)
}

/// Looks again this often even if nothing was heard: wake-ups may be lost.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

async fn wait_for_final(app: &Arc<App>, caller: Caller, mut task: Seen, wait: Duration) -> Result<Seen, Refusal> {
    let deadline = Instant::now() + wait;
    let wakeups = app.engine.wakeups(&EventFilter { tasks: vec![task.id], ..EventFilter::default() });
    let mut standing = Standing::of(Arc::clone(app), caller);
    loop {
        // A task that was cleaned up meanwhile stays as it was last seen.
        if let Some(now) = app.engine.get(task.id).await?.and_then(|now| caller.see(now)) {
            task = now;
        }
        if !standing.holds().await {
            return Err(Refusal::unauthorized("The token has expired, or its session has ended.", true));
        }
        if task.status.is_final() || Instant::now() >= deadline || app.stop.is_cancelled() {
            return Ok(task);
        }
        tokio::select! {
            () = app.stop.cancelled() => {}
            () = standing.lost() => {}
            _ = timeout_at(deadline.min(Instant::now() + LOOK_AGAIN), wakeups.signal()) => {}
        }
    }
}

/// The attempts of a task that ended, oldest first.
#[utoipa::path(get, path = "/tasks/{id}/attempts", tag = "tasks", security(("user" = []), ("operator" = [])),
    params(("id" = TaskId, Path, description = "The task")),
    responses((status = 200, description = "The attempts", body = Attempts)))]
pub(crate) async fn attempts(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Refusal> {
    query.finish()?;
    let task = find(&app, caller, &id).await?;
    Ok(ok(&caller.see_attempts(app.engine.attempts(task.id).await?)))
}

/// Queues a dead task again, at once; its history is kept.
#[utoipa::path(post, path = "/tasks/{id}/retry", tag = "tasks", security(("operator" = [])),
    params(("id" = TaskId, Path, description = "The task")),
    responses((status = 202, description = "Queued again", body = Task),
        (status = 409, description = "`not-dead`; `replacement-open` if its owner has another one under way")))]
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    _: Operator,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let missing = || Refusal::not_found("There is no such task.");
    match app.engine.retry_dead(id.parse().map_err(|_| missing())?).await? {
        Retried::Queued(task) => Ok(json(StatusCode::ACCEPTED, &task)),
        Retried::NotDead => Err(Refusal::new(Code::NotDead, "This task is not dead; only a dead one can be retried.")),
        Retried::Exclusive { open } => Err(Refusal::replacement_open(open)),
        Retried::NotFound => Err(missing()),
    }
}
