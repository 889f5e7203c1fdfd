//! `/scaling`: what an autoscaler reads.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use card_core::tasks::Scaling;

use crate::app::App;
use crate::http::json::ok;
use crate::problem::Refusal;

/// Backlog and age of the oldest task, in all and of each kind. Needs no token.
#[utoipa::path(get, path = "/scaling", tag = "operations", responses((status = 200, description = "Now", body = Scaling)))]
pub(crate) async fn scaling(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    Ok(ok(&Scaling::from(app.engine.stats().await?)))
}
