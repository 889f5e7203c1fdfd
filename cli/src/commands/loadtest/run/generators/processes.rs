//! Generators as processes on this machine: this program, once for each.

use std::io;
use std::process::{ExitStatus, Stdio};

use card_loadtests::shard::Assignment;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Crew, Heard};
use crate::context::Endpoint;
use crate::failure::Failure;
use crate::instance::program;

/// Lines that wait to be read: the generators wait then, which is felt in nothing that they measure.
const WAITING: usize = 1024;

/// Starts them.
///
/// # Errors
/// One can't be started; none is left then.
pub(in super::super) fn start(assignment: &Assignment, endpoint: &Endpoint) -> Result<Crew, Failure> {
    let (tell, heard) = mpsc::channel(WAITING);
    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    let mut first = serde_json::to_vec(assignment).map_err(Failure::internal)?;
    first.push(b'\n');
    // All of them first: those that exist are killed when one of them can't be started.
    let children = (1..=assignment.generators).map(|number| Ok((number, spawn(number, endpoint)?)));
    let children: Vec<_> = children
        .collect::<io::Result<_>>()
        .map_err(|error| Failure::internal(format!("a load generator can't be started: {error}")))?;
    for (number, child) in children {
        let watched = watch(number, child, first.clone(), tell.clone(), stop.clone(), kill.clone());
        tokio::spawn(watched);
    }
    Ok(Crew { heard, stop, kill })
}

fn spawn(number: u64, endpoint: &Endpoint) -> io::Result<Child> {
    let mut command = Command::new(program());
    command.arg0("cardctl").args(["--target", &endpoint.base_url, "--progress", "none"]);
    command.args(["loadtest", "generate", "--number", &number.to_string()]);
    // What is ours to say is said here: a setting of the environment could mean another platform.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"CARDCTL_") {
            command.env_remove(name);
        }
    }
    command.env("CARDCTL_PLAIN_HTTP", endpoint.plain_http.to_string());
    if let Some(token) = &endpoint.operator_token {
        command.env("CARDCTL_OPERATOR_TOKEN", token.expose());
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own: the Ctrl-C of a terminal is for this process, which ends them in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Passes on what it says until it ends.
async fn watch(
    number: u64,
    mut child: Child,
    assignment: Vec<u8>,
    tell: mpsc::Sender<Heard>,
    stop: CancellationToken,
    kill: CancellationToken,
) {
    // Open as long as this process lives: its end ends the child.
    let mut tie = child.stdin.take();
    if let Some(stdin) = &mut tie {
        // One that does not read it says why itself.
        let _ = stdin.write_all(&assignment).await;
    }
    let lines = [
        child.stdout.take().map(|stdout| tokio::spawn(pass_on(number, stdout, tell.clone()))),
        child.stderr.take().map(|stderr| tokio::spawn(pass_on(number, stderr, tell.clone()))),
    ];
    let mut asked = false;
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended,
            () = stop.cancelled(), if !asked => {
                asked = true;
                terminate(&child);
            }
            () = kill.cancelled() => {
                let _ = child.start_kill();
                break child.wait().await;
            }
        }
    };
    for passing in lines.into_iter().flatten() {
        // Something that it left behind could hold its output open for ever.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), passing).await;
    }
    let _ = tell.send(Heard::Gone(number, in_words(ended))).await;
    drop(tie);
}

/// Its number is its own: it was not waited for yet.
fn terminate(child: &Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

async fn pass_on(number: u64, from: impl AsyncRead + Unpin, tell: mpsc::Sender<Heard>) {
    let mut lines = BufReader::new(from).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line).into_owned();
        if tell.send(Heard::Line(number, line)).await.is_err() {
            return;
        }
    }
}

fn in_words(ended: io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match ended {
        Err(error) => format!("waiting for it failed: {error}"),
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("it exited with code {code}"),
            (None, Some(signal)) => {
                let name = Signal::try_from(signal).map_or_else(|_| signal.to_string(), |signal| signal.to_string());
                format!("it was killed by {name}")
            }
            (None, None) => "it ended".to_owned(),
        },
    }
}
