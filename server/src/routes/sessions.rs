//! `/sessions`: signing in, staying in, seeing from where, signing out.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use card_core::accounts::{NewSession, RefreshBounds, Refreshed, Session};
use card_core::ids::{SessionId, UserId};
use card_core::problem::Code;
use card_core::telemetry::mask::mask;
use card_core::time::Instant;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::users::check_username;
use crate::app::App;
use crate::auth::caller::{Caller, User, bearer};
use crate::auth::tokens::RefreshToken;
use crate::http::body::Json;
use crate::http::client_address::ClientAddress;
use crate::http::json::{json, no_content, ok};
use crate::http::query::Query;
use crate::problem::Refusal;

/// A sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// The user's name, in any letter case.
    #[schema(min_length = 3, max_length = 64, pattern = "^[A-Za-z0-9._-]{3,64}$")]
    username: String,
    /// The user's password.
    #[schema(format = Password)]
    password: String,
}

/// A pair of tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenPair {
    /// A JWT; `Authorization: Bearer …` of every call as this user.
    pub(crate) access_token: String,
    /// Works once, at `POST /sessions/refresh`.
    pub(crate) refresh_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Life of the access token, in seconds.
    expires_in: u64,
}

/// Signs in.
#[utoipa::path(post, path = "/sessions", tag = "sessions", request_body = SignIn, responses(
    (status = 200, description = "Signed in", body = TokenPair),
    (status = 401, description = "`invalid-credentials`: the same answer, in the same time, whether there is such a user or not"),
    (status = 429, description = "`too-many-attempts`: too many failures for this name, from this address, or for both")))]
pub(crate) async fn sign_in(
    State(app): State<Arc<App>>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
    body: Json<SignIn>,
) -> Result<Response, Refusal> {
    let SignIn { username, password } = body.value;
    if let Some(error) = check_username(&username) {
        return Err(Refusal::invalid_all(vec![error]));
    }
    Ok(json(StatusCode::OK, &open_with(&app, &username, password, client, &headers).await?))
}

/// Opens a session for whoever knows the password of the user of this name.
pub(crate) async fn open_with(
    app: &App,
    username: &str,
    password: String,
    client: ClientAddress,
    headers: &HeaderMap,
) -> Result<TokenPair, Refusal> {
    // Refused before anything is done for it, so that a flood costs next to nothing.
    let seat = app.passwords.seat(client.network())?;
    let (user, hash) = match app.accounts.credentials(username).await? {
        Some(found) => (Some(found.user), found.password_hash),
        None => (None, None),
    };
    let attempt = app.logins.begin(username, user, client.network()).await?;
    let opened = match (seat.verify(password, hash.clone()).await, user, hash) {
        (Ok(true), Some(user), Some(hash)) => open(app, user, hash, client, headers).await,
        (Ok(_), ..) => Ok(None),
        (Err(refusal), ..) => Err(refusal),
    };
    match opened {
        Ok(None) => Err(Refusal::invalid_credentials()),
        // Not a wrong password, whatever else it was.
        done => {
            attempt.forgive().await;
            done.and_then(|pair| pair.ok_or_else(Refusal::invalid_credentials))
        }
    }
}

/// Opens a session for a password that was right; none if meanwhile the user has left or has another password.
async fn open(
    app: &App,
    user: UserId,
    password_hash: String,
    client: ClientAddress,
    headers: &HeaderMap,
) -> Result<Option<TokenPair>, Refusal> {
    let (session, refresh, now) = (SessionId::new(), RefreshToken::new(), Instant::now());
    let bounds = bounds(app, now);
    let new = NewSession {
        id: session,
        user,
        password_hash,
        refresh: refresh.hashes(),
        created_at: now,
        expires_at: bounds.expires_at(now).unwrap_or(now),
        network: client.network().to_string(),
        address: client.0.to_string(),
        agent: agent(headers),
    };
    if !app.accounts.open_session(new).await? {
        return Ok(None);
    }
    pair(app, user, session, refresh, now, bounds.ends_at(now)).map(Some)
}

/// How long sessions last.
pub(crate) fn bounds(app: &App, now: Instant) -> RefreshBounds {
    let auth = &app.settings.auth;
    RefreshBounds { now, token: auth.refresh_lifetime, session: auth.session_lifetime }
}

/// Longer ones are cut: a list of sessions is for people.
const AGENT_LIMIT: usize = 200;

/// What a request was sent by, in printable ASCII.
fn agent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::USER_AGENT)?.as_bytes();
    let plain = text.iter().copied().filter(|byte| byte.is_ascii_graphic() || *byte == b' ');
    let agent: String = plain.take(AGENT_LIMIT).map(char::from).collect();
    // Kept and shown, and nobody is refused for what their browser says.
    Some(mask(&agent).into_owned()).filter(|agent| !agent.is_empty())
}

fn pair(
    app: &App,
    user: UserId,
    session: SessionId,
    refresh: RefreshToken,
    now: Instant,
    ends_at: Instant,
) -> Result<TokenPair, Refusal> {
    let access_token = sign(app, user, session, now, ends_at)?;
    let expires_in = app.tokens.lifetime_s().min(ends_at.since(now).as_secs());
    let refresh_token = refresh.into_text();
    Ok(TokenPair { access_token, refresh_token, token_type: "Bearer", expires_in })
}

/// An access token; failing is a defect of ours.
pub(crate) fn sign(
    app: &App,
    user: UserId,
    session: SessionId,
    now: Instant,
    ends_at: Instant,
) -> Result<String, Refusal> {
    app.tokens.issue(user, session, now, ends_at).map_err(|error| {
        Refusal::new(Code::Internal, "Something went wrong inside.")
            .caused_by(format!("an access token can't be signed: {error}"))
    })
}

/// Spends the refresh token (sent as Bearer) and answers with a new pair. Using one twice ends its session.
#[utoipa::path(post, path = "/sessions/refresh", tag = "sessions", security(("refresh" = [])),
    responses((status = 200, description = "A new pair", body = TokenPair)))]
pub(crate) async fn refresh(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let refused = || {
        Refusal::unauthorized("The refresh token is not valid, was used before, or has expired. Sign in again.", true)
    };
    let old = RefreshToken::given(bearer(&headers)?).ok_or_else(refused)?;
    let (new, now) = (old.next(), Instant::now());
    match app.accounts.refresh_session(old.hashes(), new.hashes(), bounds(&app, now)).await? {
        Refreshed::Rotated { user, session, ends_at } => {
            Ok(json(StatusCode::OK, &pair(&app, user, session, new, now, ends_at)?))
        }
        Refreshed::Reused => {
            tracing::warn!("a refresh token was used twice; its session is ended");
            Err(refused())
        }
        Refreshed::Unknown => Err(refused()),
    }
}

/// Signs out: ends the session that the access or refresh token (sent as Bearer) belongs to. Its tokens stop working, and
/// its streams end.
#[utoipa::path(delete, path = "/sessions", tag = "sessions", security(("user" = []), ("refresh" = [])),
    responses((status = 204, description = "Signed out")))]
pub(crate) async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let session = match RefreshToken::given(bearer(&headers)?) {
        Some(token) => app.accounts.session_of(token.hashes().token).await?.map(|(_, session)| session),
        None => Some(Caller::of(&headers, &app).await?.user()?.session),
    };
    let unknown = || Refusal::unauthorized("The refresh token is not valid, was used before, or has expired.", true);
    app.accounts.close_session(session.ok_or_else(unknown)?).await?;
    Ok(no_content())
}

/// Sessions of a user.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sessions {
    /// The one that was used last first.
    items: Vec<Session>,
}

/// The caller's sessions that can be refreshed, the one that was used last first.
#[utoipa::path(get, path = "/sessions", tag = "sessions", security(("user" = [])),
    responses((status = 200, description = "The sessions", body = Sessions)))]
pub(crate) async fn list(State(app): State<Arc<App>>, user: User, query: Query) -> Result<Response, Refusal> {
    query.finish()?;
    let mut items = app.accounts.sessions(user.id).await?;
    for session in &mut items {
        session.current = session.id == user.session;
    }
    Ok(ok(&Sessions { items }))
}

/// Ends one of the caller's sessions: its tokens stop working, and its streams end.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "sessions", security(("user" = [])),
    params(("id" = SessionId, Path, description = "The session")),
    responses((status = 204, description = "Ended")))]
pub(crate) async fn end(State(app): State<Arc<App>>, user: User, Path(id): Path<String>) -> Result<Response, Refusal> {
    let missing = || Refusal::not_found("You have no such session.");
    if !app.accounts.end_session(user.id, id.parse().map_err(|_| missing())?).await? {
        return Err(missing());
    }
    Ok(no_content())
}
