//! `card-replacer`: users, card requests and sums of the old card replacer.
//!
//! A name is stored as a hash of it, so that it may have any characters and is no name of the API; a password as it is, weak
//! ones too.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{delete, get, post};
use card_core::accounts::{Registered, User, created_at_of};
use card_core::ids::{TaskId, UserId};
use card_core::problem::Code;
use card_core::tasks::{Priority, Status, Task, TaskFilter};
use card_core::time::Instant;
use card_kinds::add::{self, Sum};
use card_kinds::replacement::{self, Reason, Replacement};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Routes;
use crate::app::App;
use crate::auth::caller::{self, Caller, bearer};
use crate::auth::tokens::RefreshToken;
use crate::http::answer::Wording;
use crate::http::body::{Raw, parse, payload};
use crate::http::client_address::ClientAddress;
use crate::http::gate::Admission;
use crate::http::headers::WriteHeaders;
use crate::http::json::{json as answer, ok};
use crate::problem::Refusal;
use crate::routes::sessions::{bounds, open_with, sign};
use crate::routes::tasks::{Order, accept};
use crate::routes::users;

/// What the old task returned, which its clients compare.
const DONE: &str = "Card request processed successfully";
/// Tasks read from the ledger in one go.
const PAGE: usize = 200;
/// The longest list of card requests.
const REQUESTS: usize = 10_000;

pub(super) fn surface() -> (Routes, Wording) {
    let routes = vec![
        ("/register", post(register)),
        ("/login", post(login)),
        ("/refresh", post(refresh)),
        ("/request_card", post(request_card)),
        ("/card_requests", get(card_requests)),
        ("/tasks/{id}", get(task)),
        ("/add", post(add)),
        ("/delete_user", delete(delete_user)),
    ];
    (routes, Wording::own(write))
}

/// `{"msg": …}`.
fn write(refusal: &Refusal) -> (u16, Value) {
    let status = match refusal.code() {
        Code::ValidationFailed if refusal.errors().iter().any(|error| error.pointer == AUTHORIZATION) => 422,
        Code::ValidationFailed
        | Code::MalformedJson
        | Code::UnsupportedMediaType
        | Code::UsernameTaken
        | Code::ReplacementOpen => 400,
        code => code.status(),
    };
    (status, json!({"msg": refusal.in_words()}))
}

const AUTHORIZATION: &str = "authorization";

/// What is no access token at all was told apart from one that has expired.
fn malformed() -> Refusal {
    Refusal::invalid(AUTHORIZATION, "must hold an access token of this platform")
}

/// A user, by an access token.
struct Holder(caller::User);

impl FromRequestParts<Arc<App>> for Holder {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let headers = &parts.headers;
        match Caller::of(headers, app).await {
            Ok(Caller::User(user)) => Ok(Self(user)),
            Ok(Caller::Operator) => Err(malformed()),
            Err(refusal) if refusal.code() == Code::Unauthorized && headers.contains_key(header::AUTHORIZATION) => {
                let is_own = bearer(headers).is_ok_and(|token| app.tokens.is_own(token));
                Err(if is_own { refusal } else { malformed() })
            }
            Err(refusal) => Err(refusal),
        }
    }
}

#[derive(Deserialize)]
struct Credentials {
    username: Option<String>,
    password: Option<String>,
}

/// The name and the password of a body; neither may be missing or empty.
fn credentials(body: &Raw) -> Result<(String, String), Refusal> {
    let Credentials { username, password } = parse(&body.bytes)?;
    let given = |text: Option<String>, field: &str| {
        text.filter(|text| !text.is_empty()).ok_or_else(|| Refusal::invalid(format!("/{field}"), "is required"))
    };
    let username = given(username, "username")?;
    if username.chars().count() > 80 {
        return Err(Refusal::invalid("/username", "may have 80 characters"));
    }
    Ok((stored_name(&username), given(password, "password")?))
}

/// The name of an account that stands for a name of old: within what names may be, and the same for the same bytes alone.
fn stored_name(username: &str) -> String {
    let hash = Sha256::digest(username.as_bytes());
    let hex: String = hash.iter().take(25).map(|byte| format!("{byte:02x}")).collect();
    format!("card-replacer.{hex}")
}

fn msg(status: StatusCode, text: &str) -> Response {
    answer(status, &json!({"msg": text}))
}

async fn register(
    State(app): State<Arc<App>>,
    Extension(client): Extension<ClientAddress>,
    body: Raw,
) -> Result<Response, Refusal> {
    let (username, password) = credentials(&body)?;
    let password_hash = app.passwords.seat(client.network())?.hash(password, None).await?;
    let user = User { id: UserId::new(), username, created_at: Instant::now() };
    match app.accounts.register(user, password_hash).await? {
        Registered::Created => Ok(msg(StatusCode::CREATED, "User registered")),
        Registered::UsernameTaken => Err(Refusal::new(Code::UsernameTaken, "Another user has this name")),
    }
}

async fn login(
    State(app): State<Arc<App>>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
    body: Raw,
) -> Result<Response, Refusal> {
    let (username, password) = credentials(&body)?;
    let pair = open_with(&app, &username, password, client, &headers).await?;
    Ok(ok(&json!({"access_token": pair.access_token, "refresh_token": pair.refresh_token})))
}

/// A new access token. The refresh token goes on working, as its clients expect: until it expires or its session ends.
async fn refresh(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let token = RefreshToken::given(bearer(&headers)?).ok_or_else(malformed)?;
    let found = app.accounts.session_of(token.hashes().token).await?;
    let (user, session) = found.ok_or_else(|| Refusal::unauthorized("The refresh token has expired", true))?;
    let now = Instant::now();
    let ends_at = bounds(&app, now).ends_at(created_at_of(session.uuid(), now));
    if ends_at <= now {
        return Err(Refusal::unauthorized("The session has ended", true));
    }
    Ok(ok(&json!({"access_token": sign(&app, user, session, now, ends_at)?})))
}

async fn request_card(
    State(app): State<Arc<App>>,
    Holder(user): Holder,
    admission: Admission,
    headers: WriteHeaders,
) -> Result<Response, Refusal> {
    let kind = app.kinds.get(replacement::KIND).ok_or_else(|| Refusal::not_found("There are no replacements here"))?;
    // They had no reasons.
    let wanted = serde_json::to_vec(&Replacement { reason: Reason::Lost }).unwrap_or_default();
    let payload = payload(kind, &wanted, "")?;
    let idempotency = headers.idempotency(&Method::POST, "/request_card", &wanted);
    let holders = admission.holders(Caller::User(user));
    let order = Order { kind, payload, priority: Priority::default(), due_at: None };
    let (task, _) = accept(&app, order, Some(user.id), &holders, headers.run, idempotency).await?;
    Ok(answer(StatusCode::CREATED, &json!({"msg": "Card requested", "task_id": task.id})))
}

/// A card request of old.
#[derive(Serialize)]
struct CardRequest {
    /// A number: of a user no two are the same, as only one is open at a time.
    id: i64,
    status: &'static str,
    created_at: String,
    updated_at: String,
}

impl From<Task> for CardRequest {
    fn from(task: Task) -> Self {
        let status = if task.status == Status::Succeeded { "processed" } else { "pending" };
        let changed = task.settled_at.or(task.started_at).unwrap_or(task.accepted_at);
        let (created_at, updated_at) = (http_date(task.accepted_at), http_date(changed));
        Self { id: task.accepted_at.micros(), status, created_at, updated_at }
    }
}

/// As HTTP writes dates (RFC 9110): `Mon, 30 Nov 2026 12:00:00 GMT`.
fn http_date(instant: Instant) -> String {
    let at = jiff::Timestamp::from_microsecond(instant.micros()).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

async fn card_requests(State(app): State<Arc<App>>, Holder(user): Holder) -> Result<Response, Refusal> {
    let filter = TaskFilter { kind: Some(replacement::KIND), owner: Some(user.id), ..TaskFilter::default() };
    let (mut requests, mut cursor): (Vec<CardRequest>, _) = (Vec::new(), None);
    loop {
        let page = app.engine.list(&filter, cursor.as_deref(), PAGE).await?;
        requests.extend(page.items.into_iter().map(CardRequest::from));
        cursor = page.next;
        if cursor.is_none() || requests.len() >= REQUESTS {
            break;
        }
    }
    // The oldest first, as they were stored.
    requests.reverse();
    Ok(ok(&requests))
}

/// The outcome of a task, to whoever has its id. Of what this front has not asked for it says nothing.
async fn task(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let task = match id.parse::<TaskId>() {
        Ok(id) => app.engine.get(id).await?,
        Err(_) => None,
    };
    let is_ours = |task: &Task| match task.kind {
        replacement::KIND => true,
        add::KIND => task.owner.is_none(),
        _ => false,
    };
    let (status, result) = task.filter(is_ours).map_or(("PENDING", Value::Null), |task| state(&task));
    Ok(ok(&json!({"task_id": id, "status": status, "result": result})))
}

/// In the words of its queue.
fn state(task: &Task) -> (&'static str, Value) {
    let failed = || task.error.as_ref().map_or(Value::Null, |error| error.message.clone().into());
    match task.status {
        Status::Queued | Status::Running => ("PENDING", Value::Null),
        Status::Retrying => ("RETRY", failed()),
        Status::Succeeded if task.kind == add::KIND => ("SUCCESS", sum(task.result.as_deref())),
        Status::Succeeded => ("SUCCESS", DONE.into()),
        Status::Declined | Status::Dead => ("FAILURE", failed()),
        Status::Cancelled => ("REVOKED", failed()),
    }
}

fn sum(result: Option<&RawValue>) -> Value {
    let sum = result.and_then(|result| serde_json::from_str::<Sum>(result.get()).ok());
    sum.map_or(Value::Null, |Sum { sum }| sum.into())
}

async fn add(
    State(app): State<Arc<App>>,
    admission: Admission,
    headers: WriteHeaders,
    body: Raw,
) -> Result<Response, Refusal> {
    let kind = app.kinds.get(add::KIND).ok_or_else(|| Refusal::not_found("There are no sums here"))?;
    parse::<IgnoredAny>(&body.bytes)?;
    let payload = payload(kind, &body.bytes, "")?;
    let headers = headers.of_nobody("card-replacer");
    let idempotency = headers.idempotency(&Method::POST, "/add", &body.bytes);
    let order = Order { kind, payload, priority: Priority::default(), due_at: None };
    let (task, _) = accept(&app, order, None, &admission.address(), headers.run, idempotency).await?;
    Ok(answer(StatusCode::ACCEPTED, &json!({"task_id": task.id})))
}

async fn delete_user(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    match Caller::of(&headers, &app).await {
        Ok(Caller::User(user)) => {
            users::delete(&app, user.id).await?;
            Ok(msg(StatusCode::OK, "User deleted"))
        }
        Ok(Caller::Operator) => Err(malformed()),
        // Its user has gone, which was told apart from a token that is none.
        Err(refusal) if refusal.code() == Code::Unauthorized && headers.contains_key(header::AUTHORIZATION) => {
            let claims = bearer(&headers).ok().and_then(|token| app.tokens.verify(token));
            let Some(claims) = claims else { return Err(malformed()) };
            match app.accounts.user(claims.sub).await? {
                Some(_) => Err(refusal),
                None => Err(Refusal::not_found("There is no such user")),
            }
        }
        Err(refusal) => Err(refusal),
    }
}

#[cfg(test)]
mod tests {
    use card_core::chosen::USERNAME;

    use super::*;

    #[test]
    fn any_name_of_old_has_a_name_of_an_account_of_its_own() {
        let names = ["user1", "USER1", "ada lovelace", "名前", "a", "<script>", "\u{200f}x", "tab\t"];
        let mut stored: Vec<_> = names.iter().map(|name| stored_name(name)).collect();
        assert!(stored.iter().all(|name| USERNAME.check(name).is_ok()), "{stored:?}");
        stored.sort();
        stored.dedup();
        assert_eq!(stored.len(), names.len());
    }

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(http_date(Instant::from_micros(784_111_777_000_000)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
