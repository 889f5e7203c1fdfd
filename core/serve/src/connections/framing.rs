//! Where the body of a request ends, so that what follows it is read as the next request and as nothing else.

/// How long a body is. [`Framing::take`] is told all of it, piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are missing.
    Length(u64),
    /// In chunks (RFC 9112, section 7.1).
    Chunked(Chunk),
}

/// What comes next in a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    Size {
        size: u64,
        digits: u8,
    },
    Extension(u64),
    SizeEnd(u64),
    Data(u64),
    DataReturn,
    DataEnd,
    Line,
    Trailer,
    TrailerEnd,
    LastEnd,
    Done,
    /// Not chunked at all. Whoever decodes it says so; until then everything is part of it.
    Broken,
}

impl Framing {
    pub(super) const CHUNKED: Self = Self::Chunked(Chunk::Size { size: 0, digits: 0 });

    /// All of it was there.
    pub(super) fn is_done(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done))
    }

    /// How many of these bytes belong to the body.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                taken
            }
            Self::Chunked(chunk) => chunk.take(bytes),
        }
    }
}

impl Chunk {
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() && *self != Self::Done {
            match *self {
                Self::Broken => return bytes.len(),
                Self::Data(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    at += taken;
                    let left = left - taken as u64;
                    *self = if left == 0 { Self::DataReturn } else { Self::Data(left) };
                }
                _ => {
                    *self = self.after(bytes[at]);
                    at += 1;
                }
            }
        }
        at
    }

    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { size, digits: 1.. } | Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::Size { size, digits: 1.. }, b';' | b' ' | b'\t') => Self::Extension(size),
            (Self::Extension(_), b'\n') => Self::Broken,
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::SizeEnd(0), b'\n') => Self::Line,
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataReturn, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::Line, b'\r') => Self::LastEnd,
            (Self::Trailer, b'\r') => Self::TrailerEnd,
            (Self::Line | Self::Trailer, _) => Self::Trailer,
            (Self::TrailerEnd, b'\n') => Self::Line,
            (Self::LastEnd, b'\n') => Self::Done,
            _ => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(body: &[u8]) -> (usize, Framing) {
        let mut framing = Framing::CHUNKED;
        (framing.take(body), framing)
    }

    #[test]
    fn a_body_ends_where_the_next_request_begins() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "5;name=value\r\nhello\r\nA \r\n0123456789\r\n00\r\n\r\n",
            "1\r\n\n\r\n0\r\ntrailer: x\r\nanother: y\r\n\r\n",
        ] {
            let (length, framing) = taken(format!("{body}GET / HTTP/1.1\r\n").as_bytes());
            assert_eq!((length, framing.is_done()), (body.len(), true), "{body}");
        }
    }

    #[test]
    fn what_is_not_chunked_never_ends() {
        for body in ["\r\n", "x\r\n", "5\nhello", "5\r\nhelloX", "5\r\rhello", "-1\r\n", "0x5\r\n", "5;\nhello\r\n"] {
            let all = format!("{body}\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n");
            let (length, framing) = taken(all.as_bytes());
            assert_eq!((length, framing.is_done()), (all.len(), false), "{body:?}");
        }
        assert!(!taken("f".repeat(17).as_bytes()).1.is_done());
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
            cuts in proptest::collection::vec(1usize..9, 1..50),
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let length = body.len();
            body.extend_from_slice(b"POST / HTTP/1.1\r\n\r\n");
            let (mut framing, mut at) = (Framing::CHUNKED, 0);
            for cut in cuts.iter().cycle() {
                if framing.is_done() { break }
                let piece = &body[at..(at + cut).min(body.len())];
                at += framing.take(piece);
            }
            prop_assert_eq!(at, length);
        }

        #[test]
        fn no_body_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), length in any::<u64>()) {
            prop_assert!(taken(&bytes).0 <= bytes.len());
            prop_assert!(Framing::Length(length).take(&bytes) <= bytes.len());
        }
    }
}
