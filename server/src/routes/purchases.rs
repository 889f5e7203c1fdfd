//! `/purchases`: buying, and what was bought. A history changes only by growing, and its version is its newest purchase.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Response;
use card_core::engine::EngineError;
use card_core::ids::{PurchaseId, RunId, TaskId, UserId};
use card_core::tasks::{History, Priority, Task};
use card_core::time::Instant;
use card_kinds::purchase::{self, NewPurchase, Purchase, money};
use serde::Serialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use super::tasks::{Order, Submission, submit_task};
use crate::app::App;
use crate::auth::caller::{Caller, User};
use crate::cache::{Answer, Question, reach, respond};
use crate::http::body::{Json, payload};
use crate::http::gate::Admission;
use crate::http::headers::WriteHeaders;
use crate::http::query::{Query, timestamp};
use crate::http::version::ReadHeaders;
use crate::problem::Refusal;

const ROUTE: &str = "/api/v1/purchases";

/// A page of purchases.
#[derive(Serialize, ToSchema)]
pub(crate) struct Purchases {
    /// Newest first.
    items: Vec<Purchase>,
    /// Pass it as `cursor` for the next page; none on the last.
    next: Option<String>,
}

/// What purchases come to.
#[derive(Serialize, ToSchema)]
pub(crate) struct Summary {
    /// How many.
    count: u64,
    /// The sum of their prices: exact, with two to four decimal places.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,4}$", example = "12.50")]
    total: String,
    /// When the first was recorded.
    first_at: Option<Instant>,
    /// When the last was.
    last_at: Option<Instant>,
}

/// Records a purchase: it is durable with the answer, and in the history as soon as its task has succeeded.
#[utoipa::path(post, path = "/purchases", tag = "purchases", security(("user" = [])), request_body = NewPurchase,
    params(
        ("idempotency-key" = Option<String>, Header, description = "Idempotency key, which makes retries safe: 1 to 255 visible ASCII characters", min_length = 1, max_length = 255, pattern = "^[!-~]+$"),
        ("x-run-id" = Option<RunId>, Header, description = "Run id of the task")),
    responses(
        (status = 202, description = "Accepted: it is on disk. `idempotency-replayed: true` if it was already, by the same key", body = Task,
            headers(("location" = String, description = "The task"), ("x-sequence" = u64, description = "Its place in the log"), ("idempotency-replayed" = Option<String>, description = "`true` for a repeated answer")))))]
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    user: User,
    admission: Admission,
    headers: WriteHeaders,
    body: Json<IgnoredAny>,
) -> Result<Response, Refusal> {
    let kind = app.kinds.get(purchase::KIND).ok_or_else(|| Refusal::not_found("There are no purchases here."))?;
    let payload = self::payload(kind, &body.bytes, "")?;
    let idempotency = headers.idempotency(&Method::POST, ROUTE, &body.bytes);
    let caller = Caller::User(user);
    let holders = admission.holders(caller);
    let order = Order { kind, payload, priority: Priority::default(), due_at: None };
    let location = super::tasks::ROUTE;
    let submission = Submission { order, caller, holders, run: headers.run, idempotency, location };
    submit_task(&app, submission).await
}

/// Whose history is meant, and of which times.
fn history(caller: Caller, query: &mut Query) -> Result<History, Refusal> {
    let owner = query.get::<UserId>("owner");
    // No durations before now, as elsewhere: the same request must mean the same times each time, or a tag means nothing.
    let (from, to) = (query.with("from", timestamp), query.with("to", timestamp));
    let owner = match (caller, owner) {
        (Caller::User(user), None) => user.id,
        (Caller::User(user), Some(owner)) if owner == user.id => owner,
        (Caller::User(_), Some(_)) => return Err(Refusal::not_found("You have no such purchases.")),
        (Caller::Operator, Some(owner)) => owner,
        (Caller::Operator, None) => return Err(Refusal::invalid("owner", "is required of an operator")),
    };
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Refusal::invalid("to", "must not be before `from`"));
    }
    Ok(History { owner, kind: purchase::KIND, from, to })
}

/// Purchases, newest first: the caller's, or those of anyone for the operator.
#[utoipa::path(get, path = "/purchases", tag = "purchases", security(("user" = []), ("operator" = [])),
    params(
        ("owner" = Option<UserId>, Query, description = "Whose; only the operator can ask for others'"),
        ("from" = Option<String>, Query, description = "Recorded at this time (RFC 3339) or later", example = "2026-01-31T12:00:00Z"),
        ("to" = Option<String>, Query, description = "Recorded before this time (RFC 3339)", example = "2026-02-01T00:00:00Z"),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1 to 200, 50 if not given", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page"),
        ("x-min-sequence" = Option<u64>, Header, description = "Show a state at least as new as this place in the log, such as `x-sequence` of a write"),
        ("if-none-match" = Option<String>, Header, description = "`ETag` of an earlier answer")),
    responses(
        (status = 200, description = "A page", body = Purchases,
            headers(("etag" = String, description = "The version of the history; the same on every server"), ("x-sequence" = u64, description = "The place in the log that this is as new as"))),
        (status = 304, description = "Nothing has changed"),
        (status = 404, description = "`not-found`: somebody else's"),
        (status = 503, description = "Also if the ledger is not as far as `x-min-sequence` after 2 s")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: ReadHeaders,
    mut query: Query,
) -> Result<Response, Refusal> {
    let history = history(caller, &mut query);
    let (limit, cursor) = (query.limit(50, 200), query.text("cursor"));
    query.finish()?;
    let history = history?;
    let rest = format!("{} {limit} {}", times(&history), cursor.as_deref().unwrap_or_default());
    let question = question("purchases", caller, &history, rest);
    let load = async {
        let page = app.engine.history(&history, cursor.as_deref(), limit).await?;
        let items = page.items.iter().filter_map(Purchase::of).collect();
        Answer::json(&Purchases { items, next: page.next }, page.version)
    };
    app.cache.answer(&app, &headers, question, version(&app, &history), load).await
}

/// What users ask of their own. An operator may ask after the owner has left, of which the log says nothing.
fn question(cache: &'static str, caller: Caller, history: &History, rest: String) -> Option<Question> {
    let question = Question { cache, owner: history.owner, kind: history.kind, rest };
    caller.owner().map(|_| question)
}

fn times(history: &History) -> String {
    let micros = |time: Option<Instant>| time.map(|time| time.micros().to_string()).unwrap_or_default();
    format!("{}-{}", micros(history.from), micros(history.to))
}

async fn version(app: &App, history: &History) -> Result<i64, EngineError> {
    app.engine.history_version(history.owner, history.kind).await
}

/// How many purchases, and what they come to together.
#[utoipa::path(get, path = "/purchases/summary", tag = "purchases", security(("user" = []), ("operator" = [])),
    params(
        ("owner" = Option<UserId>, Query, description = "Whose; only the operator can ask for others'"),
        ("from" = Option<String>, Query, description = "Recorded at this time (RFC 3339) or later", example = "2026-01-31T12:00:00Z"),
        ("to" = Option<String>, Query, description = "Recorded before this time (RFC 3339)", example = "2026-02-01T00:00:00Z"),
        ("x-min-sequence" = Option<u64>, Header, description = "Show a state at least as new as this place in the log, such as `x-sequence` of a write"),
        ("if-none-match" = Option<String>, Header, description = "`ETag` of an earlier answer")),
    responses(
        (status = 200, description = "The summary", body = Summary,
            headers(("etag" = String, description = "The version of the history; the same on every server"), ("x-sequence" = u64, description = "The place in the log that this is as new as"))),
        (status = 304, description = "Nothing has changed"),
        (status = 404, description = "`not-found`: somebody else's"),
        (status = 503, description = "Also if the ledger is not as far as `x-min-sequence` after 2 s")))]
pub(crate) async fn summary(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: ReadHeaders,
    mut query: Query,
) -> Result<Response, Refusal> {
    let history = history(caller, &mut query);
    query.finish()?;
    let history = history?;
    let question = question("purchases-summary", caller, &history, times(&history));
    let load = async {
        let found = app.engine.history_summary(&history).await?;
        let (count, total) = (found.count, money(found.total));
        Answer::json(&Summary { count, total, first_at: found.first_at, last_at: found.last_at }, found.version)
    };
    app.cache.answer(&app, &headers, question, version(&app, &history), load).await
}

/// One of the caller's purchases, or anyone's for the operator; what the caller may not see is not found.
#[utoipa::path(get, path = "/purchases/{id}", tag = "purchases", security(("user" = []), ("operator" = [])),
    params(
        ("id" = PurchaseId, Path, description = "The purchase"),
        ("x-min-sequence" = Option<u64>, Header, description = "Show a state at least as new as this place in the log, such as `x-sequence` of a write"),
        ("if-none-match" = Option<String>, Header, description = "`ETag` of an earlier answer")),
    responses(
        (status = 200, description = "The purchase", body = Purchase,
            headers(("etag" = String, description = "Its version"), ("x-sequence" = u64, description = "The place in the log that this is as new as"))),
        (status = 304, description = "Nothing has changed")))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: ReadHeaders,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Refusal> {
    query.finish()?;
    let missing = || Refusal::not_found("There is no such purchase that you may see.");
    let id: PurchaseId = id.parse().map_err(|_| missing())?;
    reach(&app, &headers).await?;
    let effect = app.engine.effect(TaskId::from_uuid(id.uuid())).await?.ok_or_else(missing)?;
    let may_see = caller.owner().is_none_or(|owner| effect.owner == Some(owner));
    if effect.kind != purchase::KIND || !may_see {
        return Err(missing());
    }
    let purchase = Purchase::of(&effect).ok_or_else(missing)?;
    Ok(respond(&app, &headers, Answer::json(&purchase, effect.seq)?))
}
