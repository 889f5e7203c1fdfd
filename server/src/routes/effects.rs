//! `/effects`: how often each task of a run took effect, for the audit.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use card_core::engine::EffectPage;
use card_core::ids::RunId;

use crate::app::App;
use crate::auth::caller::Operator;
use crate::http::json::ok;
use crate::http::query::Query;
use crate::problem::Refusal;

/// How often each task of a run took effect, in order of acceptance.
#[utoipa::path(get, path = "/effects", tag = "operations", security(("operator" = [])),
    params(
        ("run" = RunId, Query, description = "The run"),
        ("limit" = Option<u32>, Query, description = "Items on a page: 1 to 1000, 1000 if not given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page")),
    responses((status = 200, description = "A page", body = EffectPage)))]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator, mut query: Query) -> Result<Response, Refusal> {
    let (run, limit, cursor) = (query.required::<RunId>("run"), query.limit(1000, 1000), query.text("cursor"));
    query.finish()?;
    let run = run.ok_or_else(|| Refusal::invalid("run", "is required"))?;
    Ok(ok(&app.engine.effects(&run, cursor.as_deref(), limit).await?))
}
