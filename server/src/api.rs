//! The routes, once: the router and the OpenAPI document come from the same list.

use std::sync::Arc;

use axum::routing::get;
use axum::{Extension, Router};
use utoipa::openapi::OpenApiBuilder;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::answer::{Answers, Wording};
use crate::http::metrics::RouteMetrics;
use crate::http::parameters::Parameters;
use crate::problem::Refusal;
use crate::routes::{
    cards, dead_letters, docs, effects, events, health, metrics, openapi, page, purchases, queue, replacements,
    scaling, sessions, stats, synthetic_users, tasks, users,
};

/// Everything below `/api/v1`.
fn v1() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(users::register))
        .routes(routes!(users::leave))
        .routes(routes!(users::change_password))
        .routes(routes!(sessions::sign_in, sessions::list, sessions::sign_out))
        .routes(routes!(sessions::end))
        .routes(routes!(sessions::refresh))
        .routes(routes!(replacements::submit, replacements::list))
        .routes(routes!(replacements::get))
        .routes(routes!(cards::list))
        .routes(routes!(purchases::submit, purchases::list))
        .routes(routes!(purchases::summary))
        .routes(routes!(purchases::get))
        .routes(routes!(tasks::submit, tasks::list))
        .routes(routes!(tasks::get))
        .routes(routes!(tasks::attempts))
        .routes(routes!(tasks::retry))
        .routes(routes!(tasks::cancel))
        .routes(routes!(events::of_task))
        .routes(routes!(events::of_many))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::groups))
        .routes(routes!(dead_letters::retry))
        .routes(routes!(dead_letters::discard))
        .routes(routes!(stats::stats))
        .routes(routes!(queue::pause))
        .routes(routes!(queue::resume))
        .routes(routes!(synthetic_users::create, synthetic_users::clean))
        .routes(routes!(effects::list))
}

/// For machines that look after the platform.
fn operations() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
        .routes(routes!(scaling::scaling))
        .routes(routes!(openapi::openapi))
}

/// For people with a browser; not part of the API's document.
const PAGES: [&str; 6] = ["/", "/problems", "/assets/{file}", "/docs", "/docs/", "/docs/{*path}"];

fn pages() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(page::page))
        .route("/assets/{file}", get(page::file))
        .route("/problems", get(page::problems))
        .route("/docs", get(docs::redirect))
        .route("/docs/", get(docs::index))
        .route("/docs/{*path}", get(docs::asset))
}

/// The whole API around its state.
///
/// # Errors
/// The OpenAPI document can't be written.
pub(crate) fn answers(app: Arc<App>) -> Result<Answers, serde_json::Error> {
    let document = OpenApiBuilder::new().info(crate::openapi::info()).build();
    let (router, document) =
        OpenApiRouter::with_openapi(document).nest("/api/v1", v1()).merge(operations()).split_for_parts();
    let document = crate::openapi::complete(document);
    let templates = document.paths.paths.keys().map(String::as_str).chain(PAGES);
    let metrics = RouteMetrics::new(templates);
    let parameters = Parameters::of(&document, &metrics);
    let router = router
        .merge(pages())
        .fallback(async || Refusal::not_found("There is no such route. /openapi.json lists them all."))
        .layer(Extension(openapi::Document::new(serde_json::to_vec(&document)?)))
        .with_state(Arc::clone(&app));
    Ok(Answers::new(app, router, metrics, parameters, Wording::Problem))
}
