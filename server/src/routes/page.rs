//! `/`: the page for people who want a card, and its two files. `/problems`: what the codes of problems mean.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::Bytes;

use crate::http::assets::Asset;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static PAGE: LazyLock<Asset> =
    LazyLock::new(|| asset(include_bytes!("../../page/index.html"), "text/html; charset=utf-8"));
static STYLE: LazyLock<Asset> =
    LazyLock::new(|| asset(include_bytes!("../../page/style.css"), "text/css; charset=utf-8"));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| asset(include_bytes!("../../page/app.js"), "text/javascript; charset=utf-8"));
static PROBLEMS: LazyLock<Asset> =
    LazyLock::new(|| asset(include_bytes!("../../../docs/reference/problems.md"), "text/plain; charset=utf-8"));

fn asset(bytes: &'static [u8], content_type: &'static str) -> Asset {
    Asset::new(Bytes::from_static(bytes), HeaderValue::from_static(content_type)).policy(POLICY)
}

pub(crate) async fn page(headers: HeaderMap) -> Response {
    PAGE.answer(&headers)
}

/// Its style sheet.
pub(crate) async fn style(headers: HeaderMap) -> Response {
    STYLE.answer(&headers)
}

pub(crate) async fn script(headers: HeaderMap) -> Response {
    SCRIPT.answer(&headers)
}

/// What a problem's `type` points to.
pub(crate) async fn problems(headers: HeaderMap) -> Response {
    PROBLEMS.answer(&headers)
}
