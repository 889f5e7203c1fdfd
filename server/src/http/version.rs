//! Reads that say which state they show: `ETag`, `x-sequence`, `x-min-sequence` (P10).
//!
//! The version of what is read is the place in the log of the latest event that changed it, the same for every server. A
//! write answers with its own place; a read that is asked with it shows a state at least that new, or is refused.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use card_core::engine::EventSeq;

use super::headers::single;
use crate::app::App;
use crate::problem::Refusal;

/// A place in the log: of a write, its own; of a read, one that all it shows is as new as.
pub(crate) const SEQUENCE: HeaderName = HeaderName::from_static("x-sequence");
/// A read must show a state at least as new as this place in the log.
pub(crate) const MIN_SEQUENCE: HeaderName = HeaderName::from_static("x-min-sequence");

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Changes with the form of the answers, so that no client takes those of two versions of the program for one.
const FORM: u32 = 1;

/// What a read came with.
#[derive(Debug, Clone)]
pub(crate) struct ReadHeaders {
    /// See [`MIN_SEQUENCE`].
    min: Option<EventSeq>,
    /// The tags of what the caller has.
    has: Vec<String>,
}

impl<S: Sync> FromRequestParts<S> for ReadHeaders {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Self::of(&parts.headers)
    }
}

impl ReadHeaders {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let min = single(headers, &MIN_SEQUENCE, "must be a whole number, such as x-sequence of an answer", |text| {
            // Not what else Rust takes for one, such as +1.
            let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|sequence| is_digits && i64::try_from(*sequence).is_ok())
        })?;
        // Our own tags have no commas, so what is cut in the wrong place is none of ours.
        let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let has = tags.flat_map(|tags| tags.split(',')).map(|tag| tag.trim().trim_start_matches("W/").to_owned());
        Ok(Self { min, has: has.collect() })
    }

    /// See [`MIN_SEQUENCE`].
    pub(crate) fn min(&self) -> Option<EventSeq> {
        self.min
    }

    /// Whether the caller has any version.
    pub(crate) fn has_any(&self) -> bool {
        !self.has.is_empty()
    }

    /// Whether the caller names this very version.
    pub(crate) fn has_exactly(&self, tag: &HeaderValue) -> bool {
        self.has.iter().any(|one| one.as_bytes() == tag.as_bytes())
    }

    /// Whether the caller has this version already.
    pub(crate) fn has(&self, tag: &HeaderValue) -> bool {
        self.has.iter().any(|one| one == "*" || one.as_bytes() == tag.as_bytes())
    }
}

/// With the place in the log of what a write has done.
pub(crate) fn at_sequence(mut response: Response, sequence: EventSeq) -> Response {
    response.headers_mut().insert(SEQUENCE, HeaderValue::from(sequence));
    response
}

/// The tag of a version of what this ledger holds.
pub(crate) fn tag(app: &App, version: i64) -> HeaderValue {
    let ledger = app.accounts.ledger().as_fields().0;
    let tag = format!("\"{FORM}-{ledger:08x}-{version}\"");
    HeaderValue::try_from(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// What an answer has cost, for whoever measures: `server-timing: cache;desc=hit, ledger;desc=0`
/// (<https://www.w3.org/TR/server-timing/>).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Whether it came from memory; none if nothing is kept.
    pub(crate) hit: Option<bool>,
    /// Questions to the ledger: where the log is, what came to it, the version, the answer.
    pub(crate) ledger: u64,
}

impl Cost {
    /// An answer that says so.
    pub(crate) fn of(self, mut response: Response) -> Response {
        let cache = match self.hit {
            Some(true) => "cache;desc=hit, ",
            Some(false) => "cache;desc=miss, ",
            None => "",
        };
        let text = format!("{cache}ledger;desc={}", self.ledger);
        if let Ok(value) = HeaderValue::try_from(text) {
            response.headers_mut().insert(SERVER_TIMING, value);
        }
        response
    }
}

/// 304: the caller has this version.
pub(crate) fn not_modified(tag: HeaderValue, version: i64) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    versioned(response, tag, version)
}

/// 200 with a JSON body of a version.
pub(crate) fn of_version(body: Bytes, tag: HeaderValue, version: i64) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    versioned(response, tag, version)
}

fn versioned(mut response: Response, tag: HeaderValue, version: i64) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("authorization"));
    headers.insert(SEQUENCE, HeaderValue::from(u64::try_from(version).unwrap_or(0)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(HeaderName, &'static str)]) -> Result<ReadHeaders, Refusal> {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value);
        }
        ReadHeaders::of(&headers)
    }

    #[test]
    fn a_sequence_is_digits_and_given_once() {
        assert_eq!(read(&[(MIN_SEQUENCE, "12")]).unwrap().min, Some(12));
        for odd in ["", "-1", "+1", "1.0", "x", "99999999999999999999", "9223372036854775808"] {
            assert!(read(&[(MIN_SEQUENCE, odd)]).is_err(), "{odd}");
        }
        assert!(read(&[(MIN_SEQUENCE, "1"), (MIN_SEQUENCE, "1")]).is_err());
    }

    #[test]
    fn a_tag_is_found_among_others() {
        let tag = HeaderValue::from_static("\"1-0-7\"");
        for given in ["\"1-0-7\"", "W/\"1-0-7\"", "\"a,b\", \"1-0-7\"", "*"] {
            assert!(read(&[(header::IF_NONE_MATCH, given)]).unwrap().has(&tag), "{given}");
        }
        for given in ["", "\"1-0-70\"", "1-0-7", "\"x\""] {
            assert!(!read(&[(header::IF_NONE_MATCH, given)]).unwrap().has(&tag), "{given}");
        }
    }
}
