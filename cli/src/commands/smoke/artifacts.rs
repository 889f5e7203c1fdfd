//! The evidence: what is kept in the directory that was asked for.

use std::fs::{File, create_dir_all};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use card_core::plain;
use card_core::time::Instant;
use serde::Serialize;

use super::runner::Verdict;
use crate::failure::Failure;
use card_core::exit::Exit;

/// The directory, if there is one, and the log in it.
pub(super) struct Artifacts {
    directory: Option<PathBuf>,
    log: Option<Mutex<File>>,
}

#[derive(Serialize)]
struct Versioned<'a> {
    v: u8,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

impl Artifacts {
    /// Makes the directory and begins the log, so that there is evidence however the proof ends.
    pub(super) fn open(directory: Option<PathBuf>) -> Result<Self, Failure> {
        let Some(directory) = directory else { return Ok(Self { directory: None, log: None }) };
        let path = directory.join("smoke.log");
        let log = create_dir_all(&directory).and_then(|()| File::create(&path));
        let log = Mutex::new(log.map_err(|error| unwritable(&path, &error))?);
        Ok(Self { directory: Some(directory), log: Some(log) })
    }

    /// Where the sender's ledger goes.
    pub(super) fn ledger(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join("journal.jsonl"))
    }

    /// A line of the log. A log that can't be written must not change the verdict.
    pub(super) fn log(&self, line: &str) {
        if let Some(log) = &self.log {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writeln!(log, "{} {}", Instant::now(), plain::line(line));
        }
    }

    /// Keeps a copy of a file that is about to go.
    pub(super) fn keep(&self, name: &str, file: &Path) -> Result<(), Failure> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let path = directory.join(name);
        std::fs::copy(file, &path).map(drop).map_err(|error| unwritable(&path, &error))
    }

    /// The verdict, as `-o json` prints it.
    pub(super) fn verdict(&self, verdict: &Verdict) -> Result<(), Failure> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let path = directory.join("smoke.json");
        let text = serde_json::to_string_pretty(&Versioned { v: 1, verdict }).map_err(Failure::internal)?;
        std::fs::write(&path, plain::json(&text).as_bytes()).map_err(|error| unwritable(&path, &error))
    }
}

/// A file of evidence that can't be written.
pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new("artifacts", Exit::NotReady, format!("{} can't be written: {error}", path.display()))
        .fix("choose a directory that you can write to")
}
