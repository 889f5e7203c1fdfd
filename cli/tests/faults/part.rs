//! A process of the platform: started, killed and stopped by its id.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use card_core::process::Announcement;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

/// A start brings the schema up to date, on a machine that may be busy.
const START: Duration = Duration::from_secs(30);
/// More than a drain may take.
const STOP: Duration = Duration::from_secs(45);

/// Killed when it is dropped; it drains by itself when the test's process is gone.
pub(crate) struct Part {
    pub(crate) said: Announcement,
    child: Child,
    log: PathBuf,
    /// Its end is how it hears that the test is gone.
    _stdin: ChildStdin,
}

impl Part {
    /// Starts it and waits until it says that it is ready. Its log goes into a file, as the pipe of a test that looks
    /// elsewhere would fill up.
    pub(crate) async fn start(mut command: Command, log: &Path) -> Self {
        command.args(["--tied", "--announce"]).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(File::options().create(true).append(true).open(log).unwrap());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        timeout(START, stdout.read_line(&mut line)).await.expect("it announces itself").unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}{}", read(log)));
        Self { said, child, log: log.to_owned(), _stdin: stdin }
    }

    /// `kill -9`: when this returns it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Stops it as a service manager does: whatever it has been through, it ends in order.
    pub(crate) async fn stop(mut self) {
        kill(Pid::from_raw(i32::try_from(self.said.pid).unwrap()), Signal::SIGTERM).unwrap();
        let ended = timeout(STOP, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("it does not stop:\n{}", self.log())).unwrap();
        assert_eq!(ended.code(), Some(0), "{}", self.log());
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }

    /// What it has logged, and those before it of the same name.
    pub(crate) fn log(&self) -> String {
        read(&self.log)
    }
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
