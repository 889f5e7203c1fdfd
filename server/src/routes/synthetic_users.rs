//! `/synthetic-users`: users for tests and load, without the price of hashing passwords.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use card_core::accounts::User;
use card_core::chosen::{NO_CARD, RUN_ID};
use card_core::engine::{Cleaned, EngineError, ErrorKind};
use card_core::ids::{RunId, SessionId, UserId};
use card_core::problem::Code;
use card_core::telemetry::mask::holds_card;
use card_core::time::Instant;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sessions::sign;
use crate::app::App;
use crate::auth::caller::Operator;
use crate::http::body::Json;
use crate::http::json::ok;
use crate::http::query::Query;
use crate::problem::Refusal;

const COUNT_LIMIT: u32 = 10_000;
const NUMBER_LIMIT: u64 = 1_000_000_000_000;

/// Which users to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The run that they belong to.
    run: RunId,
    /// The number of the first; user `n` is called `{run}-{n}`.
    #[schema(maximum = 1_000_000_000_000u64)]
    from: u64,
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    count: u32,
}

/// Users that can act at once.
#[derive(Serialize, ToSchema)]
pub(crate) struct SyntheticUsers {
    /// In order of their numbers.
    users: Vec<SyntheticUser>,
}

/// A user that can act at once and can't sign in.
#[derive(Serialize, ToSchema)]
struct SyntheticUser {
    /// Its id.
    id: UserId,
    /// `{run}-{number}`.
    username: String,
    /// Works as long as any access token.
    access_token: String,
}

/// Makes users for a run, all or none.
#[utoipa::path(post, path = "/synthetic-users", tag = "synthetic users", security(("operator" = [])), request_body = Request,
    responses((status = 200, description = "The users", body = SyntheticUsers),
        (status = 409, description = "`username-taken`: the run has users with these numbers")))]
pub(crate) async fn create(State(app): State<Arc<App>>, _: Operator, body: Json<Request>) -> Result<Response, Refusal> {
    let Request { run, from, count } = body.value;
    if !(1..=COUNT_LIMIT).contains(&count) {
        return Err(Refusal::invalid("/count", format!("must be 1 to {COUNT_LIMIT}")));
    }
    if from > NUMBER_LIMIT {
        return Err(Refusal::invalid("/from", format!("must be at most {NUMBER_LIMIT}")));
    }
    // A run's id may be a number's beginning, and the user's number its end.
    RUN_ID.check(run.as_str()).map_err(|rule| Refusal::invalid("/run", rule))?;
    let now = Instant::now();
    let name = |number: u64| format!("{run}-{number}");
    let users: Vec<User> = (from..from + u64::from(count))
        .map(|number| User { id: UserId::new(), username: name(number), created_at: now })
        .collect();
    if users.iter().any(|user| holds_card(&user.username)) {
        return Err(Refusal::invalid("/run", format!("{NO_CARD}, with the number of a user behind it neither")));
    }
    app.accounts.register_synthetic(run, users.clone()).await.map_err(taken)?;
    // Ten thousand signatures take some 30 ms: too long for a thread that others wait for.
    let answer = tokio::task::spawn_blocking(move || sign_all(&app, users, now)).await;
    answer.unwrap_or_else(|_| {
        Err(Refusal::new(Code::Internal, "Something went wrong inside.").caused_by("signing panicked"))
    })
}

fn sign_all(app: &App, users: Vec<User>, now: Instant) -> Result<Response, Refusal> {
    let sign = |user: User| {
        let access_token = sign(app, user.id, SessionId::new(), now, Instant::from_micros(i64::MAX))?;
        Ok(SyntheticUser { id: user.id, username: user.username, access_token })
    };
    Ok(ok(&SyntheticUsers { users: users.into_iter().map(sign).collect::<Result<_, Refusal>>()? }))
}

fn taken(error: EngineError) -> Refusal {
    if error.kind() == ErrorKind::Invalid {
        return Refusal::new(
            Code::UsernameTaken,
            "The run has users with these numbers; choose another `from` or `run`.",
        );
    }
    error.into()
}

/// Removes a run: its users, what they own, and its tasks.
#[utoipa::path(delete, path = "/synthetic-users", tag = "synthetic users", security(("operator" = [])),
    params(("run" = RunId, Query, description = "The run")),
    responses((status = 200, description = "What was removed", body = Cleaned)))]
pub(crate) async fn clean(State(app): State<Arc<App>>, _: Operator, mut query: Query) -> Result<Response, Refusal> {
    let run = query.required::<RunId>("run");
    query.finish()?;
    let run = run.ok_or_else(|| Refusal::invalid("run", "is required"))?;
    Ok(ok(&app.engine.clean_run(&run).await?))
}
