//! The one layer of an image: a tar, compressed.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

use crate::digest::Digest;

/// Names how layers are written. A change of it is a change of every digest.
pub(crate) const ENCODING: &str = "gzip-9/2";
/// The most: a layer is made once, and sent and loaded often.
const LEVEL: u32 = 9;
/// What one processor compresses by itself. Of this size whatever the number of processors: it is part of the result.
const PART: usize = 4 << 20;
/// gzip's word for "not said".
const UNKNOWN_SYSTEM: u8 = 255;
/// What an image may unpack to before it is taken for a bomb.
const LARGEST: u64 = 4 << 30;

/// Compressed, with no time and no system in its head: parts side by side, each a gzip member, one after the other. What
/// reads gzip reads them as one.
///
/// gzip, because Docker before 25 can't load zstd.
///
/// None if `stop` said so: it is asked before each part.
pub(crate) fn compress(tar: &[u8], stop: &AtomicBool) -> io::Result<Option<Vec<u8>>> {
    let parts: Vec<_> = tar.chunks(PART).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(parts.len())));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(number).filter(|_| !stop.load(Ordering::Relaxed)) else { break };
            let member = member(part);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((number, member));
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from).min(parts.len());
    std::thread::scope(|scope| {
        for _ in 1..processors {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    if done.len() < parts.len() {
        return Ok(None);
    }
    done.sort_by_key(|(number, _)| *number);
    let members = done.into_iter().map(|(_, member)| member).collect::<io::Result<Vec<_>>>()?;
    // A reader of gzip wants one member at least.
    if members.is_empty() { member(&[]).map(Some) } else { Ok(Some(members.concat())) }
}

fn member(part: &[u8]) -> io::Result<Vec<u8>> {
    let sink = Vec::with_capacity(part.len() / 2);
    let mut gzip = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM).write(sink, Compression::new(LEVEL));
    gzip.write_all(part)?;
    gzip.finish()
}

/// The digest of what is inside.
pub(crate) fn unpacked(gzip: impl Read) -> io::Result<(Digest, u64)> {
    let (digest, length) = Digest::of_reader(MultiGzDecoder::new(gzip).take(LARGEST))?;
    if length == LARGEST { Err(io::Error::other("it unpacks to more than 4 GiB")) } else { Ok((digest, length)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(tar: &[u8]) -> Vec<u8> {
        compress(tar, &AtomicBool::new(false)).unwrap().unwrap()
    }

    #[test]
    fn a_layer_that_was_stopped_is_none() {
        assert!(compress(b"tar", &AtomicBool::new(true)).unwrap().is_none());
    }

    #[test]
    fn a_layer_says_nothing_of_when_and_where_it_was_made() {
        let gzip = whole(b"tar");
        assert_eq!(&gzip[4..8], [0; 4], "the time");
        assert_eq!(gzip[9], UNKNOWN_SYSTEM);
        assert_eq!(unpacked(&*gzip).unwrap(), (Digest::of(b"tar"), 3));
    }

    #[test]
    fn parts_are_put_together_in_their_order() {
        let tar: Vec<u8> = (0..3 * PART + 7).map(|n| (n / 1000) as u8).collect();
        let gzip = whole(&tar);
        assert_eq!(gzip, whole(&tar));
        assert_eq!(unpacked(&*gzip).unwrap(), (Digest::of(&tar), tar.len() as u64));
        assert_eq!(unpacked(&*whole(&[])).unwrap(), (Digest::of(&[]), 0));
    }

    #[test]
    fn half_a_layer_can_not_be_unpacked() {
        let gzip = whole(&[7; 10_000]);
        assert!(unpacked(&gzip[..gzip.len() / 2]).is_err());
    }
}
