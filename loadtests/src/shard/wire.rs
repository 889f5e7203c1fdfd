//! How a generator tells who started it how far it is, and hands over its shard: lines of JSON on its stdout.
//!
//! In a cluster that is the container's log, which is the one thing that is left of a container that has ended and that
//! nothing has to be allowed, mounted or waited for to read. Its faults are provided for: a line is far shorter than
//! the 16 KiB at which the runtime cuts, a shard is compressed and stays below the size at which logs are rotated, it
//! is written at the very end and in one go, and its pieces have numbers, so that they can be read twice, in part, and
//! among other lines.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Shard;
use crate::moment::{AtStep, Doing, Moment};
use crate::result::Sample;
use card_client::latency::Percentiles;

/// The version of the lines.
const VERSION: u32 = 1;
/// Characters of a shard in one line.
const PIECE: usize = 8 * 1024;
/// A shard that takes more than this leaves out what it can: logs are rotated at 10 MB.
const ROOM: usize = 6 * 1024 * 1024;
/// No shard is larger when it is unpacked.
const UNPACKED_LIMIT: u64 = 512 * 1024 * 1024;
/// Nor has more pieces.
const PIECES_LIMIT: u32 = 100_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Line {
    /// How far it is.
    Progress(Box<Progress>),
    /// A piece of what it leaves behind.
    Shard(Piece),
}

/// How far a generator is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The version of the lines.
    pub v: u32,
    /// Which generator.
    pub generator: u64,
    /// What it does.
    pub doing: Doing,
    /// Since it began.
    pub elapsed_ms: u64,
    /// How long the present course takes.
    pub course_ms: u64,
    /// How much of it is over.
    pub into_course_ms: u64,
    /// Which step of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<AtStep>,
    /// The last whole second, if there is a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<Sample>,
    /// Sent so far.
    pub offered: u64,
    /// Accepted so far.
    pub accepted: u64,
    /// Final so far.
    pub completed: u64,
    /// Not accepted so far.
    pub errors: u64,
    /// The rule that ended its load before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// Request to 202 of the last seconds.
    pub accept: Percentiles,
    /// Request to final status of the last seconds.
    pub e2e: Percentiles,
}

impl Progress {
    /// As a line of a generator. `told` is the end of the last second that was told.
    #[must_use]
    pub fn of(generator: u64, moment: &Moment, told: f64) -> Self {
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            v: VERSION,
            generator,
            doing: moment.doing,
            elapsed_ms: millis(moment.elapsed),
            course_ms: millis(moment.course),
            into_course_ms: millis(moment.into_course),
            step: moment.step,
            second: moment.second.clone().filter(|second| second.t > told),
            offered: moment.offered,
            accepted: moment.accepted,
            completed: moment.completed,
            errors: moment.errors,
            broken: moment.broken.clone(),
            accept: moment.accept,
            e2e: moment.e2e,
        }
    }
}

/// A piece of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The version of the lines.
    pub v: u32,
    /// Which generator.
    pub generator: u64,
    /// Which piece, from 1.
    pub part: u32,
    /// How many there are.
    pub parts: u32,
    /// Of the compressed whole, in hexadecimal.
    pub sha256: String,
    /// Of the compressed whole, in base64.
    pub data: String,
}

/// A shard that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the generator's results are damaged: {0}")]
pub struct Damaged(String);

/// Reads a line; none if it is none of these, such as a message among them.
#[must_use]
pub fn read(line: &str) -> Option<Line> {
    // Cheap for what is only read past.
    let line = line.trim_end();
    if !line.starts_with('{') {
        return None;
    }
    let read: Line = serde_json::from_str(line).ok()?;
    let v = match &read {
        Line::Progress(progress) => progress.v,
        Line::Shard(piece) => piece.v,
    };
    (v == VERSION).then_some(read)
}

/// The lines of a shard.
///
/// # Errors
/// It can't be written as JSON.
pub fn pieces(mut shard: Shard) -> io::Result<Vec<Line>> {
    let mut packed = pack(&shard)?;
    if packed.len() / 3 * 4 > ROOM {
        shard.thin();
        packed = pack(&shard)?;
    }
    let sha256 = hex(&packed);
    let data = BASE64.encode(packed);
    let parts = u32::try_from(data.len().div_ceil(PIECE)).map_err(io::Error::other)?;
    let pieces = (1..).zip(data.as_bytes().chunks(PIECE)).map(|(part, data)| {
        // Base64 is ASCII: nothing is lost.
        let data = String::from_utf8_lossy(data).into_owned();
        Line::Shard(Piece { v: VERSION, generator: shard.share.number(), part, parts, sha256: sha256.clone(), data })
    });
    Ok(pieces.collect())
}

fn pack(shard: &Shard) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    serde_json::to_writer(&mut packer, shard)?;
    packer.flush()?;
    packer.finish()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A shard that is being put together. Pieces may come twice and in any order.
#[derive(Debug, Default)]
pub struct Assembly {
    whole: Option<(u32, String)>,
    pieces: BTreeMap<u32, String>,
}

impl Assembly {
    /// Takes a piece.
    pub fn take(&mut self, piece: Piece) {
        let whole = (piece.parts, piece.sha256);
        if whole.0 > PIECES_LIMIT || piece.part == 0 || piece.part > whole.0 {
            return;
        }
        // A generator that was started again speaks of another whole.
        if self.whole.as_ref() != Some(&whole) {
            (self.whole, self.pieces) = (Some(whole), BTreeMap::new());
        }
        self.pieces.insert(piece.part, piece.data);
    }

    /// Whether every piece is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.whole.as_ref().is_some_and(|(parts, _)| self.pieces.len() == *parts as usize)
    }

    /// How many pieces there are, and of how many; none if there is no piece.
    #[must_use]
    pub fn progress(&self) -> Option<(usize, u32)> {
        self.whole.as_ref().map(|(parts, _)| (self.pieces.len(), *parts))
    }

    /// The shard.
    ///
    /// # Errors
    /// Pieces are missing, or it is not what was written.
    pub fn open(&self) -> Result<Shard, Damaged> {
        let Some((parts, sha256)) = self.whole.as_ref().filter(|_| self.is_complete()) else {
            let (there, of) = self.progress().unwrap_or_default();
            return Err(Damaged(format!("{there} of {of} pieces were read")));
        };
        let text: String = self.pieces.values().map(String::as_str).collect();
        let packed = BASE64.decode(text).map_err(|error| Damaged(error.to_string()))?;
        if hex(&packed) != *sha256 {
            return Err(Damaged(format!("its {parts} pieces are damaged")));
        }
        serde_json::from_reader(io::BufReader::new(GzDecoder::new(packed.as_slice()).take(UNPACKED_LIMIT)))
            .map_err(|error| Damaged(error.to_string()))
    }
}
