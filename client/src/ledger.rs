//! The sender's own account of what was accepted: the audit's expectation, never read from the platform under test.
//!
//! One JSON object a line. The first names the run; each accepted id is appended before it counts. What was buffered
//! is lost with the process, so an audit of a file never expects more than was written; a torn last line is what a
//! kill leaves and is ignored, any other bad line is an error.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use card_core::ids::{RunId, TaskId, UserId};
use card_core::tasks::Kind;
use card_core::time::Instant;
use serde::{Deserialize, Serialize};

/// A line of `journal.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Line {
    /// The first line.
    Run {
        /// The format's version.
        v: u32,
        run: RunId,
        /// What its orders were made from.
        seed: u64,
        /// Whether nobody else tags tasks with this run.
        exclusive: bool,
        /// When it began.
        at: Instant,
    },
    /// The platform said 202.
    Accepted {
        task: TaskId,
        /// For whom.
        user: UserId,
        /// What it does.
        kind: Kind,
        /// When the answer was there.
        at: Instant,
    },
    /// It was sent, several times, and no answer came: it may have been accepted.
    Unanswered {
        /// The `Idempotency-Key`.
        key: String,
        /// When it was given up.
        at: Instant,
    },
}

/// What the platform owes an answer for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectation {
    /// Each accepted id and how many orders it was the answer to (once, or the platform mixed two up).
    pub accepted: HashMap<TaskId, u32>,
    /// Orders that nobody knows the fate of.
    pub unanswered: u64,
    /// Whether every task of the run must be one of these.
    pub exclusive: bool,
}

/// A ledger that is being written.
pub struct Ledger {
    open: Mutex<Open>,
}

struct Open {
    file: Option<BufWriter<File>>,
    expectation: Expectation,
}

/// A ledger that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file can't be read.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// A line that is not the last is no line of a ledger.
    #[error("{path}:{line}: {detail}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counts from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
}

impl Ledger {
    /// A ledger in a new file (an old one of that name is replaced), or in memory alone.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn create(path: Option<&Path>, run: &RunId, seed: u64, exclusive: bool) -> io::Result<Self> {
        // Whom it names is nobody else's concern, wherever it lies and whatever the umask.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = path.map(|path| options.open(path)).transpose()?;
        let file = file.map(|file| BufWriter::with_capacity(64 * 1024, file));
        let expectation = Expectation { exclusive, ..Expectation::default() };
        let ledger = Self { open: Mutex::new(Open { file, expectation }) };
        ledger.open().write(&Line::Run { v: 1, run: run.clone(), seed, exclusive, at: Instant::now() })?;
        ledger.flush()?;
        Ok(ledger)
    }

    /// Notes an accepted task. When this returns, it counts.
    ///
    /// # Errors
    /// The line can't be written: the sender must stop, because it can't account for more.
    pub fn accepted(&self, task: TaskId, user: UserId, kind: Kind) -> io::Result<()> {
        let mut open = self.open();
        open.write(&Line::Accepted { task, user, kind, at: Instant::now() })?;
        *open.expectation.accepted.entry(task).or_insert(0) += 1;
        Ok(())
    }

    /// Notes an order that was sent and never answered.
    ///
    /// # Errors
    /// The line can't be written.
    pub fn unanswered(&self, key: &str) -> io::Result<()> {
        let mut open = self.open();
        open.write(&Line::Unanswered { key: key.to_owned(), at: Instant::now() })?;
        open.expectation.unanswered += 1;
        Ok(())
    }

    /// Hands what is buffered to the system.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn flush(&self) -> io::Result<()> {
        self.open().file.as_mut().map_or(Ok(()), Write::flush)
    }

    /// Ids accepted so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open().expectation.accepted.len()
    }

    /// Whether nothing was accepted so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the platform owes an answer for, as of now.
    #[must_use]
    pub fn expectation(&self) -> Expectation {
        self.open().expectation.clone()
    }

    // A line is appended whole or the ledger is given up: nothing under this lock is left half-way by a panic.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        serde_json::to_writer(&mut *file, line)?;
        file.write_all(b"\n")
    }
}

impl Expectation {
    /// Reads a ledger file, for an audit after the fact.
    ///
    /// # Errors
    /// The file can't be read, has no first line that names the run, or holds a bad line before the last.
    pub fn read(path: &Path) -> Result<(RunId, Self), LedgerError> {
        let io = |source| LedgerError::Io { path: path.to_owned(), source };
        let bad = |line, detail: String| LedgerError::Line { path: path.to_owned(), line, detail };
        let mut reader = BufReader::new(File::open(path).map_err(io)?);
        let mut run = None;
        let mut expectation = Self::default();
        let mut text = Vec::new();
        for number in 1.. {
            text.clear();
            if reader.read_until(b'\n', &mut text).map_err(io)? == 0 {
                break;
            }
            if text.last() != Some(&b'\n') {
                // Torn by a kill in the middle of a write: it was never counted.
                break;
            }
            let line = serde_json::from_slice(&text).map_err(|error| bad(number, error.to_string()))?;
            match (line, &run) {
                (Line::Run { v: 1, run: named, exclusive, .. }, None) => {
                    expectation.exclusive = exclusive;
                    run = Some(named);
                }
                (Line::Run { v, .. }, None) => return Err(bad(number, format!("version {v} is not known"))),
                (Line::Run { .. }, Some(_)) => return Err(bad(number, "the run is named twice".to_owned())),
                (_, None) => return Err(bad(number, "the first line must name the run".to_owned())),
                (Line::Accepted { task, .. }, Some(_)) => match expectation.accepted.entry(task) {
                    Entry::Vacant(entry) => drop(entry.insert(1)),
                    Entry::Occupied(mut entry) => *entry.get_mut() += 1,
                },
                (Line::Unanswered { .. }, Some(_)) => expectation.unanswered += 1,
            }
        }
        run.map(|run| (run, expectation)).ok_or_else(|| bad(1, "the first line must name the run".to_owned()))
    }
}

#[cfg(test)]
mod tests;
