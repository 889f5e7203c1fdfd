//! Programs that others wrote: run to their end, or ended with who waits for them.

use std::ffi::OsStr;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::error::{ErrorKind, ImageError};

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) well: bool,
    pub(crate) how: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Ends a program and all that it started, unless it has ended by then.
pub(crate) struct Group(Option<Pid>);

impl Group {
    /// Of a child that leads a process group of its own.
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    pub(crate) fn has_ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = killpg(leader, Signal::SIGTERM);
        }
    }
}

/// A program that reads nothing from the terminal and leads a group of its own: a Ctrl-C is for who started it.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).process_group(0);
    command
}

/// That a program can't be started.
pub(crate) fn not_started(program: &str, error: &std::io::Error) -> ImageError {
    if error.kind() == std::io::ErrorKind::NotFound {
        return ImageError::new("missing-program", ErrorKind::Environment, format!("{program} is not on PATH"))
            .fix(format!("install {program}, or add its directory to PATH"));
    }
    ImageError::new("missing-program", ErrorKind::Environment, format!("{program} can't be started")).evidence(error)
}

/// Runs it with `input` as its stdin, at most so long.
pub(crate) async fn run(
    program: &str,
    arguments: &[&OsStr],
    input: Option<&str>,
    patience: Duration,
) -> Result<Ended, ImageError> {
    let mut command = command(program);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().map_err(|error| not_started(program, &error))?;
    let mut group = Group::of(&child);
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // One that does not read has its reasons, and ends with them.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = tokio::time::timeout(patience, child.wait_with_output()).await.map_err(|_| {
        let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
        ImageError::new(
            "no-answer",
            ErrorKind::Unknown,
            format!("{program} {} did not finish within {} seconds", words.join(" "), patience.as_secs()),
        )
        .fix(format!("check that {program} works, then try again"))
    })?;
    let output = output.map_err(|error| not_started(program, &error))?;
    group.has_ended();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ended {
        well: output.status.success(),
        how: output.status.to_string(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    })
}

/// The last lines of what a program said: where its trouble is.
pub(crate) fn tail(text: &str, lines: usize) -> Vec<&str> {
    let all: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    all[all.len().saturating_sub(lines)..].to_vec()
}
