//! The head of a request (its first line and its headers), checked before anything else looks at it. Whatever the HTTP
//! library would break off a connection for is found here, where there is still an answer to it.

use std::mem::MaybeUninit;

use axum::http::Uri;
use axum::http::uri::Authority;
use httparse::{Error, Header, ParserConfig, Request, Status};

use super::framing::Framing;
use super::unreadable::{Unreadable, UnreadableKind};

/// Bytes that a head may have. A little more than what routes allow for path and headers, so that they have the say.
const HEAD_LIMIT: usize = 16 * 1024 + 512;
/// Headers that a request may have.
const HEADERS: usize = 100;

/// A head that is whole and right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Its length in bytes.
    pub(super) len: usize,
    /// The body that follows it.
    pub(super) body: Framing,
}

/// Finds a head at the beginning; none if it is not complete. `looked_at` bytes were there the last time.
pub(super) fn find(bytes: &[u8], looked_at: usize) -> Result<Option<Head>, Unreadable> {
    // Only a new line can complete a head, or be wrong where a byte was right. What is no HTTP at all is soon told.
    if looked_at > 64 && !bytes[looked_at..].contains(&b'\n') && bytes.len() <= HEAD_LIMIT {
        return Ok(None);
    }
    let unreadable = |(kind, detail)| Unreadable::new(kind, detail, bytes);
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS];
    let mut request = Request::new(&mut []);
    match ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, &mut headers) {
        Ok(Status::Complete(len)) if len <= HEAD_LIMIT => {
            framing(&request).map(|body| Some(Head { len, body })).map_err(unreadable)
        }
        Ok(Status::Partial) if bytes.len() <= HEAD_LIMIT => Ok(None),
        Ok(_) => Err(unreadable((UnreadableKind::HeadersTooLarge, "Path and headers may have 16384 bytes together."))),
        Err(error) => Err(unreadable(explain(error, bytes))),
    }
}

type Reason = (UnreadableKind, &'static str);

fn explain(error: Error, bytes: &[u8]) -> Reason {
    let malformed = match error {
        Error::TooManyHeaders => {
            return (UnreadableKind::HeadersTooLarge, "A request may have at most 100 headers.");
        }
        // The first byte of a TLS record that begins a handshake, and of what speaks it in the oldest way.
        _ if matches!(bytes, [0x16, 0x03, ..] | [0x80, _, 0x01, ..]) => {
            "This looks like TLS, and this port speaks plain HTTP. Use http:// here, or the address of the proxy with TLS."
        }
        Error::Version => "This port speaks HTTP/1.1, and HTTP/1.0; the request's first line names another version.",
        Error::HeaderName => {
            "The name of a header has a character that it may not have; a header may not go on in a line that begins \
             with a space."
        }
        Error::HeaderValue => "The value of a header has a character that it may not have.",
        Error::NewLine => "A line does not end with CR LF.",
        Error::Token | Error::Status => {
            "The first line is not that of an HTTP/1.1 request: a method, a target, and HTTP/1.1, with one space between."
        }
    };
    (UnreadableKind::Malformed, malformed)
}

/// What the headers say of the body, if they contradict neither themselves nor each other. There is one way to read
/// them, so that no proxy in front can read them in another.
fn framing(request: &Request<'_, '_>) -> Result<Framing, Reason> {
    let malformed = |detail| Err((UnreadableKind::Malformed, detail));
    if request.path.is_none_or(|target| Uri::try_from(target).is_err()) {
        return malformed("The target of the request is not a valid one: escape with % what may not be in it.");
    }
    let (mut host, mut length, mut chunked) = (None, None, false);
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("host") {
            if host.replace(header.value).is_some() {
                return malformed("There is more than one Host header.");
            }
        } else if header.name.eq_ignore_ascii_case("content-length") {
            if length.replace(header.value).is_some() {
                return malformed("There is more than one Content-Length header.");
            }
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return malformed("The only Transfer-Encoding that is understood here is chunked, once.");
            }
            chunked = true;
        }
    }
    let recent = request.version == Some(1);
    match host {
        None if recent => return malformed("A request of HTTP/1.1 needs a Host header."),
        Some(host) if !is_host(host) => return malformed("The Host header is not a host with or without a port."),
        _ => {}
    }
    match (length, chunked) {
        (Some(_), true) => malformed("There is a Content-Length header and a Transfer-Encoding header; one is wrong."),
        (None, true) if recent => Ok(Framing::CHUNKED),
        (None, true) => malformed("HTTP/1.0 has no Transfer-Encoding."),
        (Some(text), false) => content_length(text.trim_ascii()),
        (None, false) => Ok(Framing::Length(0)),
    }
}

fn is_host(host: &[u8]) -> bool {
    let host = host.trim_ascii();
    host.is_empty() || (!host.contains(&b'@') && Authority::try_from(host).is_ok())
}

fn content_length(text: &[u8]) -> Result<Framing, Reason> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err((UnreadableKind::Malformed, "The Content-Length header is not a number of bytes."));
    }
    let length = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
    match length {
        // More than any limit, and more than the HTTP library counts.
        Some(length) if length < 1 << 62 => Ok(Framing::Length(length)),
        _ => Err((UnreadableKind::TooLarge, "The Content-Length header announces more than any body may have.")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(head: &str) -> Result<Option<Head>, UnreadableKind> {
        find(head.as_bytes(), 0).map_err(|unreadable| unreadable.kind)
    }

    /// What the HTTP library answers to it by itself, with a service that answers everything.
    fn answered(head: &[u8]) -> String {
        use hyper::service::service_fn;
        use hyper_util::rt::TokioIo;
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(64 * 1024);
            client.write_all(head).await.unwrap();
            let service = service_fn(async |_: axum::http::Request<hyper::body::Incoming>| {
                Ok::<_, std::convert::Infallible>(axum::http::Response::new(String::new()))
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            let serving =
                http.header_read_timeout(None).keep_alive(false).serve_connection(TokioIo::new(server), service);
            let _ = serving.await;
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer).into_owned()
        })
    }

    #[test]
    fn a_good_head_says_how_long_it_and_its_body_are() {
        for (headers, body) in [
            ("", Framing::Length(0)),
            ("content-length: 5\r\n", Framing::Length(5)),
            ("Content-Length:  5 \r\n", Framing::Length(5)),
            ("transfer-encoding: Chunked\r\n", Framing::CHUNKED),
        ] {
            let head = format!("POST /a?b=c HTTP/1.1\r\nhost: localhost:80\r\n{headers}\r\n");
            assert_eq!(read(&format!("{head}hello")), Ok(Some(Head { len: head.len(), body })));
            for cut in 0..head.len() {
                assert_eq!(read(&head[..cut]), Ok(None), "{:?}", &head[..cut]);
            }
        }
        assert!(read("GET / HTTP/1.0\r\n\r\n").unwrap().is_some(), "HTTP/1.0 needs no host");
        assert!(read("GET / HTTP/1.1\r\nhost:\r\n\r\n").unwrap().is_some(), "an empty host is one");
        assert!(read("GET http://a/b HTTP/1.1\r\nhost: [::1]:80\r\n\r\n").unwrap().is_some());
    }

    #[test]
    fn the_size_and_the_number_of_headers_are_bounded() {
        let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(HEAD_LIMIT));
        assert_eq!(read(&huge), Err(UnreadableKind::HeadersTooLarge));
        let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(HEADERS));
        assert_eq!(read(&many), Err(UnreadableKind::HeadersTooLarge));
        assert!(read(&many.replacen("x: y\r\n", "", 1)).unwrap().is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), seen in 0usize..400) {
            let _ = find(&bytes, seen.min(bytes.len()));
        }

        /// Otherwise it would break off the connection, without the answer that there is for it here.
        #[test]
        fn what_is_let_through_the_library_can_read(
            method in "GET|POST|BREW|CONNECT|OPTIONS|!x", target in "/|/a\\?b=c|\\*|x:1|http://a/b|//|/%zz|\\[|/\"|\\?",
            version in "HTTP/1\\.[01]",
            headers in proptest::collection::vec(
                "(host|content-length|transfer-encoding|connection|upgrade|expect|x|[!-~]{1,3}): ?([ -~]{0,8}|chunked|close|5|[\\x80-\\xff]{1,3})",
                0..6,
            ),
        ) {
            let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
            let head = format!("{method} {target} {version}\r\nhost: a\r\n{lines}\r\n");
            if let Ok(Some(found)) = find(head.as_bytes(), 0) {
                prop_assert_eq!(found.len, head.len());
                let answer = answered(head.as_bytes());
                prop_assert!(answer.contains(" 200 OK\r\n"), "{:?} got {:?}", head, answer);
            }
        }

        #[test]
        fn pieces_make_no_difference(
            headers in "(host: x\r\n|x: y\r\n|content-length: 4\r\n|bad header\r\n|x:y\n|\r\n){0,6}", cuts in proptest::collection::vec(1usize..20, 1..20),
        ) {
            let head = format!("GET / HTTP/1.1\r\n{headers}\r\n");
            let whole = read(&head);
            let mut at = 0;
            for cut in cuts.iter().cycle() {
                let looked_at = at;
                at = (at + cut).min(head.len());
                let found = find(&head.as_bytes()[..at], looked_at).map_err(|unreadable| unreadable.kind);
                if found != Ok(None) || at == head.len() {
                    prop_assert_eq!(found, whole);
                    break;
                }
            }
        }
    }
}
