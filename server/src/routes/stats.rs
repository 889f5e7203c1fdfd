//! `/stats`: depth, age, totals, workers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use card_core::tasks::Stats;

use crate::app::App;
use crate::auth::caller::Operator;
use crate::http::json::ok;
use crate::problem::Refusal;

/// What waits, runs and failed, totals, and who works.
#[utoipa::path(get, path = "/stats", tag = "queue", security(("operator" = [])),
    responses((status = 200, description = "Now", body = Stats)))]
pub(crate) async fn stats(State(app): State<Arc<App>>, _: Operator) -> Result<Response, Refusal> {
    Ok(ok(&app.engine.stats().await?))
}
