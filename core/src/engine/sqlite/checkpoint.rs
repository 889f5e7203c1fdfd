//! Moves the write-ahead log into the database file without holding up commits.
//!
//! A thread with a connection of its own copies most of the log while commits go on. When the log has grown past a
//! limit, the writer copies the rest itself between two batches: then all of it is in the file, and the next commit
//! starts the log from its beginning. So the log stays bounded under a load that never pauses, and the pause is as long
//! as what the thread had not reached yet.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use crate::engine::{EngineError, ErrorKind};

/// Frames (pages of 4 KiB) not yet copied after which the thread copies.
const COPY_AT: i64 = 2_000;
/// Frames in the log after which the writer finishes the job.
const FINISH_AT: i64 = 16_000;

#[derive(Default)]
struct Signals {
    dirty: AtomicBool,
    frames: AtomicI64,
    stop: AtomicBool,
}

pub(super) struct Checkpointer {
    signals: Arc<Signals>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(path: &Path) -> Result<Self, EngineError> {
        let fail = |error: Box<dyn std::error::Error + Send + Sync>| {
            EngineError::new(ErrorKind::Unavailable, "the ledger's checkpoint thread could not be started")
                .caused_by(error)
        };
        let connection = super::open::connect(path).map_err(|error| fail(error.into()))?;
        let signals = Arc::new(Signals::default());
        let theirs = Arc::clone(&signals);
        let thread = std::thread::Builder::new()
            .name("ledger-checkpoint".into())
            .spawn(move || copy_in_background(&connection, &theirs))
            .map_err(|error| fail(error.into()))?;
        Ok(Self { signals, thread: Some(thread) })
    }

    /// Called by the writer after each batch.
    pub(super) fn after_commit(&self, connection: &Connection) {
        if !self.signals.dirty.swap(true, Ordering::AcqRel)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        if self.signals.frames.load(Ordering::Acquire) >= FINISH_AT {
            self.signals.frames.store(0, Ordering::Release);
            copy(connection);
        }
    }

    /// Called by the writer when it ends.
    pub(super) fn finish(mut self, connection: &Connection) {
        self.signals.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
        // Leaves one plain file behind. If it can't, the log is read again at the next start.
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

fn copy_in_background(connection: &Connection, signals: &Signals) {
    while !signals.stop.load(Ordering::Acquire) {
        if !signals.dirty.swap(false, Ordering::AcqRel) {
            std::thread::park_timeout(Duration::from_secs(60));
            continue;
        }
        // Lets a burst gather, so that a page that is written many times is copied once.
        std::thread::sleep(Duration::from_millis(100));
        if pending(connection) >= COPY_AT {
            let frames = copy(connection);
            signals.frames.store(frames, Ordering::Release);
        }
    }
}

/// Frames in the log that are not copied yet.
fn pending(connection: &Connection) -> i64 {
    let difference = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
    connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], difference).unwrap_or(i64::MAX)
}

/// Copies what no reader needs any more; returns the frames in the log.
fn copy(connection: &Connection) -> i64 {
    // A disk that is full or away shows in the commits, which answer their callers; here it only means "later".
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1)).unwrap_or(0)
}
