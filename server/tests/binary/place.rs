//! A place of its own for one test: a directory, and nothing of this environment but what the test gives.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::process::Command;
use tokio::time::timeout;

use crate::running::{PATIENCE, Running};

pub(crate) const OPERATOR: &str = "op_0123456789abcdef0123456789abcdef";
const SIGNING_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

pub(crate) struct Place {
    dir: tempfile::TempDir,
}

/// What a run of the program came to.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("card-server-test-").tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        card_core::files::replace(&path, text.as_bytes()).unwrap();
        path
    }

    /// The program, given nothing.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_card-server"), arguments)
    }

    /// Another program, such as a shell, given nothing either.
    pub(crate) fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The program with secrets, any free port and a log that programs read.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command
            .env("CARDCTL_SIGNING_KEY", SIGNING_KEY)
            .env("CARDCTL_OPERATOR_TOKEN", OPERATOR)
            .env("CARDCTL_SERVER_PORT", "0")
            .env("CARDCTL_LOG_FORMAT", "json");
        command
    }

    /// Starts it and waits until it says that it is ready.
    pub(crate) async fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(&[arguments, &["--announce"]].concat())).await
    }
}

impl Ended {
    /// Runs it to its end, which must come by itself.
    pub(crate) async fn of(mut command: Command) -> Self {
        let Output { status, stdout, stderr } =
            timeout(PATIENCE, command.output()).await.expect("it ends by itself").unwrap();
        Self {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Insists that it did not start, and gives the reason that it named.
    pub(crate) fn not_ready(&self) -> &str {
        assert_eq!((self.code, self.stdout.as_str()), (Some(3), ""), "{}", self.stderr);
        let reason = self.stderr.strip_prefix("error: ").unwrap_or_else(|| panic!("{}", self.stderr));
        assert_eq!(reason.lines().count(), 1, "{reason}");
        reason.trim_end()
    }
}
