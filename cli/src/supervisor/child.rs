//! One child process: started, heard once, ended.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use card_core::process::Announcement;
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};

use super::orders::Order;
use crate::instance::Process;
use crate::instance::detached::places;

/// A child that runs. Dropping it kills it.
pub(super) struct Running {
    child: tokio::process::Child,
    process: Process,
    stdout: Option<BufReader<ChildStdout>>,
    // Open as long as we are: its end is the child's sign to stop.
    _tie: Option<ChildStdin>,
}

impl Running {
    /// Starts it. Its stderr is this process's: the instance's log.
    pub(super) fn start(order: &Order) -> io::Result<Self> {
        let mut command = Command::new(&order.program);
        command.arg0("cardctl").args(&order.arguments);
        // What is ours to say is said by the order alone, above all who may enter where.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"CARDCTL_") {
                command.env_remove(name);
            }
        }
        command
            .envs(places())
            .envs(order.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own: the Ctrl-C of a terminal is for the supervisor, which stops the children in order.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("it has no number"))?;
        // It can't have been collected, so its number is its own, alive or dead.
        let process = Process::of(pid).unwrap_or(Process { pid, started: 0 });
        let stdout = child.stdout.take().map(BufReader::new);
        Ok(Self { process, stdout, _tie: child.stdin.take(), child })
    }

    pub(super) const fn process(&self) -> Process {
        self.process
    }

    /// Waits until it says that it is ready. None if it ends or says something else instead. Cancel safe.
    pub(super) async fn announcement(&mut self) -> Option<Announcement> {
        const LONGEST: usize = 4096;
        let mut stdout = self.stdout.take()?;
        let mut line = Vec::new();
        loop {
            let read = stdout.fill_buf().await.ok()?;
            let (taken, whole) = match read.iter().position(|byte| *byte == b'\n') {
                Some(end) => (&read[..=end], true),
                None => (read, false),
            };
            if taken.is_empty() || line.len() + taken.len() > LONGEST {
                return None;
            }
            line.extend_from_slice(taken);
            let length = taken.len();
            stdout.consume(length);
            if whole {
                return serde_json::from_slice(&line).ok();
            }
        }
    }

    /// Waits until it ends by itself. Cancel safe.
    pub(super) async fn exit(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends it at once.
    pub(super) async fn kill(&mut self) {
        // It can only be gone already.
        let _ = self.child.kill().await;
    }

    /// Asks it to stop and kills it when the time is up. Whether it exited unexpectedly.
    pub(super) async fn end(mut self, limit: Duration) -> bool {
        // It can only be gone already.
        let _ = self.process.signal(Signal::SIGTERM);
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(_) => true,
            Err(_) => {
                self.kill().await;
                false
            }
        }
    }
}

/// How it ended, for people.
pub(super) fn words(status: io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status {
        Ok(status) => match (status.code(), status.signal().and_then(|number| Signal::try_from(number).ok())) {
            (Some(code), _) => format!("exit {code}"),
            (_, Some(signal)) => signal.as_str().to_owned(),
            _ => status.to_string(),
        },
        Err(error) => error.to_string(),
    }
}
