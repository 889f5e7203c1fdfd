//! `/health`, `/ready` and `/metrics`: alive, able to work, and what it did.

use axum::extract::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use card_core::telemetry::metrics;
use serde::Serialize;

use crate::problem::Problem;

/// One thing that must be fine, as `GET /ready` of the API names them.
#[derive(Debug, Serialize)]
pub struct Check {
    name: &'static str,
    ok: bool,
    detail: &'static str,
}

#[derive(Serialize)]
struct Alive {
    status: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    checks: Vec<Check>,
}

impl Check {
    /// `wrong` says what is wrong when it is not `ok`.
    pub const fn new(name: &'static str, ok: bool, wrong: &'static str) -> Self {
        Self { name, ok, detail: if ok { "" } else { wrong } }
    }
}

/// The three routes. The process is ready when all that `checks` finds is fine.
pub fn routes<S, C, F>(checks: C) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    C: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Vec<Check>> + Send,
{
    Router::new()
        .route("/health", get(async || Json(Alive { status: "ok", version: card_core::VERSION })))
        .route("/ready", get(async move || ready(checks().await)))
        .route("/metrics", get(render))
}

fn ready(checks: Vec<Check>) -> Response {
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, checks })).into_response()
}

async fn render() -> Result<Response, Problem> {
    let Some(recorder) = metrics::install() else {
        tracing::error!("another metrics recorder is installed");
        return Err(Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR));
    };
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, text)], recorder.render()).into_response())
}
