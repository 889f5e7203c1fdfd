//! `/cards`: what a user's replacements brought.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use card_kinds::replacement::{self, Card};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::User;
use crate::http::json::ok;
use crate::http::query::Query;
use crate::problem::Refusal;

/// A user's cards.
#[derive(Serialize, ToSchema)]
pub(crate) struct Cards {
    /// Newest first; at most one is active.
    items: Vec<Card>,
}

/// The caller's cards, newest first.
#[utoipa::path(get, path = "/cards", tag = "replacements", security(("user" = [])),
    responses((status = 200, description = "The cards", body = Cards)))]
pub(crate) async fn list(State(app): State<Arc<App>>, user: User, query: Query) -> Result<Response, Refusal> {
    query.finish()?;
    let effects = app.engine.effects_of(user.id, replacement::KIND).await?;
    let items = effects.iter().filter_map(Card::of).collect();
    Ok(ok(&Cards { items }))
}
