//! `/replacements`: asking for a new card.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Response;
use card_core::tasks::{Priority, Task, TaskFilter, TaskPage};
use card_kinds::replacement::{self, Replacement};
use serde::de::IgnoredAny;

use super::tasks::{Order, Submission, submit_task};
use crate::app::App;
use crate::auth::caller::{Caller, User};
use crate::http::body::{Json, payload};
use crate::http::gate::Admission;
use crate::http::headers::WriteHeaders;
use crate::http::json::ok;
use crate::http::query::Query;
use crate::problem::Refusal;

const ROUTE: &str = "/api/v1/replacements";

/// Asks for a replacement. A user has at most one that is not final.
#[utoipa::path(post, path = "/replacements", tag = "replacements", security(("user" = [])), request_body = Replacement,
    params(
        ("idempotency-key" = Option<String>, Header, description = "Idempotency key, which makes retries safe: 1 to 255 visible ASCII characters", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
        ("x-run-id" = Option<card_core::ids::RunId>, Header, description = "Run id of the task")),
    responses(
        (status = 202, description = "Accepted: it is on disk. `idempotency-replayed: true` if it was already, by the same key", body = Task,
            headers(("location" = String, description = "The replacement"), ("x-sequence" = u64, description = "Its place in the log"), ("idempotency-replayed" = Option<String>, description = "`true` for a repeated answer"))),
        (status = 409, description = "`replacement-open`, with `open_task`")))]
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    user: User,
    admission: Admission,
    headers: WriteHeaders,
    body: Json<IgnoredAny>,
) -> Result<Response, Refusal> {
    let kind = app.kinds.get(replacement::KIND).ok_or_else(|| Refusal::not_found("There are no replacements here."))?;
    let payload = self::payload(kind, &body.bytes, "")?;
    let idempotency = headers.idempotency(&Method::POST, ROUTE, &body.bytes);
    let caller = Caller::User(user);
    let holders = admission.holders(caller);
    let order = Order { kind, payload, priority: Priority::default(), due_at: None };
    let submission = Submission { order, caller, holders, run: headers.run, idempotency, location: ROUTE };
    submit_task(&app, submission).await
}

/// The caller's replacements, newest first.
#[utoipa::path(get, path = "/replacements", tag = "replacements", security(("user" = [])),
    params(
        ("limit" = Option<u32>, Query, description = "Items on a page: 1 to 200, 50 if not given", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page")),
    responses((status = 200, description = "A page", body = TaskPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, user: User, mut query: Query) -> Result<Response, Refusal> {
    let (limit, cursor) = (query.limit(50, 200), query.text("cursor"));
    query.finish()?;
    let filter = TaskFilter { kind: Some(replacement::KIND), owner: Some(user.id), ..TaskFilter::default() };
    let page = app.engine.list(&filter, cursor.as_deref(), limit).await?;
    Ok(ok(&Caller::User(user).see_page(page, &app.kinds)))
}

/// One of the caller's replacements; somebody else's is not found.
#[utoipa::path(get, path = "/replacements/{task}", tag = "replacements", security(("user" = [])),
    params(("task" = card_core::ids::TaskId, Path, description = "The task")),
    responses((status = 200, description = "The task", body = Task)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    user: User,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Refusal> {
    query.finish()?;
    let missing = || Refusal::not_found("You have no such replacement.");
    let task = app.engine.get(id.parse().map_err(|_| missing())?).await?;
    let task = task.and_then(|task| Caller::User(user).see(task, &app.kinds));
    Ok(ok(&task.filter(|task| task.kind == replacement::KIND).ok_or_else(missing)?))
}
