//! A request that can't be read, and the answer to it as bytes: it is written past the HTTP library, which has no
//! request to answer.

use std::time::SystemTime;

use axum::http::{Response, header};
use bytes::Bytes;

/// Why a request is not read any further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What kind of thing is wrong.
    pub kind: UnreadableKind,
    /// What is wrong, for people.
    pub detail: &'static str,
    /// The path that was asked for, as far as it could be read; else `/`.
    pub path: String,
}

/// Each has its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableKind {
    /// 400: no HTTP/1.1, or not framed as one.
    Malformed,
    /// 413: it announces a body that nothing could hold.
    TooLarge,
    /// 431: its headers are too large or too many.
    HeadersTooLarge,
    /// 503: all clients, or this one, hold too much that has not arrived in whole.
    Overloaded,
}

impl UnreadableKind {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::TooLarge => 413,
            Self::HeadersTooLarge => 431,
            Self::Overloaded => 503,
        }
    }
}

impl Unreadable {
    pub(super) fn new(kind: UnreadableKind, detail: &'static str, bytes: &[u8]) -> Self {
        Self { kind, detail, path: path(bytes) }
    }
}

/// The path of a request line that may be cut off.
fn path(bytes: &[u8]) -> String {
    let line = bytes.trim_ascii_start();
    let target = line.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default();
    let end = target.iter().position(|byte| !byte.is_ascii_graphic() || *byte == b'?');
    let (path, rest) = target.split_at(end.unwrap_or_default());
    if !rest.first().is_some_and(|byte| b" ?\r\n".contains(byte)) {
        return "/".to_owned();
    }
    match std::str::from_utf8(path) {
        Ok(path) if path.starts_with('/') && path.len() <= 256 => path.to_owned(),
        _ => "/".to_owned(),
    }
}

/// An answer as it goes over the wire; the last one of its connection.
pub(super) fn wire(response: &Response<Bytes>) -> Vec<u8> {
    let status = response.status();
    let mut out = Vec::with_capacity(512 + response.body().len());
    let reason = status.canonical_reason().unwrap_or("Error");
    out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).as_bytes());
    let own = [header::CONNECTION, header::CONTENT_LENGTH, header::DATE, header::TRANSFER_ENCODING];
    for (name, value) in response.headers().iter().filter(|(name, _)| !own.contains(name)) {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    let date = httpdate::fmt_http_date(SystemTime::now());
    let length = response.body().len();
    out.extend_from_slice(format!("connection: close\r\ncontent-length: {length}\r\ndate: {date}\r\n\r\n").as_bytes());
    out.extend_from_slice(response.body());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_found_in_what_there_is() {
        assert_eq!(path(b"GET /a/b?c HTTP/1.1\r\n"), "/a/b");
        assert_eq!(path(b"\r\nGET /a HTTP/1.1\r\nx"), "/a");
        for nothing in
            [&b""[..], b"GET", b"GET /cut-off", b"\x16\x03\x01\x02 \x01", b"GET //\xff /", b"GET  / HTTP/1.1"]
        {
            assert_eq!(path(nothing), "/", "{nothing:?}");
        }
    }
}
