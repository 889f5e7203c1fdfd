//! What names a request in answers and logs: the caller's `x-request-id` if it is a plain one, else a new one.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use card_core::chosen::REQUEST_ID;
use uuid::Uuid;

/// The header, both ways.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request, by the grammar of [`REQUEST_ID`].
#[derive(Debug, Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The id for a request with these headers.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match headers.get(&HEADER) {
            Some(value) if value.to_str().is_ok_and(|text| REQUEST_ID.check(text).is_ok()) => Self(value.clone()),
            _ => Self::new(),
        }
    }

    fn new() -> Self {
        let mut text = Uuid::encode_buffer();
        let text = Uuid::from_u128(rand::random()).as_simple().encode_lower(&mut text);
        // Hexadecimal digits are a valid header value.
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")))
    }

    /// For logs and documents.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("none")
    }

    /// For the answer's header.
    pub(crate) fn into_value(self) -> HeaderValue {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_short_and_plain_whatever_was_sent(sent in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&sent) {
                headers.insert(HEADER, value);
            }
            let id = RequestId::of(&headers);
            prop_assert!(REQUEST_ID.check(id.as_str()).is_ok());
        }
    }

    #[test]
    fn the_callers_id_is_kept() {
        let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_static("abc-123"))]);
        assert_eq!(RequestId::of(&headers).as_str(), "abc-123");
    }
}
