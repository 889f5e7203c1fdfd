//! HTTP as every port of every process is served: the API's, the issuer's, and the health port of a worker.
//!
//! Owns [`connections`] with their time limits, how they are shared among clients ([`shares`]), and for ports without an
//! API their errors ([`problem`]) and [`health`]. What is served is the caller's.

pub mod connections;
pub mod health;
pub mod problem;
pub mod shares;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use bytes::Bytes;
use card_core::settings::Networks;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::Service;

use self::connections::{Answer, Client, Limits, Standing, Timeouts, Unreadable, affordable, serve};
use self::problem::Problem;

/// Longer than the clients of these ports keep an idle connection, or a request might meet one that is being closed.
const IDLE: Duration = Duration::from_secs(45);
const HEAD: Duration = Duration::from_secs(10);
const STALLED: Duration = Duration::from_secs(30);
/// How long a stop waits for calls under way.
const DRAIN: Duration = Duration::from_secs(5);
/// Bytes of requests that have not arrived in whole: some hundred of the largest.
const UNFINISHED: usize = 4 * 1024 * 1024;

/// For what no route answers.
pub async fn no_such_route() -> Problem {
    Problem::of_status(StatusCode::NOT_FOUND)
}

/// Serves routes until `stop`, then finishes the calls under way, for five seconds at most.
pub async fn serve_routes(listener: TcpListener, router: Router, stop: CancellationToken) {
    let timeouts = Timeouts { head: HEAD, idle: IDLE, stalled: STALLED, drain: DRAIN };
    // Half of the files: the process may have another port.
    let limits =
        Limits { timeouts, connections: affordable() / 2, unfinished: UNFINISHED, proxies: Networks::default() };
    let router = router.route_layer(from_fn(without_parameters));
    if !serve(listener, Arc::new(Routes(router)), limits, stop).await {
        tracing::debug!("stopped with requests in flight");
    }
}

/// No route of these ports knows a query parameter, and one that is ignored answers a question that was not asked.
async fn without_parameters(request: axum::extract::Request, next: Next) -> Response<Body> {
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        let detail = "this route knows no query parameters";
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation-failed", detail).into_response();
    }
    next.run(request).await
}

struct Routes(Router);

impl Answer for Routes {
    type Body = Body;

    async fn answer(&self, client: Client, request: Request<Incoming>) -> Response<Body> {
        let is_probe = matches!(request.uri().path(), "/health" | "/ready" | "/metrics");
        if client.standing != Standing::Regular && !is_probe {
            return Problem::unavailable("every connection is busy; try again").into_response();
        }
        match self.0.clone().call(request).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        }
    }

    fn refuse(&self, unreadable: &Unreadable) -> Response<Bytes> {
        tracing::debug!(kind = ?unreadable.kind, detail = unreadable.detail, "a request can't be read");
        Problem::unreadable(unreadable).into_bytes()
    }
}
