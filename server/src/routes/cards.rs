//! `/cards`: what a user's replacements brought.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use card_kinds::replacement::{self, Card};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::caller::User;
use crate::cache::{Answer, Question};
use crate::http::query::Query;
use crate::http::version::ReadHeaders;
use crate::problem::Refusal;

/// A user's cards.
#[derive(Serialize, ToSchema)]
pub(crate) struct Cards {
    /// Newest first; at most one is active.
    items: Vec<Card>,
}

/// The caller's cards, newest first.
#[utoipa::path(get, path = "/cards", tag = "replacements", security(("user" = [])),
    params(
        ("x-min-sequence" = Option<u64>, Header, description = "Show a state at least as new as this place in the log, such as `x-sequence` of a write"),
        ("if-none-match" = Option<String>, Header, description = "`ETag` of an earlier answer")),
    responses(
        (status = 200, description = "The cards", body = Cards,
            headers(("etag" = String, description = "The version of the cards; the same on every server"), ("x-sequence" = u64, description = "The place in the log that this is as new as"))),
        (status = 304, description = "Nothing has changed")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    user: User,
    headers: ReadHeaders,
    query: Query,
) -> Result<Response, Refusal> {
    query.finish()?;
    let (owner, kind) = (user.id, replacement::KIND);
    let load = async {
        let effects = app.engine.effects_of(owner, kind).await?;
        let version = effects.first().map_or(0, |newest| newest.seq);
        Answer::json(&Cards { items: effects.iter().filter_map(Card::of).collect() }, version)
    };
    let now = app.engine.history_version(owner, kind);
    let question = Question { cache: "cards", owner, kind, rest: String::new() };
    app.cache.answer(&app, &headers, Some(question), now, load).await
}
