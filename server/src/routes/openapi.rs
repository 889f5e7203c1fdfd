//! `/openapi.json`: this API, for programs.

use axum::http::HeaderMap;
use axum::response::Response;
use axum::{Extension, http::HeaderValue};
use bytes::Bytes;

use crate::http::assets::Asset;

/// The document, written once.
#[derive(Debug, Clone)]
pub(crate) struct Document(std::sync::Arc<Asset>);

impl Document {
    pub(crate) fn new(json: Vec<u8>) -> Self {
        Self(std::sync::Arc::new(Asset::new(Bytes::from(json), HeaderValue::from_static("application/json"))))
    }
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), (status = 304, description = "Not changed")))]
pub(crate) async fn openapi(Extension(document): Extension<Document>, headers: HeaderMap) -> Response {
    document.0.answer(&headers)
}
