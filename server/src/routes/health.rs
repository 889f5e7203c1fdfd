//! `/health` and `/ready`: alive, and able to serve.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::json::{json, ok};

/// The process is alive.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The version of this build.
    version: &'static str,
}

/// Says that the process is alive; touches nothing.
#[utoipa::path(get, path = "/health", tag = "operations", responses((status = 200, description = "Alive", body = Alive)))]
pub(crate) async fn health() -> Response {
    ok(&Alive { status: "ok", version: card_core::VERSION })
}

/// Whether the platform can serve, part by part.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Whether all checks are fine.
    ready: bool,
    /// The parts.
    checks: Vec<Check>,
}

/// One part.
#[derive(Serialize, ToSchema)]
struct Check {
    /// Its name.
    name: &'static str,
    /// Whether it is fine.
    ok: bool,
    /// What is wrong.
    detail: &'static str,
}

/// The engine must answer a ping within this.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the ledger answers with the right schema, and whether new work is taken.
#[utoipa::path(get, path = "/ready", tag = "operations", responses(
    (status = 200, description = "Ready", body = Readiness), (status = 503, description = "Not ready; `checks` says which part", body = Readiness)))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    let (ledger, detail) = match tokio::time::timeout(PATIENCE, app.engine.ping()).await {
        Ok(Ok(())) => (true, ""),
        Ok(Err(error)) => {
            tracing::debug!(%error, "not ready");
            (false, "the ledger does not answer as it should; the log says why")
        }
        Err(_) => (false, "the ledger does not answer in time"),
    };
    let accepting = !app.stop.is_cancelled();
    let checks = vec![
        Check { name: "ledger", ok: ledger, detail },
        Check { name: "accepting", ok: accepting, detail: if accepting { "" } else { "the platform is stopping" } },
    ];
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &Readiness { ready, checks })
}
