//! `/sessions`: signing in, staying in, signing out.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use card_core::accounts::Refreshed;
use card_core::ids::{SessionId, UserId};
use card_core::problem::Code;
use card_core::time::Instant;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::{Caller, bearer};
use crate::auth::tokens::RefreshToken;
use crate::http::body::Json;
use crate::http::client_address::ClientAddress;
use crate::http::json::{json, no_content};
use crate::problem::Refusal;

/// A sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// The user's name, in any letter case.
    username: String,
    /// The user's password.
    #[schema(format = Password)]
    password: String,
}

/// A pair of tokens.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenPair {
    /// A JWT; `Authorization: Bearer …` of every call as this user.
    access_token: String,
    /// Works once, at `POST /sessions/refresh`.
    refresh_token: String,
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
    (status = 429, description = "`too-many-attempts`: too many failures for one address and name")))]
pub(crate) async fn sign_in(
    State(app): State<Arc<App>>,
    Extension(client): Extension<ClientAddress>,
    body: Json<SignIn>,
) -> Result<Response, Refusal> {
    let SignIn { username, password } = body.value;
    let attempt = app.logins.begin(client.0, &username, std::time::Instant::now()).map_err(|wait| {
        let detail = "Too many failed sign-ins for this name from this address; wait and try again.";
        Refusal::new(Code::TooManyAttempts, detail).retry_after(wait.as_secs().max(1))
    })?;
    match authenticate(&app, &username, password).await {
        Ok(Some(user)) => {
            attempt.forgive();
            open(&app, user).await
        }
        Ok(None) => Err(Refusal::invalid_credentials()),
        Err(refusal) => {
            // Not the caller's fault: nothing was tried.
            attempt.forgive();
            Err(refusal)
        }
    }
}

async fn authenticate(app: &App, username: &str, password: String) -> Result<Option<UserId>, Refusal> {
    let credentials = app.accounts.credentials(username).await?;
    let (user, hash) = credentials.map(|found| (found.user, found.password_hash)).unzip();
    let matches = app.passwords.verify(password, hash.flatten()).await?;
    Ok(user.filter(|_| matches))
}

async fn open(app: &App, user: UserId) -> Result<Response, Refusal> {
    let (session, refresh, now) = (SessionId::new(), RefreshToken::new(), Instant::now());
    let expires_at = now.plus(app.settings.auth.refresh_lifetime);
    app.accounts.open_session(user, session, refresh.hash(), expires_at).await?;
    pair(app, user, session, refresh, now)
}

fn pair(app: &App, user: UserId, session: SessionId, refresh: RefreshToken, now: Instant) -> Result<Response, Refusal> {
    let access_token = sign(app, user, session, now)?;
    let (refresh_token, expires_in) = (refresh.into_text(), app.tokens.lifetime_s());
    Ok(json(StatusCode::OK, &TokenPair { access_token, refresh_token, token_type: "Bearer", expires_in }))
}

/// An access token; failing is a defect of ours.
pub(crate) fn sign(app: &App, user: UserId, session: SessionId, now: Instant) -> Result<String, Refusal> {
    app.tokens.issue(user, session, now).map_err(|error| {
        Refusal::new(Code::Internal, "Something went wrong inside.")
            .caused_by(format!("an access token can't be signed: {error}"))
    })
}

/// Spends the refresh token (sent as Bearer) and answers with a new pair. Using one twice revokes its whole family.
#[utoipa::path(post, path = "/sessions/refresh", tag = "sessions", security(("refresh" = [])),
    responses((status = 200, description = "A new pair", body = TokenPair)))]
pub(crate) async fn refresh(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let refused = || {
        Refusal::unauthorized("The refresh token is not valid, was used before, or has expired. Sign in again.", true)
    };
    let old = RefreshToken::given(bearer(&headers)?).ok_or_else(refused)?;
    let (new, now) = (RefreshToken::new(), Instant::now());
    let expires_at = now.plus(app.settings.auth.refresh_lifetime);
    match app.accounts.refresh_session(old.hash(), new.hash(), now, expires_at).await? {
        Refreshed::Rotated { user, session } => pair(&app, user, session, new, now),
        Refreshed::Reused => {
            tracing::warn!("a refresh token was used twice; its family is revoked");
            Err(refused())
        }
        Refreshed::Unknown => Err(refused()),
    }
}

/// Signs out: revokes the family of refresh tokens that the access or refresh token (sent as Bearer) belongs to.
#[utoipa::path(delete, path = "/sessions", tag = "sessions", security(("user" = []), ("refresh" = [])),
    responses((status = 204, description = "Signed out")))]
pub(crate) async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let session = match RefreshToken::given(bearer(&headers)?) {
        Some(token) => app.accounts.session_of(token.hash()).await?.map(|(_, session)| session),
        None => Some(Caller::of(&headers, &app)?.user()?.session),
    };
    let unknown = || Refusal::unauthorized("The refresh token is not valid, was used before, or has expired.", true);
    app.accounts.close_session(session.ok_or_else(unknown)?).await?;
    Ok(no_content())
}
