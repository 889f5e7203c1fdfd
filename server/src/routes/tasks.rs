//! `/tasks`: submitting, reading, waiting for, retrying and cancelling tasks of any kind.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use card_core::chosen::REASON;
use card_core::engine::{Accepted, Cancelled, EventFilter, EventSeq, Retried};
use card_core::ids::{RunId, TaskId, UserId};
use card_core::problem::Code;
use card_core::tasks::{Idempotency, Kind, MOST_AHEAD, NewTask, Priority, Status, Task, TaskFilter, TaskPage};
use card_core::time::Instant as Timestamp;
use card_kinds::{Definition, Registry, Schemas};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::app::App;
use crate::auth::caller::{Caller, Operator};
use crate::auth::seen::{Attempts, Seen};
use crate::auth::standing::Standing;
use crate::http::body::{Json, payload};
use crate::http::gate::{Admission, Holders};
use crate::http::headers::{IDEMPOTENCY_REPLAYED, WriteHeaders};
use crate::http::json::{json, ok};
use crate::http::query::{Query, pattern};
use crate::http::version::at_sequence;
use crate::problem::Refusal;

pub(super) const ROUTE: &str = "/api/v1/tasks";

/// What is asked for: a kind, a payload of it, and when and how urgently it is to be done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskRequest {
    kind: Kind,
    payload: Box<RawValue>,
    #[serde(default)]
    priority: Priority,
    /// As text: what is wrong with it is said without what was sent.
    #[serde(default)]
    due_at: Option<String>,
}

// By hand: one alternative for each kind that is registered.
impl PartialSchema for TaskRequest {
    fn schema() -> RefOr<Schema> {
        let priority = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Priority::ALL.map(Priority::as_str)))
            .default(Some(Priority::default().as_str().into()))
            .description(Some("Priority under load; a lower one gets fewer workers, but never none"))
            .build();
        let due_at = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("Earliest start (RFC 3339), at most 366 days ahead; a time in the past means now"))
            .build();
        let alternatives = Registry::default().all().fold(OneOfBuilder::new(), |all, one| {
            let kind = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([one.kind.as_str()]));
            all.item(
                ObjectBuilder::new()
                    .title(Some(one.kind.as_str()))
                    .description(Some(one.summary))
                    .property("kind", kind)
                    .property("payload", one.payload_schema(&mut Schemas::new()))
                    .property("priority", priority.clone())
                    .property("due_at", due_at.clone())
                    .required("kind")
                    .required("payload")
                    .additional_properties(Some(AdditionalProperties::FreeForm(false))),
            )
        });
        alternatives.into()
    }
}

impl ToSchema for TaskRequest {
    fn schemas(schemas: &mut Schemas) {
        for one in Registry::default().all() {
            one.payload_schema(schemas);
        }
    }
}

/// What is to be done.
pub(crate) struct Order<'a> {
    pub(crate) kind: &'a Definition,
    pub(crate) payload: Box<RawValue>,
    pub(crate) priority: Priority,
    pub(crate) due_at: Option<Timestamp>,
}

/// What a route found out about a new task.
pub(crate) struct Submission<'a> {
    pub(crate) order: Order<'a>,
    pub(crate) caller: Caller,
    /// Whose room in the backlog it takes.
    pub(crate) holders: Holders,
    pub(crate) run: Option<RunId>,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) location: &'static str,
}

/// Makes a task durable and answers with it.
pub(crate) async fn submit_task(app: &App, submission: Submission<'_>) -> Result<Response, Refusal> {
    let Submission { order, caller, holders, run, idempotency, location } = submission;
    if order.kind.is_owned && caller.owner().is_none() {
        return Err(Refusal::new(Code::Forbidden, "A task of this kind is a user's: only a user can ask for it."));
    }
    let (task, seq) = accept(app, order, caller.owner(), &holders, run, idempotency).await?;
    let response = accepted(app, caller, task, location, seq.is_none())?;
    let seq = match seq {
        Some(seq) => seq,
        None => app.engine.last_event().await?,
    };
    Ok(at_sequence(response, seq))
}

/// Makes a task durable. Its place in the log; none if it was there already, by its idempotency key.
pub(crate) async fn accept(
    app: &App,
    order: Order<'_>,
    owner: Option<UserId>,
    holders: &Holders,
    run: Option<RunId>,
    idempotency: Option<Idempotency>,
) -> Result<(Task, Option<EventSeq>), Refusal> {
    let Order { kind: definition, payload, priority, due_at } = order;
    app.backlog.admit(holders)?;
    let kind = definition.kind;
    let exclusive = definition.exclusive_key(owner);
    let new = NewTask { id: TaskId::new(), kind, owner, run, payload, exclusive, idempotency, priority, due_at };
    match app.engine.accept(new).await? {
        Accepted::New(task, seq) => {
            app.accepted(kind, holders);
            Ok((task, Some(seq)))
        }
        Accepted::Replay(task) => Ok((task, None)),
        Accepted::IdempotencyMismatch => Err(Refusal::new(
            Code::IdempotencyMismatch,
            "This Idempotency-Key was used for another request; use a new key for a new request.",
        )),
        Accepted::Exclusive { open } => Err(Refusal::open(Some(definition), open)),
    }
}

fn accepted(app: &App, caller: Caller, task: Task, location: &str, replayed: bool) -> Result<Response, Refusal> {
    // It was accepted for this caller, or under a key of this caller's.
    let task =
        caller.see(task, &app.kinds).ok_or_else(|| Refusal::not_found("There is no such task that you may see."))?;
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

/// Submits a task, as a user or as the operator.
#[utoipa::path(post, path = "/tasks", tag = "tasks", security(("user" = []), ("operator" = [])), request_body = TaskRequest,
    params(
        ("idempotency-key" = Option<String>, Header, description = "Idempotency key, which makes retries safe: 1 to 255 visible ASCII characters", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
        ("x-run-id" = Option<RunId>, Header, description = "Run id of the task")),
    responses((status = 202, description = "Accepted: it is on disk. `idempotency-replayed: true` if it was already, by the same key", body = Task,
        headers(("location" = String, description = "The task"), ("x-sequence" = u64, description = "Its place in the log"), ("idempotency-replayed" = Option<String>, description = "`true` for a repeated answer"))),
        (status = 409, description = "The caller has one of this kind that is not final, and can have only one: the kind's problem, with `open_task`")))]
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    admission: Admission,
    headers: WriteHeaders,
    body: Json<TaskRequest>,
) -> Result<Response, Refusal> {
    let TaskRequest { kind, payload, priority, due_at } = body.value;
    let kind = app
        .kinds
        .get(kind)
        .ok_or_else(|| Refusal::invalid("/kind", format!("must be one of {}", app.kinds.names())))?;
    let payload = self::payload(kind, payload.get().as_bytes(), "/payload")?;
    let due_at = due_at.map(|text| self::due_at(&text)).transpose()?;
    let idempotency = headers.idempotency(&Method::POST, ROUTE, &body.bytes);
    let holders = admission.holders(caller);
    let order = Order { kind, payload, priority, due_at };
    let submission = Submission { order, caller, holders, run: headers.run, idempotency, location: ROUTE };
    submit_task(&app, submission).await
}

fn due_at(text: &str) -> Result<Timestamp, Refusal> {
    let invalid = |rule: &str| Refusal::invalid("/due_at", rule);
    let due_at = text.parse::<jiff::Timestamp>().map_err(|_| invalid("must be a time such as 2026-01-31T12:00:00Z"))?;
    let due_at = Timestamp::from(due_at);
    if due_at.since(Timestamp::now()) > MOST_AHEAD {
        return Err(invalid("may lie at most 366 days ahead"));
    }
    Ok(due_at)
}

/// Tasks by filter, newest first.
#[utoipa::path(get, path = "/tasks", tag = "tasks", security(("operator" = [])),
    params(
        ("kind" = Option<Kind>, Query, description = "Filter by kind"),
        ("status" = Option<Status>, Query, description = "Filter by status"),
        ("run" = Option<RunId>, Query, description = "Filter by run"),
        ("owner" = Option<UserId>, Query, description = "Filter by user"),
        ("error" = Option<String>, Query, description = "Filter by a regular expression of at most 512 bytes that matches the error (`code: message`)", max_length = 512),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1 to 1000, 50 if not given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page")),
    responses((status = 200, description = "A page", body = TaskPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator, mut query: Query) -> Result<Response, Refusal> {
    let kind = query.text("kind");
    let mut filter = TaskFilter {
        kind: None,
        status: query.get("status"),
        run: query.get("run"),
        owner: query.get("owner"),
        error: query.with("error", pattern),
        since: None,
    };
    let (limit, cursor) = (query.limit(50, 1000), query.text("cursor"));
    query.finish()?;
    filter.kind = app.kind(kind.as_deref(), "kind").await?;
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
    task.and_then(|task| caller.see(task, &app.kinds)).ok_or_else(missing)
}

/// Looks again this often even if nothing was heard: wake-ups may be lost.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

async fn wait_for_final(app: &Arc<App>, caller: Caller, mut task: Seen, wait: Duration) -> Result<Seen, Refusal> {
    let deadline = Instant::now() + wait;
    let wakeups = app.engine.wakeups(&EventFilter { tasks: vec![task.id], ..EventFilter::default() });
    let mut standing = Standing::of(Arc::clone(app), caller);
    loop {
        // A task that was cleaned up meanwhile stays as it was last seen.
        if let Some(now) = app.engine.get(task.id).await?.and_then(|now| caller.see(now, &app.kinds)) {
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
    Ok(ok(&caller.see_attempts(app.engine.attempts(task.id).await?, task.kind, &app.kinds)))
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
    let id = id.parse().map_err(|_| missing())?;
    match app.engine.retry_dead(id).await? {
        Retried::Queued(task) => Ok(at_sequence(json(StatusCode::ACCEPTED, &task), app.engine.last_event().await?)),
        Retried::NotDead => Err(Refusal::new(Code::NotDead, "This task is not dead; only a dead one can be retried.")),
        Retried::Exclusive { open } => {
            let kind = app.engine.get(id).await?.map(|task| task.kind);
            Err(Refusal::open(kind.and_then(|kind| app.kinds.get(kind)), open))
        }
        Retried::NotFound => Err(missing()),
    }
}

/// Cancel a task.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancel {
    /// Why; kept with it, for operators.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// Cancels a task that is not final: it has no effect, and whoever works on it learns it with the next renewal of its
/// lease. One that is cancelled already stays as it is.
#[utoipa::path(post, path = "/tasks/{id}/cancel", tag = "tasks", security(("operator" = [])), request_body = Cancel,
    params(("id" = TaskId, Path, description = "The task")),
    responses((status = 200, description = "Cancelled, now or before", body = Task, headers(("x-sequence" = u64, description = "A place in the log from which on that is so"))),
        (status = 409, description = "`task-final`: it ended in another way, `task_status`")))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    _: Operator,
    Path(id): Path<String>,
    body: Json<Cancel>,
) -> Result<Response, Refusal> {
    let missing = || Refusal::not_found("There is no such task.");
    let reason = body.value.reason.trim();
    REASON.check(reason).map_err(|rule| Refusal::invalid("/reason", rule))?;
    match app.engine.cancel(id.parse().map_err(|_| missing())?, reason.to_owned()).await? {
        Cancelled::Done(task) => {
            app.cancelled(task.kind);
            Ok(at_sequence(ok(&task), app.engine.last_event().await?))
        }
        Cancelled::Final(task) if task.status == Status::Cancelled => {
            Ok(at_sequence(ok(&task), app.engine.last_event().await?))
        }
        Cancelled::Final(task) => Err(Refusal::task_final(task.status)),
        Cancelled::NotFound => Err(missing()),
    }
}
