//! `/docs`: this API, for people. Swagger UI is compiled in; nothing is loaded from elsewhere.

use std::sync::{Arc, LazyLock};

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use card_core::problem::Code;
use utoipa_swagger_ui::Config;

use crate::http::assets::Asset;
use crate::problem::Refusal;

/// Swagger UI sets styles on its elements and draws with embedded images; scripts come from here alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

/// To where relative links work.
pub(crate) async fn redirect() -> Response {
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, HeaderValue::from_static("/docs/"))]).into_response()
}

/// The page.
pub(crate) async fn index(headers: HeaderMap) -> Result<Response, Refusal> {
    file("", &headers)
}

/// What the page loads.
pub(crate) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    file(&path, &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    let file = utoipa_swagger_ui::serve(path, Arc::clone(&CONFIG))
        .map_err(|error| Refusal::new(Code::Internal, "Something went wrong inside.").caused_by(error.to_string()))?
        .ok_or_else(|| Refusal::not_found("There is no such file."))?;
    let content_type =
        HeaderValue::try_from(file.content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let bytes = Bytes::from(file.bytes.into_owned());
    Ok(Asset::new(bytes, content_type).policy(POLICY).gzipped(file.gzpipped).answer(headers))
}
