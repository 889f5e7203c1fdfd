//! The simulated card issuer: an HTTP server that is slow, flaky or down on demand, and never issues two cards for one
//! idempotency key.
//!
//! | call | answers |
//! |---|---|
//! | `POST /issue` `{idempotency_key, user, reason}` | 200 `{card_ref, last4, network}` · 402 `declined`, for good · 503, or no answer: try again |
//! | `GET /behaviour` | 200 [`Behaviour`] |
//! | `PUT /behaviour` (operator), any of its fields | 200 the new one · 401 · 422 |
//! | `GET /health`, `/ready`, `/metrics` | alive; takes calls, or 503 while it stops; Prometheus' text |
//!
//! Errors are `application/problem+json` with `code` and `detail`. A decline is 402, as card processors use it: the
//! request was right, and the answer is no.

mod answers;
mod behaviour;
mod decision;
mod latency;
mod operator;
mod routes;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::behaviour::{Behaviour, BehaviourUpdate, Outage, OutageUpdate, Unacceptable};
pub use self::latency::Latency;
pub use self::operator::OperatorToken;
use card_serve::serve_routes;

/// Runs the issuer until `stop`, then finishes the calls under way, for five seconds at most.
///
/// With an `operator` token, `PUT /behaviour` asks for it; without, anybody who reaches the listener may change the
/// behaviour.
pub async fn serve(
    listener: TcpListener,
    behaviour: Behaviour,
    operator: Option<OperatorToken>,
    stop: CancellationToken,
) {
    serve_routes(listener, routes::router(behaviour, operator, stop.clone()), stop).await;
}
