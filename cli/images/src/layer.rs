//! The one layer of an image: a tar, compressed.

use std::io::{self, Read, Write};

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};

use crate::digest::Digest;

/// Names how layers are written. A change of it is a change of every digest.
pub(crate) const ENCODING: &str = "gzip-6/1";
const LEVEL: u32 = 6;
/// gzip's word for "not said".
const UNKNOWN_SYSTEM: u8 = 255;
/// What an image may unpack to before it is taken for a bomb.
const LARGEST: u64 = 4 << 30;

/// Compressed, with no time and no system in its head.
///
/// gzip, because Docker before 25 can't load zstd.
pub(crate) fn compress(tar: &[u8]) -> io::Result<Vec<u8>> {
    let sink = Vec::with_capacity(tar.len() / 2);
    let mut gzip = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM).write(sink, Compression::new(LEVEL));
    gzip.write_all(tar)?;
    gzip.finish()
}

/// The digest of what is inside.
pub(crate) fn unpacked(gzip: impl Read) -> io::Result<(Digest, u64)> {
    let (digest, length) = Digest::of_reader(GzDecoder::new(gzip).take(LARGEST))?;
    if length == LARGEST { Err(io::Error::other("it unpacks to more than 4 GiB")) } else { Ok((digest, length)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_says_nothing_of_when_and_where_it_was_made() {
        let gzip = compress(b"tar").unwrap();
        assert_eq!(&gzip[4..8], [0; 4], "the time");
        assert_eq!(gzip[9], UNKNOWN_SYSTEM);
        assert_eq!(unpacked(&*gzip).unwrap(), (Digest::of(b"tar"), 3));
    }

    #[test]
    fn half_a_layer_can_not_be_unpacked() {
        let gzip = compress(&[7; 10_000]).unwrap();
        assert!(unpacked(&gzip[..gzip.len() / 2]).is_err());
    }
}
