//! Extractors: a handler names in its arguments whom it serves, and is not called for anybody else.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use card_core::ids::{SessionId, UserId};
use card_core::problem::Code;
use card_core::time::Instant;

use crate::app::App;
use crate::problem::Refusal;

/// A user, by an access token that works now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) session: SessionId,
    /// When the token ends.
    pub(crate) expires_at: Instant,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Operator;

/// Either of the two.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Caller {
    User(User),
    Operator,
}

impl Caller {
    /// Whose tasks the caller may see; none for all.
    pub(crate) fn owner(self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user.id),
            Self::Operator => None,
        }
    }

    /// The user; an operator is told why not.
    pub(crate) fn user(self) -> Result<User, Refusal> {
        match self {
            Self::User(user) => Ok(user),
            Self::Operator => Err(Refusal::new(
                Code::Forbidden,
                "This route needs a user's access token, not the operator's. POST /api/v1/synthetic-users creates users with tokens.",
            )),
        }
    }

    /// The caller that the headers name.
    pub(crate) async fn of(headers: &HeaderMap, app: &App) -> Result<Self, Refusal> {
        let token = bearer(headers)?;
        if let Some(claims) = app.tokens.verify(token) {
            let expires_at = Instant::from_micros(i64::try_from(claims.exp).unwrap_or(0).saturating_mul(1_000_000));
            let user = User { id: claims.sub, session: claims.sid, expires_at };
            if app.accounts.is_revoked(user.id, user.session).await? {
                return Err(Refusal::unauthorized(
                    "The session of this token has ended, or its user is deleted.",
                    true,
                ));
            }
            return Ok(Self::User(user));
        }
        if app.operator.is(token) {
            return Ok(Self::Operator);
        }
        Err(Refusal::unauthorized("The token is not valid or has expired. Refresh it, or sign in again.", true))
    }
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(Refusal::unauthorized("Send a token: `Authorization: Bearer …`.", false));
    };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(Refusal::unauthorized("Send the token as `Authorization: Bearer …`.", true));
    }
    Ok(token.trim())
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        Self::of(&parts.headers, app).await
    }
}

impl FromRequestParts<Arc<App>> for User {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        Caller::of(&parts.headers, app).await?.user()
    }
}

impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        match Caller::of(&parts.headers, app).await? {
            Caller::Operator => Ok(Self),
            Caller::User(_) => {
                Err(Refusal::new(Code::Forbidden, "This needs the operator's token; a user's is not enough."))
            }
        }
    }
}
