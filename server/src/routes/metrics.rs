//! `/metrics`: what Prometheus reads.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use card_core::problem::Code;
use card_core::telemetry::metrics::{self as names, HTTP_IN_FLIGHT};
use metrics::gauge;

use crate::app::App;
use crate::problem::Refusal;

/// All metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Refusal> {
    let foreign = || {
        Refusal::new(Code::Internal, "Something went wrong inside.").caused_by("another metrics recorder is installed")
    };
    let recorder = names::install().ok_or_else(foreign)?;
    // Set when somebody looks: counting on each request would cost more and show no more.
    gauge!(HTTP_IN_FLIGHT).set(app.gate.in_flight() as f64);
    let mut response = Response::new(recorder.render().into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    Ok(response)
}
