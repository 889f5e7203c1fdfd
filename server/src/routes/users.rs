//! `/users`: registration, and leaving.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use card_core::accounts::{Registered, User};
use card_core::ids::UserId;
use card_core::problem::{Code, FieldError};
use card_core::time::Instant;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller;
use crate::auth::passwords::{MAX_CHARS, MIN_CHARS};
use crate::http::body::Json;
use crate::http::json::{json, no_content};
use crate::problem::Refusal;

/// A registration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// 3 to 64 letters, digits, `.`, `_` or `-` (ASCII). Unique whatever its letter case.
    #[schema(min_length = 3, max_length = 64, pattern = "^[A-Za-z0-9._-]{3,64}$", example = "ada.lovelace")]
    username: String,
    /// 8 to 128 characters, any of them.
    #[schema(min_length = 8, max_length = 128, format = Password)]
    password: String,
}

impl Registration {
    fn check(&self) -> Result<(), Refusal> {
        let mut errors = Vec::new();
        let mut error = |pointer: &str, detail: String| errors.push(FieldError { pointer: pointer.to_owned(), detail });
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !(3..=64).contains(&self.username.len()) || !self.username.bytes().all(plain) {
            error("/username", "must be 3 to 64 letters, digits, '.', '_' or '-'".to_owned());
        }
        if !(MIN_CHARS..=MAX_CHARS).contains(&self.password.chars().count()) {
            error("/password", format!("must have {MIN_CHARS} to {MAX_CHARS} characters"));
        }
        if errors.is_empty() { Ok(()) } else { Err(Refusal::invalid_all(errors)) }
    }
}

/// Registers a user.
#[utoipa::path(post, path = "/users", tag = "users", request_body = Registration,
    responses((status = 201, description = "Registered", body = User), (status = 409, description = "`username-taken`")))]
pub(crate) async fn register(State(app): State<Arc<App>>, body: Json<Registration>) -> Result<Response, Refusal> {
    let registration = body.value;
    registration.check()?;
    let password_hash = app.passwords.hash(registration.password).await?;
    let user = User { id: UserId::new(), username: registration.username, created_at: Instant::now() };
    match app.accounts.register(user.clone(), password_hash).await? {
        Registered::Created => Ok(json(StatusCode::CREATED, &user)),
        Registered::UsernameTaken => {
            Err(Refusal::new(Code::UsernameTaken, "Another user has this name; choose one more."))
        }
    }
}

/// Deletes the calling user. Its tokens stop working at once; its tasks and cards stay, under the bare id.
#[utoipa::path(delete, path = "/users/me", tag = "users", security(("user" = [])),
    responses((status = 204, description = "Deleted")))]
pub(crate) async fn leave(State(app): State<Arc<App>>, user: caller::User) -> Result<Response, Refusal> {
    app.accounts.delete_user(user.id).await?;
    Ok(no_content())
}
