//! `/scaling`: what an autoscaler reads.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use card_core::tasks::{Kind, Scaling};

use crate::app::App;
use crate::http::json::ok;
use crate::http::query::Query;
use crate::problem::Refusal;

/// Backlog and age of the oldest task, in all and of each kind; or those of one kind, whose workers scale by themselves. And
/// the requests under way, by which servers scale. Needs no token.
#[utoipa::path(get, path = "/scaling", tag = "operations",
    params(("kind" = Option<Kind>, Query, description = "Of this kind alone")),
    responses((status = 200, description = "Now", body = Scaling)))]
pub(crate) async fn scaling(State(app): State<Arc<App>>, mut query: Query) -> Result<Response, Refusal> {
    let kind = query.text("kind");
    query.finish()?;
    let kind = app.kind(kind.as_deref(), "kind").await?;
    let scaling = Scaling { requests_in_flight: app.load.mean(), ..Scaling::from(app.engine.stats().await?) };
    Ok(ok(&scaling.of(kind.as_slice())))
}
