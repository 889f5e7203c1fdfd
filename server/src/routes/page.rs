//! `/`: the page for people who want a card or buy something, and its files. `/problems`: what the codes of problems mean.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;

use crate::http::assets::Asset;
use crate::problem::Refusal;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static PAGE: LazyLock<Asset> =
    LazyLock::new(|| asset(include_bytes!("../../page/index.html"), "text/html; charset=utf-8"));
static FILES: LazyLock<[(&str, Asset); 9]> = LazyLock::new(|| {
    let style = |bytes| asset(bytes, "text/css; charset=utf-8");
    let script = |bytes| asset(bytes, "text/javascript; charset=utf-8");
    [
        ("style.css", style(include_bytes!("../../page/style.css"))),
        ("api.js", script(include_bytes!("../../page/api.js"))),
        ("app.js", script(include_bytes!("../../page/app.js"))),
        ("cards.js", script(include_bytes!("../../page/cards.js"))),
        ("dom.js", script(include_bytes!("../../page/dom.js"))),
        ("purchases.js", script(include_bytes!("../../page/purchases.js"))),
        ("session.js", script(include_bytes!("../../page/session.js"))),
        ("stream.js", script(include_bytes!("../../page/stream.js"))),
        ("words.js", script(include_bytes!("../../page/words.js"))),
    ]
});
static PROBLEMS: LazyLock<Asset> =
    LazyLock::new(|| asset(include_bytes!("../../../docs/reference/problems.md"), "text/plain; charset=utf-8"));

fn asset(bytes: &'static [u8], content_type: &'static str) -> Asset {
    Asset::new(Bytes::from_static(bytes), HeaderValue::from_static(content_type)).policy(POLICY)
}

pub(crate) async fn page(headers: HeaderMap) -> Response {
    PAGE.answer(&headers)
}

/// Its style sheet and its scripts.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let found = FILES.iter().find(|(one, _)| *one == name);
    let (_, file) = found.ok_or_else(|| Refusal::not_found("The page has no such file."))?;
    Ok(file.answer(&headers))
}

/// What a problem's `type` points to.
pub(crate) async fn problems(headers: HeaderMap) -> Response {
    PROBLEMS.answer(&headers)
}
