//! `/queue`: stopping and starting the work.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::app::App;
use crate::auth::caller::Operator;
use crate::http::json::no_content;
use crate::problem::Refusal;

/// Stops claiming; accepting goes on. Survives a restart.
#[utoipa::path(post, path = "/queue/pause", tag = "queue", security(("operator" = [])),
    responses((status = 204, description = "Paused")))]
pub(crate) async fn pause(State(app): State<Arc<App>>, _: Operator) -> Result<Response, Refusal> {
    app.engine.set_paused(true).await?;
    Ok(no_content())
}

/// Starts claiming again.
#[utoipa::path(post, path = "/queue/resume", tag = "queue", security(("operator" = [])),
    responses((status = 204, description = "Resumed")))]
pub(crate) async fn resume(State(app): State<Arc<App>>, _: Operator) -> Result<Response, Refusal> {
    app.engine.set_paused(false).await?;
    Ok(no_content())
}
