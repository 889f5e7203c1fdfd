//! The wire format of `text/event-stream` (WHATWG HTML, section 9.2), as far as it is used here.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use card_core::engine::EventSeq;
use futures::Stream;

use crate::auth::seen::Seen;
use crate::problem::Refusal;

/// Where a reader that comes back wants to go on.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What is sent when nothing happened for a while, so that both sides notice a dead connection.
pub(crate) const KEEP_ALIVE: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// An answer that streams.
pub(crate) fn response<S>(events: S) -> Response
where
    S: Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static,
{
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Tells proxies (nginx) to pass each event on at once.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Writes a task's state. Only a durable one has an id: it is where a reader goes on, and nothing before it is missing.
pub(crate) fn state(out: &mut Vec<u8>, id: Option<EventSeq>, task: &Seen) {
    if let Some(id) = id {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.to_string().as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"event: state\ndata: ");
    let begin = out.len();
    // A task is made of text and numbers; writing it to memory can't fail.
    if serde_json::to_writer(&mut *out, task).is_err() {
        out.truncate(begin);
    }
    // A result is kept as the bytes that the step made: a line break in it would end the field.
    for byte in &mut out[begin..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\n\n");
}

/// Writes an event that says from where the stream tells everything: at its beginning (`hello`), or because what the
/// reader asked for is gone (`reset`).
pub(crate) fn position(out: &mut Vec<u8>, event: &str, from: EventSeq) {
    out.extend_from_slice(format!("event: {event}\ndata: {{\"from\":{from}}}\n\n").as_bytes());
}

/// The place in the log that `Last-Event-ID` or `?from=` names. The header wins: it is newer than the address.
pub(crate) fn resume_from(headers: &HeaderMap, from: Option<EventSeq>) -> Result<Option<EventSeq>, Refusal> {
    let rule = "must be the id of an event: a whole number";
    // An empty one is what browsers mean by none.
    let header = crate::http::headers::single(headers, &LAST_EVENT_ID, rule, |text| {
        if text.is_empty() { Some(None) } else { event_seq(text).ok().map(Some) }
    })?;
    Ok(header.flatten().or(from))
}

/// Reads a place in the log. The ledgers count in 63 bits.
pub(crate) fn event_seq(text: &str) -> Result<EventSeq, String> {
    let digits = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let seq = digits.then(|| text.parse::<i64>().ok()).flatten().and_then(|seq| u64::try_from(seq).ok());
    seq.ok_or_else(|| "must be the id of an event: a whole number".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let _ = resume_from(&HeaderMap::from_iter([(LAST_EVENT_ID, value)]), None);
            }
        }

        #[test]
        fn a_place_survives_its_text(seq in 0..i64::MAX as u64) {
            prop_assert_eq!(event_seq(&seq.to_string()), Ok(seq));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["-1", "+1", "1.0", "0x1", "9223372036854775808", "99999999999999999999", "x"] {
            assert!(event_seq(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_header_wins_and_an_empty_one_is_none() {
        let headers = |text| HeaderMap::from_iter([(LAST_EVENT_ID, HeaderValue::from_static(text))]);
        assert_eq!(resume_from(&headers("7"), Some(3)).unwrap(), Some(7));
        assert_eq!(resume_from(&headers(""), Some(3)).unwrap(), Some(3));
        assert!(resume_from(&headers("seven"), Some(3)).is_err());
    }
}
