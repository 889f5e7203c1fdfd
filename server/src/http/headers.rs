//! The headers that a write may carry: `Idempotency-Key` and `x-run-id`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method};
use card_core::chosen::{self, Chosen};
use card_core::ids::RunId;
use card_core::tasks::Idempotency;
use sha2::{Digest, Sha256};

use crate::problem::Refusal;

/// Makes a repeated write safe (P4).
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that the answer is the one of an earlier request.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Tags a task with a run.
pub(crate) const RUN_ID: HeaderName = HeaderName::from_static("x-run-id");

/// What a write came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WriteHeaders {
    key: Option<String>,
    /// The run to tag the task with.
    pub(crate) run: Option<RunId>,
}

impl<S: Sync> FromRequestParts<S> for WriteHeaders {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Self::of(&parts.headers)
    }
}

impl WriteHeaders {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let key = chosen(headers, &IDEMPOTENCY_KEY, &chosen::IDEMPOTENCY_KEY)?;
        let run = chosen(headers, &RUN_ID, &chosen::RUN_ID)?.and_then(|run| run.parse().ok());
        Ok(Self { key: key.map(str::to_owned), run })
    }

    /// What somebody may say who says no name: keys apart from those of operators, which are without an owner as well, and no
    /// run, whose audit would count a task that nobody has asked for.
    pub(crate) fn of_nobody(self, surface: &str) -> Self {
        let apart = |key: String| {
            let hash = Sha256::digest(key.as_bytes());
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{surface}:{hex}")
        };
        Self { key: self.key.map(apart), run: None }
    }

    /// The idempotency key with the fingerprint of what it was sent with.
    pub(crate) fn idempotency(&self, method: &Method, route: &str, body: &[u8]) -> Option<Idempotency> {
        let key = self.key.clone()?;
        let mut hash = Sha256::new();
        // Neither a method nor a route has a line break, so no two requests give the same input.
        for part in [method.as_str().as_bytes(), b"\n", route.as_bytes(), b"\n", body] {
            hash.update(part);
        }
        Some(Idempotency { key, fingerprint: hash.finalize().into() })
    }
}

/// A header whose text the caller chooses, by its grammar.
fn chosen<'a>(headers: &'a HeaderMap, name: &HeaderName, grammar: &Chosen) -> Result<Option<&'a str>, Refusal> {
    let Some(text) = single(headers, name, grammar.rule, Some)? else { return Ok(None) };
    grammar.check(text).map_err(|rule| Refusal::invalid(name.as_str(), rule))?;
    Ok(Some(text))
}

/// The header's value if there is one; two of them, or one that can't be read, are refused.
pub(crate) fn single<'a, T>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    rule: &'static str,
    read: impl FnOnce(&'a str) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::invalid(name.as_str(), "may be given once"));
    }
    match value.to_str().ok().and_then(read) {
        Some(value) => Ok(Some(value)),
        None => Err(Refusal::invalid(name.as_str(), rule)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn another_method_route_or_body_is_another_request() {
        let headers = WriteHeaders { key: Some("k".into()), run: None };
        let one = headers.idempotency(&Method::POST, "/a", b"x").unwrap();
        assert_eq!(Some(&one), headers.idempotency(&Method::POST, "/a", b"x").as_ref());
        for other in [
            headers.idempotency(&Method::PUT, "/a", b"x"),
            headers.idempotency(&Method::POST, "/b", b"x"),
            headers.idempotency(&Method::POST, "/a", b"y"),
        ] {
            assert_ne!(Some(&one), other.as_ref());
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(
            key in proptest::collection::vec(any::<u8>(), 0..300), run in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut headers = HeaderMap::new();
            for (name, bytes) in [(IDEMPOTENCY_KEY, key), (RUN_ID, run)] {
                if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                    headers.insert(name, value);
                }
            }
            if let Ok(read) = WriteHeaders::of(&headers) {
                prop_assert!(read.key.is_none_or(|key| (1..=255).contains(&key.len())));
            }
        }
    }
}
