//! `/users`: registration, another password, and leaving.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use card_core::accounts::{Registered, User};
use card_core::chosen::USERNAME;
use card_core::engine::Cancelled;
use card_core::ids::UserId;
use card_core::problem::{Code, FieldError};
use card_core::tasks::{Status, TaskFilter};
use card_core::time::Instant;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller;
use crate::auth::passwords::{MAX_CHARS, MIN_CHARS};
use crate::http::body::{Json, MaybeJson};
use crate::http::client_address::{ClientAddress, Network};
use crate::http::json::{json, no_content};
use crate::problem::Refusal;

/// A registration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Registration {
    /// 3 to 64 letters, digits, `.`, `_` or `-` (ASCII). Unique whatever its letter case.
    #[schema(min_length = 3, max_length = 64, pattern = "^[A-Za-z0-9._-]{3,64}$", example = "ada.lovelace")]
    username: String,
    /// 8 to 128 characters, any of them, that are not easy to guess.
    #[schema(min_length = 8, max_length = 128, format = Password)]
    password: String,
}

/// What is wrong with a user name that a person gives.
pub(crate) fn check_username(username: &str) -> Option<FieldError> {
    let rule = USERNAME.check(username).err()?;
    Some(FieldError { pointer: "/username".to_owned(), detail: rule.to_owned() })
}

fn check_password(pointer: &str, password: &str) -> Option<FieldError> {
    if (MIN_CHARS..=MAX_CHARS).contains(&password.chars().count()) {
        return None;
    }
    Some(FieldError { pointer: pointer.to_owned(), detail: format!("must have {MIN_CHARS} to {MAX_CHARS} characters") })
}

fn all_right(errors: impl IntoIterator<Item = Option<FieldError>>) -> Result<(), Refusal> {
    let errors: Vec<FieldError> = errors.into_iter().flatten().collect();
    if errors.is_empty() { Ok(()) } else { Err(Refusal::invalid_all(errors)) }
}

/// Registers a user.
#[utoipa::path(post, path = "/users", tag = "users", request_body = Registration,
    responses((status = 201, description = "Registered", body = User), (status = 409, description = "`username-taken`"),
        (status = 422, description = "`weak-password`: easy to guess")))]
pub(crate) async fn register(
    State(app): State<Arc<App>>,
    Extension(client): Extension<ClientAddress>,
    body: Json<Registration>,
) -> Result<Response, Refusal> {
    let Registration { username, password } = body.value;
    all_right([check_username(&username), check_password("/password", &password)])?;
    let seat = app.passwords.seat(client.network())?;
    let password_hash = seat.hash(password, Some(username.clone())).await?;
    let user = User { id: UserId::new(), username, created_at: Instant::now() };
    match app.accounts.register(user.clone(), password_hash).await? {
        Registered::Created => Ok(json(StatusCode::CREATED, &user)),
        Registered::UsernameTaken => {
            Err(Refusal::new(Code::UsernameTaken, "Another user has this name; choose one more."))
        }
    }
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    /// The password that the user has.
    #[schema(format = Password)]
    current: String,
    /// The one to have from now on: 8 to 128 characters, any of them, that are not easy to guess.
    #[schema(min_length = 8, max_length = 128, format = Password)]
    new: String,
}

/// Replaces the calling user's password. Every other session of the user ends.
#[utoipa::path(put, path = "/users/me/password", tag = "users", security(("user" = [])), request_body = NewPassword,
    responses((status = 204, description = "Replaced"),
        (status = 403, description = "`wrong-password`: `current` is not the user's"),
        (status = 422, description = "`weak-password`: easy to guess"),
        (status = 429, description = "`too-many-attempts`: as at a sign-in")))]
pub(crate) async fn change_password(
    State(app): State<Arc<App>>,
    Extension(client): Extension<ClientAddress>,
    user: caller::User,
    body: Json<NewPassword>,
) -> Result<Response, Refusal> {
    let NewPassword { current, new } = body.value;
    all_right([check_password("/new", &new)])?;
    let checked = verify(&app, user, client.network(), current).await?;
    let seat = app.passwords.seat(client.network())?;
    let hash = seat.hash(new, Some(checked.username)).await?;
    if !app.accounts.change_password(user.id, checked.hash, hash, user.session).await? {
        // Somebody else has changed it meanwhile.
        return Err(wrong_password());
    }
    Ok(no_content())
}

fn wrong_password() -> Refusal {
    Refusal::new(Code::WrongPassword, "This is not the password that you have; nothing was changed.")
}

/// A user whose password was given.
struct Checked {
    username: String,
    /// Of the password that was given.
    hash: String,
}

/// Checks the calling user's password. A guess counts as at a sign-in: a token that was stolen is no way around that.
async fn verify(app: &App, user: caller::User, network: Network, password: String) -> Result<Checked, Refusal> {
    let seat = app.passwords.seat(network)?;
    let found = app.accounts.user(user.id).await?;
    let found = found.ok_or_else(|| Refusal::unauthorized("The user of this token is deleted.", true))?;
    let hash = app.accounts.password_hash(user.id).await?;
    let attempt = app.logins.begin(&found.username, Some(user.id), network).await?;
    match seat.verify(password, hash.clone()).await {
        Ok(false) => Err(wrong_password()),
        Ok(true) => {
            attempt.forgive().await;
            // Nothing matches where there is no hash.
            Ok(Checked { username: found.username, hash: hash.unwrap_or_default() })
        }
        Err(refusal) => {
            attempt.forgive().await;
            Err(refusal)
        }
    }
}

/// A leave.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leave {
    /// The user's password; if it is given it must be right.
    #[schema(format = Password)]
    password: Option<String>,
}

/// Deletes the calling user with its purchases. Its tokens stop working at once; its tasks and cards stay, under the bare id;
/// purchases that are not recorded yet are cancelled.
#[utoipa::path(delete, path = "/users/me", tag = "users", security(("user" = [])), request_body = Option<Leave>,
    responses((status = 204, description = "Deleted"),
        (status = 403, description = "`wrong-password`: the one that was given is not the user's"),
        (status = 429, description = "`too-many-attempts`: as at a sign-in")))]
pub(crate) async fn leave(
    State(app): State<Arc<App>>,
    Extension(client): Extension<ClientAddress>,
    user: caller::User,
    body: MaybeJson<Leave>,
) -> Result<Response, Refusal> {
    if let Some(password) = body.value.and_then(|leave| leave.password) {
        verify(&app, user, client.network(), password).await?;
    }
    delete(&app, user.id).await?;
    Ok(no_content())
}

/// Deletes a user with what is its own alone.
pub(crate) async fn delete(app: &App, user: UserId) -> Result<(), Refusal> {
    // First, so that nothing is left if this is cut off: whoever is still there can ask again.
    forget(app, user).await?;
    app.accounts.delete_user(user).await?;
    // What was asked for meanwhile. From here on its tokens ask for nothing more.
    forget(app, user).await
}

/// Takes out of the ledger what is a user's alone, and cancels what would add to it.
async fn forget(app: &App, user: UserId) -> Result<(), Refusal> {
    for kind in app.kinds.all().filter(|kind| kind.goes_with_owner).map(|kind| kind.kind) {
        for status in [Status::Queued, Status::Running, Status::Retrying] {
            let filter =
                TaskFilter { kind: Some(kind), status: Some(status), owner: Some(user), ..TaskFilter::default() };
            let mut cursor = None;
            loop {
                let page = app.engine.list(&filter, cursor.as_deref(), 1_000).await?;
                for task in page.items {
                    if let Cancelled::Done(_) = app.engine.cancel(task.id, "its user has left".to_owned()).await? {
                        app.cancelled(kind);
                    }
                }
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        app.engine.forget(user, kind).await?;
    }
    Ok(())
}
