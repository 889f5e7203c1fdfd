//! A process that is told from a later one with the same number by when it started.

use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (`/proc/<pid>/stat`, field 22).
    pub started: u64,
}

impl Process {
    /// This process.
    #[must_use]
    pub fn current() -> Self {
        Self::of(std::process::id()).unwrap_or(Self { pid: std::process::id(), started: 0 })
    }

    /// The process that has this number now; none if there is none or if it is dead and only not yet collected.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid, started: start_time(&stat)? })
    }

    /// The processes that a process started, or inherited, and that run.
    #[must_use]
    pub fn children_of(pid: u32) -> Vec<Self> {
        let all = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let child = |number: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
            (parent(&stat)? == pid).then_some(Self { pid: number, started: start_time(&stat)? })
        };
        numbers.filter_map(child).collect()
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Whether it acts as the user that this process acts as.
    #[must_use]
    pub fn is_ours(self) -> bool {
        let effective = |pid: &str| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            status
                .lines()
                .find_map(|line| line.strip_prefix("Uid:")?.split_ascii_whitespace().nth(1)?.parse::<u32>().ok())
        };
        effective(&self.pid.to_string()).is_some_and(|owner| Some(owner) == effective("self"))
    }

    /// Sends a signal, unless it is gone.
    ///
    /// # Errors
    /// It is somebody else's.
    pub fn signal(self, signal: Signal) -> Result<(), Errno> {
        if !self.is_alive() {
            return Ok(());
        }
        let pid = i32::try_from(self.pid).map_err(|_| Errno::ESRCH)?;
        match kill(Pid::from_raw(pid), signal) {
            Err(Errno::ESRCH) => Ok(()),
            other => other,
        }
    }

    /// Waits until it is gone; false if it still runs when the time is up.
    pub async fn wait_gone(self, limit: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + limit;
        // A process that is not our child can't be waited for without unsafe code (pidfd), so it is looked at.
        let mut pause = Duration::from_millis(1);
        while self.is_alive() {
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
        true
    }

    /// The command that it runs, for messages; arguments are left out, they may hold anything.
    #[must_use]
    pub fn command(pid: u32) -> Option<String> {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(name.trim().to_owned())
    }
}

/// This program, to start it again: by its name as long as that is there, so that it is called so.
#[must_use]
pub fn program() -> PathBuf {
    std::env::current_exe().ok().filter(|path| path.exists()).unwrap_or_else(|| "/proc/self/exe".into())
}

/// Field 4.
fn parent(stat: &str) -> Option<u32> {
    stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Field 22; the name in field 2 may hold spaces and brackets, so it is read from the last bracket on. None for one that is
/// dead: its first thread may be so before the others, which then still hold its files and ports (field 20).
fn start_time(stat: &str) -> Option<u64> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?;
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    if matches!(state, "Z" | "X") && threads <= 1 {
        return None;
    }
    fields.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_another_start_time_is_another_process() {
        let me = Process::current();
        assert!(me.is_alive() && me.is_ours());
        assert!(!Process { started: me.started + 1, ..me }.is_alive());
    }

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 777 1000 10";
        assert_eq!((start_time(stat), parent(stat)), (Some(777), Some(1)));
        assert_eq!(start_time("42 (z) Z 1 42 42 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 777 1000 10"), None);
        let dying = "42 (z) Z 1 42 42 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 3 0 777 1000 10";
        assert_eq!(start_time(dying), Some(777), "others of its threads are still there");
        assert_eq!(start_time("nonsense"), None);
    }
}
