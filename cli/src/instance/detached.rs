//! The background process: how it is started, what it answers, and what it does.
//!
//! `up` starts this program again with [`MARK`] as its only argument. The plan goes in on stdin, one [`Notice`] comes
//! back on stdout, stderr is the log. An attached one ends when its stdin does, so that it can't outlive who started it.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use card_core::settings::LogFormat;
use card_core::telemetry::logs;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Lock, LogMark, Paths, Plan, Process, Record, Serving, clear_stale, end_orphans, log, program, state};
use crate::failure::{Failure, Shape};
use crate::supervisor::control::{Ask, Control};
use crate::supervisor::{self, Condition};
use card_core::exit::Exit;

/// The argument that makes this program the background process. Not a command: nobody is meant to type it.
pub const MARK: &str = "serve-embedded";
/// The argument that makes this program the one that is named behind it.
pub const BECOME: &str = "become";

/// What the background process tells who started it, once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Notice {
    Serving(Box<Record>),
    /// Another process serves this instance.
    Busy,
    Failed(Shape),
}

/// A background process that serves.
pub struct Detached {
    /// What it says of itself.
    pub record: Record,
    /// Ends an attached one when it is dropped.
    pub tie: Option<ChildStdin>,
}

/// Starts the background process; when it returns, the API answers. None if another process serves this instance.
/// `give_up` ends the attempt, and the process with it.
///
/// # Errors
/// What stood in its way; it is gone then and left nothing behind.
pub async fn spawn(plan: &Plan, give_up: impl Future<Output = Failure>) -> Result<Option<Detached>, Failure> {
    let paths = &plan.paths;
    let (log, mark) = log::open(paths).map_err(|error| state::directory(paths, &error))?;
    let mut child = Command::new(program())
        .arg(MARK)
        .envs(places())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| Failure::internal(format!("the background process can't be started: {error}")))?;
    let told = tokio::select! {
        told = converse(&mut child, plan) => told,
        failure = give_up => {
            let failure = unready(paths).await.into_iter().fold(failure, Failure::evidence);
            let _ = child.kill().await;
            // The lock that it may have had is free now; if another took it, that one cleared up.
            if let Ok(Some(_lock)) = Lock::take(paths) {
                end_orphans(paths, Duration::ZERO).await;
                let _ = clear_stale(paths);
            }
            return Err(failure);
        }
    };
    match told {
        Ok((Notice::Serving(record), tie)) => Ok(Some(Detached { record: *record, tie: plan.attached.then_some(tie) })),
        Ok((Notice::Busy, _)) => {
            let _ = child.wait().await;
            Ok(None)
        }
        Ok((Notice::Failed(shape), _)) => {
            // It has nothing left to do, and what is said of it, that nothing runs, is to be true.
            let _ = child.wait().await;
            Err(shape.into())
        }
        Err(error) => Err(died(&mut child, &mark, &error).await),
    }
}

/// What its children say, if it has any: which are not up yet, and how they ended last.
async fn unready(paths: &Paths) -> Vec<String> {
    let Ok(mut control) = Control::connect(paths).await else { return Vec::new() };
    let state = control.ask(Ask::State).await.map(|state| state.children).unwrap_or_default();
    let unready = state.iter().filter(|child| child.condition != Condition::Up);
    unready.map(supervisor::Child::words).collect()
}

async fn converse(child: &mut Child, plan: &Plan) -> io::Result<(Notice, ChildStdin)> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("its pipes are missing"));
    };
    let mut line = serde_json::to_string(plan)?;
    line.push('\n');
    stdin.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    BufReader::new(stdout).read_line(&mut answer).await?;
    if answer.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it exited without an error message"));
    }
    Ok((serde_json::from_str(&answer)?, stdin))
}

async fn died(child: &mut Child, mark: &LogMark, error: &io::Error) -> Failure {
    let _ = child.start_kill();
    let how = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
    let mut failure =
        Failure::new("start", Exit::NotReady, format!("the background process exited during startup: {how}"))
            .evidence(error)
            .fix("cardctl doctor")
            .left("nothing is running; the data is unchanged");
    for line in mark.said() {
        failure = failure.evidence(line);
    }
    failure
}

/// Variables that may name a place from where `up` was typed; the background process is elsewhere.
const PLACES: [&str; 10] = [
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGPASSFILE",
    "PGSERVICEFILE",
    "PGSYSCONFDIR",
    "KUBECONFIG",
];

/// The same places by names that are good from everywhere.
pub(crate) fn places() -> impl Iterator<Item = (&'static str, PathBuf)> {
    PLACES.into_iter().filter_map(|name| {
        let path = PathBuf::from(std::env::var_os(name).filter(|path| !path.is_empty())?);
        path.is_relative().then(|| std::path::absolute(path).ok().map(|path| (name, path))).flatten()
    })
}

/// Lets go of what whoever typed `up` had open and stood in, before anything is opened here: a lock, a pipe or a mounted
/// directory of theirs must not be held for as long as the platform runs. For processes that this program starts of itself.
pub fn let_go() {
    close_inherited();
    let _ = std::env::set_current_dir("/");
}

/// Becomes another program, with nothing of what whoever typed the command had open: for one that may leave something behind
/// that runs on. It finds what it is given by relative names, and keeps its standard streams.
#[must_use]
pub fn become_another(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    close_inherited();
    let Some(other) = arguments.next() else { return ExitCode::from(2) };
    let error = std::process::Command::new(&other).args(arguments).exec();
    let _ = writeln!(io::stderr(), "{}: {error}", other.display());
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

fn close_inherited() {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().filter_map(Result::ok);
    // All numbers first: the list is a descriptor itself, and is closed by then.
    let inherited: Vec<i32> =
        open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|fd| *fd > 2).collect();
    for fd in inherited {
        let _ = nix::unistd::close(fd);
    }
}

/// The background process.
#[must_use]
pub fn main() -> ExitCode {
    let_go();
    let mut line = String::new();
    let plan = io::stdin().lock().read_line(&mut line).map_err(Failure::internal).and_then(|_| {
        serde_json::from_str::<Plan>(&line)
            .map_err(|_| Failure::new("usage", Exit::Usage, "this is an internal command; use `cardctl up -d`"))
    });
    // A session of its own: a Ctrl-C or a hang-up of the terminal is not meant for it.
    let _ = nix::unistd::setsid();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let exit = match (plan, runtime) {
        (Ok(plan), Ok(runtime)) => runtime.block_on(serve(plan)),
        (Err(failure), _) => fail(&failure),
        (_, Err(error)) => fail(&Failure::internal(format!("the runtime can't start: {error}"))),
    };
    exit.into()
}

async fn serve(mut plan: Plan) -> Exit {
    // The log is read by `cardctl logs`, which shows it as text or JSON as it is asked to.
    plan.settings.log.format = LogFormat::Json;
    if let Err(error) = logs::install_as(&plan.settings.log, plan.component()) {
        return fail(&Failure::new("settings", Exit::Usage, error.to_string()).fix("cardctl config show"));
    }
    let stop = match listen(plan.attached) {
        Ok(stop) => stop,
        Err(error) => return fail(&Failure::internal(format!("signals can't be listened to: {error}"))),
    };
    let mut serving = match Serving::begin(&plan, true).await {
        Ok(Some(serving)) => serving,
        Ok(None) => {
            tell(&Notice::Busy);
            return Exit::Done;
        }
        Err(failure) => return fail(&failure),
    };
    tell(&Notice::Serving(Box::new(serving.record())));
    let Record { process: Process { pid, .. }, url, .. } = serving.record();
    tracing::info!(url, pid, "serving");
    let failed = serving.until(&stop).await;
    if let Some(part) = failed {
        tracing::error!(part, "a component exited unexpectedly; stopping the others");
    }
    tracing::info!("stopping");
    let drained = serving.end().await;
    tracing::info!(drained, "stopped");
    if failed.is_some() { Exit::Internal } else { Exit::Done }
}

/// Says it once; afterwards stdout leads nowhere, so that whoever waits for its end is not kept.
fn tell(notice: &Notice) {
    if let Ok(line) = serde_json::to_string(notice) {
        // Who asked may be gone: then nobody needs the answer.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
    if let Ok(nowhere) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(nowhere);
    }
}

fn fail(failure: &Failure) -> Exit {
    tell(&Notice::Failed(failure.document().error));
    tracing::error!(code = failure.code, "{}", failure.message);
    failure.exit
}

/// Any number of signals asks for one stop; an end of stdin does too if the process is attached.
fn listen(attached: bool) -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let mut signal = signal(kind)?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                stop.cancel();
            }
        });
    }
    if attached {
        let stop = stop.clone();
        std::thread::spawn(move || {
            let mut nothing = [0_u8; 64];
            while io::stdin().lock().read(&mut nothing).is_ok_and(|read| read > 0) {}
            stop.cancel();
        });
    }
    Ok(stop)
}
