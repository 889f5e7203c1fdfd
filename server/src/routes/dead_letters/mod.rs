//! `/dead-letters`: what was given up, listed, grouped by error, tried again at a rate, or discarded with a reason (P5).

mod bulk;
mod filter;
mod group;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use card_core::chosen::REASON;
use card_core::ids::RunId;
use card_core::tasks::{Kind, TaskPage};
use card_kinds::Object;
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use self::bulk::{Handled, Operation, Pace};
use self::filter::Filter;
use self::group::{Count, Groups};
use crate::app::App;
use crate::auth::caller::{Caller, Operator};
use crate::http::body::Json;
use crate::http::gate::Admission;
use crate::http::json::ok;
use crate::http::query::Query;
use crate::problem::Refusal;

/// Letters are counted for so long; the rest is for the next call.
const COUNTING: Duration = Duration::from_secs(10);
const PAGE: usize = 1000;

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

/// Dead letters, newest first.
#[utoipa::path(get, path = "/dead-letters", tag = "dead letters", security(("operator" = [])),
    params(
        ("error" = Option<String>, Query, description = "Filter by a regular expression of at most 512 bytes that matches the error (`code: message`)", max_length = 512),
        ("since" = Option<String>, Query, description = "Filter by time of failure: at or after this time (RFC 3339), or within this long (`15m`)", example = "15m"),
        ("kind" = Option<Kind>, Query, description = "Filter by kind"),
        ("run" = Option<RunId>, Query, description = "Filter by run"),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1 to 1000, 50 if not given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page")),
    responses((status = 200, description = "A page", body = TaskPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator, mut query: Query) -> Result<Response, Refusal> {
    let (mut filter, kind) = filter::of_query(&mut query);
    let (limit, cursor) = (query.limit(50, 1000), query.text("cursor"));
    query.finish()?;
    filter.kind = app.kind(kind.as_deref(), "kind").await?;
    Ok(ok(&app.engine.list(&filter, cursor.as_deref(), limit).await?))
}

/// Dead letters by error code, the largest group first. Counts what fits into 10 s; `next` says that there are more.
#[utoipa::path(get, path = "/dead-letters/groups", tag = "dead letters", security(("operator" = [])),
    params(
        ("error" = Option<String>, Query, description = "Filter by a regular expression of at most 512 bytes that matches the error (`code: message`)", max_length = 512),
        ("since" = Option<String>, Query, description = "Filter by time of failure: at or after this time (RFC 3339), or within this long (`15m`)", example = "15m"),
        ("kind" = Option<Kind>, Query, description = "Filter by kind"),
        ("run" = Option<RunId>, Query, description = "Filter by run"),
        ("cursor" = Option<String>, Query, description = "`next` of the previous answer")),
    responses((status = 200, description = "The groups", body = Groups)))]
pub(crate) async fn groups(
    State(app): State<Arc<App>>,
    _: Operator,
    admission: Admission,
    mut query: Query,
) -> Result<Response, Refusal> {
    let (mut filter, kind) = filter::of_query(&mut query);
    let mut cursor = query.text("cursor");
    query.finish()?;
    filter.kind = app.kind(kind.as_deref(), "kind").await?;
    let _parked = app.gate.park(admission, Caller::Operator)?;
    let deadline = Instant::now() + COUNTING;
    let mut count = Count::default();
    loop {
        let page = app.engine.list(&filter, cursor.as_deref(), PAGE).await?;
        page.items.into_iter().for_each(|task| count.add(task));
        cursor = page.next;
        if cursor.is_none() || app.stop.is_cancelled() || Instant::now() >= deadline {
            return Ok(ok(&count.finish(cursor)));
        }
    }
}

/// Queues dead letters again, at a rate. Does what fits into 50 s; call again for the rest.
#[utoipa::path(post, path = "/dead-letters/retry", tag = "dead letters", security(("operator" = [])), request_body = Retry,
    responses((status = 200, description = "What was found and done", body = Handled)))]
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    _: Operator,
    admission: Admission,
    body: Json<Retry>,
) -> Result<Response, Refusal> {
    let Retry { filter, rate, limit, dry_run } = body.value;
    let which = filter.0.parse(&app).await?;
    Ok(ok(&bulk::run(&app, admission, which, Pace { rate, limit, dry_run }, Operation::Retry).await?))
}

/// Takes dead letters off the list for good, at a rate, and keeps the reason with each. Does what fits into 50 s; call
/// again for the rest.
#[utoipa::path(post, path = "/dead-letters/discard", tag = "dead letters", security(("operator" = [])), request_body = Discard,
    responses((status = 200, description = "What was found and done", body = Handled)))]
pub(crate) async fn discard(
    State(app): State<Arc<App>>,
    _: Operator,
    admission: Admission,
    body: Json<Discard>,
) -> Result<Response, Refusal> {
    let Discard { filter, reason, rate, limit, dry_run } = body.value;
    let reason = reason.trim();
    REASON.check(reason).map_err(|rule| Refusal::invalid("/reason", rule))?;
    let which = filter.0.parse(&app).await?;
    Ok(ok(&bulk::run(&app, admission, which, Pace { rate, limit, dry_run }, Operation::Discard { reason }).await?))
}
