//! The issuer's routes.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Json, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use card_core::time::Instant;
use card_kinds::replacement::IssueRequest;
use tokio_util::sync::CancellationToken;

use crate::answers::Answers;
use crate::behaviour::{Behaviour, BehaviourUpdate};
use crate::decision::Memory;
use crate::operator::OperatorToken;
use card_serve::health::{self, Check};
use card_serve::problem::Problem;

/// The largest body of a request, in bytes.
const BODY_LIMIT: usize = 16 * 1024;
/// A body must have arrived within this.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// A call that "gets no answer" gets one after this, so that it does not last for ever.
const HANG: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Issuer(Arc<Parts>);

struct Parts {
    behaviour: RwLock<Behaviour>,
    memory: Memory,
    answers: Answers,
    operator: Option<OperatorToken>,
    stop: CancellationToken,
}

pub(crate) fn router(behaviour: Behaviour, operator: Option<OperatorToken>, stop: CancellationToken) -> Router {
    let stopping = stop.clone();
    let parts =
        Parts { behaviour: RwLock::new(behaviour), memory: Memory::default(), answers: Answers::new(), operator, stop };
    Router::new()
        .route("/issue", post(issue))
        .route("/behaviour", get(behaviour_now).put(change_behaviour))
        .merge(health::routes(move || {
            let taking_calls = !stopping.is_cancelled();
            async move { vec![Check::new("accepting", taking_calls, "the issuer is stopping")] }
        }))
        .fallback(card_serve::no_such_route)
        .method_not_allowed_fallback(async || Problem::of_status(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Issuer(Arc::new(parts)))
}

impl Issuer {
    fn behaviour(&self) -> Behaviour {
        // A poisoned lock holds a whole behaviour all the same: it is replaced in one assignment.
        self.0.behaviour.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits, unless the issuer stops meanwhile.
    async fn wait(&self, duration: Duration) -> Result<(), Problem> {
        if duration.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(duration) => Ok(()),
            () = self.0.stop.cancelled() => Err(Problem::unavailable("the issuer is stopping")),
        }
    }
}

async fn issue(State(issuer): State<Issuer>, request: axum::extract::Request) -> Result<Response, Problem> {
    let request: IssueRequest = body(request).await?;
    let behaviour = issuer.behaviour();
    let answers = &issuer.0.answers;
    if behaviour.is_down(Instant::now()) {
        answers.unavailable.increment(1);
        return Err(Problem::unavailable("the issuer is down"));
    }
    issuer.wait(behaviour.latency().sample(rand::random(), rand::random())).await?;
    if happens(behaviour.hang_rate) {
        issuer.wait(HANG).await?;
        answers.unavailable.increment(1);
        return Err(Problem::unavailable("the issuer took too long"));
    }
    if happens(behaviour.error_rate) {
        answers.unavailable.increment(1);
        return Err(Problem::unavailable("the issuer failed"));
    }
    if happens(behaviour.garbage_rate) {
        answers.garbage.increment(1);
        return Ok("<html>It works!</html>".into_response());
    }
    match issuer.0.memory.answer(request.idempotency_key, behaviour.decline_rate) {
        Some(card) => {
            answers.issued.increment(1);
            Ok(Json(card).into_response())
        }
        None => {
            answers.declined.increment(1);
            Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "declined", "the issuer does not issue this card"))
        }
    }
}

async fn behaviour_now(State(issuer): State<Issuer>) -> Json<Behaviour> {
    Json(issuer.behaviour().at(Instant::now()))
}

async fn change_behaviour(
    State(issuer): State<Issuer>,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Result<Json<Behaviour>, Problem> {
    if issuer.0.operator.as_ref().is_some_and(|operator| !operator.is_in(&headers)) {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "an operator token is required"));
    }
    let update: BehaviourUpdate = body(request).await?;
    let now = Instant::now();
    let mut behaviour = issuer.0.behaviour.write().unwrap_or_else(PoisonError::into_inner);
    *behaviour = behaviour.updated(&update, now).map_err(|unacceptable| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation-failed", unacceptable.to_string())
    })?;
    let changed = behaviour.at(now);
    drop(behaviour);
    tracing::info!(behaviour = ?changed, "the issuer's behaviour was changed");
    Ok(Json(changed))
}

/// The body as JSON, within the deadline.
async fn body<T: serde::de::DeserializeOwned>(request: axum::extract::Request) -> Result<T, Problem> {
    use axum::extract::FromRequest;
    let body: Result<Json<T>, JsonRejection> = tokio::time::timeout(BODY_DEADLINE, Json::from_request(request, &()))
        .await
        .map_err(|_| Problem::of_status(StatusCode::REQUEST_TIMEOUT))?;
    Ok(body?.0)
}

fn happens(rate: f64) -> bool {
    rate > 0.0 && rand::random::<f64>() < rate
}
