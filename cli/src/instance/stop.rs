//! Ending a serving process from outside, and clearing up after one that could not.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Local, Paths, Process, Record, Recorded, is_made_here};
use crate::failure::Failure;
use crate::supervisor;
use card_core::exit::Exit;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, after it finished what it had.
    Drained,
    /// It had to be killed. What was accepted is in the ledger.
    Killed,
}

/// How long a process that serves so, and whose parts drain for so long, may take to be gone: its last commit comes after
/// the drain, and a supervisor drains one kind of children after the other.
#[must_use]
pub fn grace(target: Local, drain: Duration) -> Duration {
    let stop = match target {
        Local::Embedded => drain,
        Local::Processes => supervisor::stop_limit(drain),
    };
    stop + Duration::from_secs(10)
}

/// How long a killed process may take to disappear.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// Asks the process to stop, waits, kills it when the time is up. Safe if it is gone already.
///
/// # Errors
/// It is somebody else's, or does not even yield to being killed.
pub async fn end(process: Process, grace: Duration) -> Result<Ended, Failure> {
    let refused = |error: nix::errno::Errno| {
        Failure::new("not-yours", Exit::NotReady, format!("process {} can't be stopped: {error}", process.pid))
            .fix("run this as the user who started it")
            .left("the platform is still running")
    };
    process.signal(Signal::SIGTERM).map_err(refused)?;
    if process.wait_gone(grace).await {
        return Ok(Ended::Drained);
    }
    process.signal(Signal::SIGKILL).map_err(refused)?;
    if process.wait_gone(KILL_LIMIT).await {
        return Ok(Ended::Killed);
    }
    Err(Failure::new("stuck", Exit::NotReady, format!("process {} does not exit, even after SIGKILL", process.pid))
        .evidence("it is blocked in the kernel, most likely by a disk")
        .fix("check the disk that holds the state, then run cardctl down again")
        .left("the platform may still be running"))
}

/// Ends what a supervisor left behind that was killed: its children, which stop by themselves when they notice, and are
/// killed if they take longer than `patience`. For who holds the lock, or knows that nobody does.
pub async fn end_orphans(paths: &Paths, patience: Duration) {
    let Some(record) = Record::load(paths).filter(|record| !record.process.is_alive()) else { return };
    let deadline = tokio::time::Instant::now() + patience;
    for Recorded { process, .. } in record.children {
        if !process.wait_gone(deadline.saturating_duration_since(tokio::time::Instant::now())).await {
            // It can only be gone meanwhile.
            let _ = process.signal(Signal::SIGKILL);
            process.wait_gone(KILL_LIMIT).await;
        }
    }
}

/// Removes what a process left behind that is gone: its record and its temporary data. For who holds the lock, or knows
/// that nobody does. A directory that is named there and was not made here is left as it is, and returned.
///
/// # Errors
/// It can't be removed.
pub fn clear_stale(paths: &Paths) -> io::Result<Option<PathBuf>> {
    let Some(record) = Record::load(paths) else { return Record::remove(paths).map(|()| None) };
    let temporary = Some(record.data_dir).filter(|dir| record.ephemeral && *dir != paths.dir && dir.exists());
    let left = match temporary {
        Some(dir) if is_made_here(&dir) => {
            super::remove(&dir)?;
            None
        }
        other => other,
    };
    Record::remove(paths)?;
    Ok(left)
}
