//! Errors of the issuer and the health port: `application/problem+json` with a `code` for programs and a `detail` for people.

use std::borrow::Cow;

use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use crate::connections::{Unreadable, UnreadableKind};

/// An error as it is answered.
#[derive(Debug, Serialize)]
pub struct Problem {
    #[serde(skip)]
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    /// A request that can't be read.
    pub fn unreadable(unreadable: &Unreadable) -> Self {
        let code = match unreadable.kind {
            UnreadableKind::Malformed => "bad-request",
            UnreadableKind::TooLarge => "payload-too-large",
            UnreadableKind::HeadersTooLarge => "headers-too-large",
            UnreadableKind::Overloaded => "overloaded",
        };
        let status = StatusCode::from_u16(unreadable.kind.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self::new(status, code, unreadable.detail)
    }

    pub fn unavailable(detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// What the framework says by itself, by status.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => ("not-found", "no such route"),
            StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "this method is not allowed here"),
            StatusCode::PAYLOAD_TOO_LARGE => ("payload-too-large", "the body is too large"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "the body must be application/json"),
            StatusCode::REQUEST_TIMEOUT => ("request-timeout", "the body took too long to arrive"),
            StatusCode::UNPROCESSABLE_ENTITY => ("validation-failed", "the body is not what this route takes"),
            status if status.is_client_error() => ("bad-request", "the request is malformed"),
            _ => ("internal", "something went wrong inside"),
        };
        Self::new(status, code, detail)
    }
}

impl Problem {
    /// As [`IntoResponse`], with a body that is there.
    pub fn into_bytes(self) -> Response<Bytes> {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        self.into_response().map(|_| body.into())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            // Not in the words of the reader: they repeat what was sent.
            JsonRejection::JsonDataError(_) => Self::of_status(StatusCode::UNPROCESSABLE_ENTITY),
            JsonRejection::JsonSyntaxError(_) => {
                Self::new(StatusCode::BAD_REQUEST, "malformed-json", "the body is not valid JSON")
            }
            other => Self::of_status(other.status()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
