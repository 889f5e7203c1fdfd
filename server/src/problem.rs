//! A call that did not work. Handlers say what is wrong; [`crate::http::answer`] knows the request and writes the
//! document, so that every error of every route looks the same.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use card_core::engine::{EngineError, ErrorKind};
use card_core::ids::TaskId;
use card_core::plain;
use card_core::problem::{Code, FieldError, Problem};
use card_core::tasks::Status;
use card_core::telemetry::mask::mask;
use card_kinds::Definition;
use serde::Serialize;

/// So many letters of what was sent are repeated at most: of a name, of what is wrong with it, of a path.
const POINTER: usize = 128;
const DETAIL: usize = 512;
const INSTANCE: usize = 256;
/// So many mistakes are told at once.
const ERRORS: usize = 32;

/// What was sent, as far as it is answered with: short, plain, and without what P7 names.
fn repeated(text: &str, limit: usize) -> String {
    // Masked before it is cut, so that nothing is cut until it is no longer known for what it is.
    let far: String = text.chars().take(limit * 4).collect();
    let masked = plain::line(&mask(&far)).into_owned();
    if masked.chars().count() <= limit {
        return masked;
    }
    masked.chars().take(limit).chain(['…']).collect()
}

/// What a handler answers instead of its result.
#[derive(Debug, Clone)]
pub(crate) struct Refusal(Arc<Reasons>);

#[derive(Debug, Clone)]
struct Reasons {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    open_task: Option<TaskId>,
    task_status: Option<Status>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
}

impl Refusal {
    /// A problem with a sentence that says what happened and what to do. 503 and 429 get a `Retry-After` of a second.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let refusal = Self(Arc::new(Reasons {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            open_task: None,
            task_status: None,
            headers: Vec::new(),
            cause: None,
        }));
        if matches!(code.status(), 429 | 503) { refusal.retry_after(1) } else { refusal }
    }

    /// One field, header or query parameter is not acceptable.
    pub(crate) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_all(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// Several are not.
    pub(crate) fn invalid_all(errors: Vec<FieldError>) -> Self {
        let errors = errors.into_iter().take(ERRORS).map(|FieldError { pointer, detail }| FieldError {
            pointer: repeated(&pointer, POINTER),
            detail: repeated(&detail, DETAIL),
        });
        let errors = errors.collect();
        Self::new(Code::ValidationFailed, "See `errors` for what to correct.").with(|reasons| reasons.errors = errors)
    }

    /// No token, or one that does not work.
    pub(crate) fn unauthorized(detail: &'static str, token_given: bool) -> Self {
        let challenge =
            if token_given { r#"Bearer realm="cards", error="invalid_token""# } else { r#"Bearer realm="cards""# };
        Self::new(Code::Unauthorized, detail).header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// A sign-in that failed.
    pub(crate) fn invalid_credentials() -> Self {
        Self::new(Code::InvalidCredentials, "No user with this name has this password.")
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="cards""#))
    }

    /// Nothing there that the caller may see.
    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(Code::NotFound, what)
    }

    /// The task that stands in the way of another of its kind, which an owner can have only one of.
    pub(crate) fn open(kind: Option<&Definition>, open: TaskId) -> Self {
        let exclusive = kind.and_then(|kind| kind.exclusive);
        let (code, noun) = exclusive.map_or((Code::TaskOpen, "task"), |exclusive| (exclusive.problem, exclusive.noun));
        Self::new(code, format!("The {noun} {open} is not final yet. Watch it, or ask again once it is."))
            .with(|reasons| reasons.open_task = Some(open))
    }

    /// A task that has ended can't be cancelled.
    pub(crate) fn task_final(status: Status) -> Self {
        Self::new(Code::TaskFinal, format!("This task is {status}, which is final: there is nothing left to cancel."))
            .with(|reasons| reasons.task_status = Some(status))
    }

    /// With another `Retry-After`, in seconds.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// With what the log may say about it and the answer may not.
    pub(crate) fn caused_by(self, cause: impl Into<String>) -> Self {
        self.with(|reasons| reasons.cause = Some(cause.into()))
    }

    fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.with(|reasons| {
            reasons.headers.retain(|(known, _)| *known != name);
            reasons.headers.push((name, value));
        })
    }

    fn with(mut self, change: impl FnOnce(&mut Reasons)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What programs tell it apart by.
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// What happened and what to do, in one line: of several mistakes each.
    pub(crate) fn in_words(&self) -> String {
        let Reasons { detail, errors, .. } = &*self.0;
        if errors.is_empty() {
            return detail.clone().into_owned();
        }
        let errors = errors.iter().map(|error| format!("{} {}", error.pointer.trim_start_matches('/'), error.detail));
        errors.collect::<Vec<_>>().join("; ")
    }

    /// Which fields are not acceptable, and why.
    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// For the log.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The answer for a request.
    pub(crate) fn into_bytes(self, instance: &str, request_id: &str) -> axum::http::Response<Bytes> {
        let code = self.0.code;
        let problem = Problem {
            kind: format!("/problems#{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            detail: self.0.detail.clone().into_owned(),
            instance: repeated(instance, INSTANCE),
            code,
            request_id: request_id.to_owned(),
            errors: self.0.errors.clone(),
            open_task: self.0.open_task,
            task_status: self.0.task_status,
        };
        let mut response = self.written(code.status(), &problem);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }

    /// An answer of JSON, with the headers that belong to the refusal.
    pub(crate) fn written<T: Serialize>(&self, status: u16, body: &T) -> axum::http::Response<Bytes> {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let mut response = axum::http::Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.0.headers.iter().cloned());
        response
    }
}

impl IntoResponse for Refusal {
    /// Empty: the outermost layer takes the refusal out of the extensions and writes it.
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() =
            StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(self);
        response
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let refusal = match error.kind() {
            ErrorKind::Unavailable => {
                Self::new(Code::Unavailable, "The ledger does not answer now. Nothing was changed; try again.")
            }
            ErrorKind::DiskFull => Self::new(
                Code::DiskFull,
                "The disk that holds the ledger is full. Nothing was changed; nothing can be until there is room.",
            ),
            ErrorKind::Unknown => Self::new(
                Code::OutcomeUnknown,
                "It is not known whether the ledger took this. Send it again with the same Idempotency-Key to find out.",
            ),
            ErrorKind::Closed => Self::stopping(),
            ErrorKind::Invalid => return Self::invalid("cursor", error.to_string()),
            ErrorKind::Broken | ErrorKind::Internal => {
                Self::new(Code::Internal, "Something went wrong inside. The request_id finds it in the logs.")
            }
        };
        refusal.caused_by(error.shared().to_string())
    }
}

impl Refusal {
    /// The platform stops.
    pub(crate) fn stopping() -> Self {
        Self::new(Code::Stopping, "The platform is stopping and takes no new work. Nothing was changed; try again.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_called_unchanged() {
        let code = |kind| Refusal::from(EngineError::new(kind, "the connection broke")).code();
        assert_eq!(code(ErrorKind::Unavailable), Code::Unavailable);
        assert_eq!(code(ErrorKind::DiskFull), Code::DiskFull);
        assert_eq!(code(ErrorKind::Unknown), Code::OutcomeUnknown);
    }
}
