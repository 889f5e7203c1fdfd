//! Request bodies: bounded in size and time, JSON, and with a pointer to what is wrong with them.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use card_core::problem::{Code, FieldError};
use card_kinds::{Definition, Object, PayloadError};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::app::App;
use crate::problem::Refusal;

/// A body of JSON, and its bytes as they came.
#[derive(Debug)]
pub(crate) struct Json<T> {
    /// What it says.
    pub(crate) value: T,
    /// For the fingerprint of an idempotency key.
    pub(crate) bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        if !is_json(request.headers()) {
            let detail = "Send the body with `content-type: application/json`.";
            return Err(Refusal::new(Code::UnsupportedMediaType, detail));
        }
        let Raw { bytes, .. } = Raw::from_request(request, app).await?;
        let value = parse(&bytes)?;
        Ok(Self { value, bytes })
    }
}

/// A body as it came, within the bounds of size and time.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) bytes: Bytes,
    /// Whether it is said to be JSON.
    pub(crate) is_json: bool,
}

impl FromRequest<Arc<App>> for Raw {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let server = &app.settings.server;
        let too_late = || Refusal::new(Code::RequestTimeout, "The body did not arrive in time.");
        let bytes = tokio::time::timeout(server.read_timeout, read(&parts.headers, body, server.body_limit))
            .await
            .map_err(|_| too_late())??;
        Ok(Self { bytes, is_json: is_json(&parts.headers) })
    }
}

/// A body of JSON, or none at all.
#[derive(Debug)]
pub(crate) struct MaybeJson<T> {
    /// What it says.
    pub(crate) value: Option<T>,
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for MaybeJson<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        if http_body::Body::is_end_stream(request.body()) {
            return Ok(Self { value: None });
        }
        Ok(Self { value: Some(Json::from_request(request, app).await?.value) })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/json")
}

/// Reads a body of at most `limit` bytes. One that comes in one piece is not copied.
async fn read(headers: &HeaderMap, mut body: axum::body::Body, limit: usize) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(Code::PayloadTooLarge, format!("A body may have at most {limit} bytes."));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broken =
            |error: axum::Error| Refusal::new(Code::BadRequest, "The body broke off.").caused_by(error.to_string());
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(too_large());
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    Ok([first.as_ref(), rest.as_ref()].concat().into())
}

/// Reads JSON; what is JSON and does not fit is named by its pointer (RFC 6901).
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let malformed = |error: &serde_json::Error| {
        // The error's own words may quote the body, so only its place is told.
        Refusal::new(Code::MalformedJson, format!("Not JSON at line {}, column {}.", error.line(), error.column()))
    };
    let value = match serde_path_to_error::deserialize(&mut json) {
        Ok(Object(value)) => value,
        Err(error) => {
            // A body that breaks off later is malformed in the first place; and what serde_json calls a mistake of syntax
            // can be a number where a name is expected.
            if let Err(syntax) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
                return Err(malformed(&syntax));
            }
            let pointer = pointer(error.path());
            return Err(Refusal::invalid(pointer, reason(error.inner())));
        }
    };
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// The payload of a task of some kind, which is JSON and stands at `at` in the body.
pub(crate) fn payload(kind: &Definition, payload: &[u8], at: &str) -> Result<Box<RawValue>, Refusal> {
    kind.read(payload).map_err(|error| match error {
        PayloadError::Shape(error) => Refusal::invalid(at.to_owned() + &pointer(error.path()), reason(error.inner())),
        PayloadError::Content(errors) => Refusal::invalid_all(
            errors.into_iter().map(|error| FieldError { pointer: at.to_owned() + &error.pointer, ..error }).collect(),
        ),
        PayloadError::Unwritable(error) => {
            Refusal::new(Code::Internal, "Something went wrong inside.").caused_by(error.to_string())
        }
    })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        })
        .fold(String::new(), |pointer, token| pointer + "/" + &token)
}

/// What serde says, without the place (the pointer is better) and without what was sent, a value or a name: it may be a
/// secret.
fn reason(error: &serde_json::Error) -> String {
    const QUOTES: [&str; 3] = ["invalid type: ", "invalid value: ", "unknown variant "];
    if !error.is_data() {
        return "is not of the type that it must be".to_owned();
    }
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    // What was sent comes first and may hold the same words; what is expected is ours.
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| expected);
    if QUOTES.iter().any(|quotes| text.starts_with(quotes)) {
        return expected.map_or_else(|| "is not acceptable".to_owned(), |expected| format!("must be {expected}"));
    }
    if text.starts_with("unknown field ") {
        return match expected {
            Some(expected) => format!("is not a field here, expected {expected}"),
            None => "is not a field here; there are none".to_owned(),
        };
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use card_core::problem::Problem;
    use card_kinds::add::Add;
    use card_kinds::replacement::Replacement;
    use proptest::prelude::*;

    use super::*;

    async fn problem_of<T: DeserializeOwned + std::fmt::Debug>(body: &str) -> Problem {
        let response = parse::<T>(body.as_bytes()).unwrap_err().into_bytes("/x", "id");
        serde_json::from_slice(response.body()).unwrap()
    }

    #[tokio::test]
    async fn what_is_wrong_is_pointed_at() {
        for (body, pointer) in [
            (r#"{"x": "1", "y": 2}"#, "/x"),
            (r#"{"x": 1, "y": 99999999999999999999}"#, "/y"),
            (r#"{"x": 1}"#, ""),
            (r#"{"x": 1, "y": 2, "z": 3}"#, "/z"),
            ("[]", ""),
            ("[1, 2]", ""),
            ("null", ""),
        ] {
            let problem = problem_of::<Add>(body).await;
            assert_eq!(problem.code, Code::ValidationFailed, "{body}");
            assert_eq!(problem.errors[0].pointer, pointer, "{body}");
        }
    }

    #[tokio::test]
    async fn what_is_no_name_is_pointed_at_as_well() {
        for body in [r#"{"reason": 7}"#, r#"{"reason": null}"#, r#"{"reason": [1]}"#, r#"{"reason": true}"#] {
            let problem = problem_of::<Replacement>(body).await;
            assert_eq!(
                (problem.code, problem.errors[0].pointer.as_str()),
                (Code::ValidationFailed, "/reason"),
                "{body}"
            );
            assert_eq!(problem.errors[0].detail, "is not of the type that it must be", "{body}");
        }
    }

    #[tokio::test]
    async fn what_is_not_json_is_malformed() {
        for body in ["", "{", r#"{"x": "1", "y":"#, r#"{"x":1,"y":2} x"#, "\u{0}"] {
            assert_eq!(problem_of::<Add>(body).await.code, Code::MalformedJson, "{body}");
        }
    }

    #[tokio::test]
    async fn what_was_sent_is_not_repeated() {
        for body in [
            r#"{"reason": "hunter2"}"#,
            r#"{"reason": "x, expected hunter2"}"#,
            r#"{"reason": ["hunter2"]}"#,
            r#"{"reason": {"hunter2": 1}}"#,
            r#"{"reason": "lost", "token=hunter2": 1}"#,
            r#"{"reason": "lost", "password: hunter2": 1}"#,
        ] {
            let problem = problem_of::<Replacement>(body).await;
            assert!(!serde_json::to_string(&problem).unwrap().contains("hunter2"), "{problem:?}");
        }
        let problem = problem_of::<Replacement>(r#"{"reason": "lsot"}"#).await;
        assert_eq!(problem.errors[0].detail, "must be one of `lost`, `stolen`, `damaged`, `expired`");
    }

    #[tokio::test]
    async fn a_name_is_repeated_as_far_as_a_person_reads_it() {
        let long = "x".repeat(60_000);
        for body in [format!(r#"{{"{long}": 1}}"#), format!(r#"{{"x": 1, "y": 2, "4111111111111111{long}": 1}}"#)] {
            let problem = serde_json::to_string(&problem_of::<Add>(&body).await).unwrap();
            assert!(problem.len() < 1000 && !problem.contains("4111"), "{problem}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse::<Add>(&body);
            let _ = parse::<Replacement>(&body);
        }

        #[test]
        fn no_json_makes_the_parser_panic(body in "[\\[\\]{}\",:0-9a-z ]{0,80}") {
            let _ = parse::<Replacement>(body.as_bytes());
        }
    }
}
