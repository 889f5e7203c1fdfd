//! A program of somebody else's, running in a process group of its own that ends with its value.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::Failed;

pub(super) struct Program {
    name: String,
    child: Child,
    /// What it says, both streams.
    log: PathBuf,
    ended: bool,
}

impl Program {
    /// A group of its own, because Celery's worker has children that outlive it when it is killed.
    pub(super) fn start(name: &str, command: &mut Command, log: PathBuf) -> Result<Self, Failed> {
        let file = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("{name}: {}: {error}", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), child, log, ended: false })
    }

    /// An error with its last words when it is gone.
    pub(super) fn check(&mut self) -> Result<(), Failed> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                self.kill();
                self.ended = true;
                Err(format!("{} ended ({status}) and said:\n{}", self.name, self.last_words(20)).into())
            }
        }
    }

    /// Waits for its end, which must be a good one; its last line.
    pub(super) async fn finish(mut self, at_most: Duration) -> Result<String, Failed> {
        let deadline = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.ended = true;
                return if status.success() {
                    Ok(self.last_words(1))
                } else {
                    Err(format!("{} failed ({status}):\n{}", self.name, self.last_words(20)).into())
                };
            }
            if Instant::now() > deadline {
                return Err(format!("{} took longer than {at_most:?}", self.name).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn last_words(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let text = text.unwrap_or_default();
        let mut last: Vec<&str> = text.lines().rev().take(lines).collect();
        last.reverse();
        last.join("\n")
    }

    fn kill(&self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            // Already gone is as good.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
            let _ = self.child.wait();
        }
    }
}
