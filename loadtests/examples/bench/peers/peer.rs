//! The peers: how each is installed, run, fed and counted. What they do is in `celery_app.py` and `bullmq.mjs`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::program::Program;
use super::redis::Count;
use crate::{Failed, report};

const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/bench/peers");
const INSTALL: Duration = Duration::from_secs(300);

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// What it should be able to drain in a second; sizes the backlog, and learns.
    pub(super) expected: f64,
    /// Where its commands run.
    folder: PathBuf,
    installation: Vec<Vec<OsString>>,
    /// Takes `version`, `fill COUNT` or `feed AT_MOST`.
    program: Vec<OsString>,
    workers: Vec<Vec<OsString>>,
    pub(super) waiting: Count,
    pub(super) completed: Count,
}

/// Each peer, ready to run; one that can't be is named and left out.
pub(crate) async fn installed() -> Result<Vec<Peer>, Failed> {
    let me = std::env::current_exe()?;
    let target = me.ancestors().nth(3).ok_or("this program lies in target/…/examples")?;
    let tools = target.join("bench-tools");
    let mut ready = Vec::new();
    for mut peer in [celery(&tools), bullmq(&tools)] {
        match peer.install().await {
            Ok(()) => ready.push(peer),
            Err(why) => report!("{} is left out, it can't be installed: {why}", peer.name),
        }
    }
    Ok(ready)
}

fn celery(tools: &Path) -> Peer {
    let home = tools.join("celery");
    let python = home.join("bin/python");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "celery[redis]"];
    let worker = ["-m", "celery", "-A", "celery_app", "worker", "--pool", "prefork", "--concurrency", "2"];
    Peer {
        name: "celery",
        version: String::new(),
        expected: 3_000.0,
        folder: OURS.into(),
        installation: vec![
            vec!["python3".into(), "-m".into(), "venv".into(), "--clear".into(), home.into()],
            line(&python, &pip),
        ],
        program: line(&python, &["celery_app.py"]),
        workers: vec![line(&python, &worker)],
        waiting: Count { database: 0, command: &["LLEN", "celery"] },
        // Results have a database of their own: every key is one.
        completed: Count { database: 1, command: &["DBSIZE"] },
    }
}

fn bullmq(tools: &Path) -> Peer {
    let script = format!("{OURS}/bullmq.mjs");
    let worker = line("node", &[&script, "work", "50"]);
    // Nothing needs a package's own script: what is native comes built.
    let install = ["install", "--loglevel", "error", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "."];
    Peer {
        name: "bullmq",
        version: String::new(),
        expected: 25_000.0,
        folder: tools.join("bullmq"),
        installation: vec![line("npm", &[&install[..], &["bullmq@latest", "ioredis@latest"]].concat())],
        program: line("node", &[&script]),
        workers: vec![worker.clone(), worker],
        waiting: Count { database: 0, command: &["LLEN", "bull:noop:wait"] },
        completed: Count { database: 0, command: &["ZCARD", "bull:noop:completed"] },
    }
}

fn line(program: impl AsRef<OsStr>, arguments: &[&str]) -> Vec<OsString> {
    std::iter::once(program.as_ref()).chain(arguments.iter().map(OsStr::new)).map(ToOwned::to_owned).collect()
}

impl Peer {
    /// Once: afterwards it is found to be there by asking for its version.
    async fn install(&mut self) -> Result<(), Failed> {
        std::fs::create_dir_all(&self.folder)?;
        let log = tempfile::tempdir()?;
        let run = async |mut command: Command| {
            Program::start(self.name, &mut command, log.path().join("log"))?.finish(INSTALL).await
        };
        let version = match run(self.producer(0, &["version"])).await {
            Ok(version) => version,
            Err(_) => {
                report!("installing {}, once, into target/bench-tools", self.name);
                for step in &self.installation {
                    run(self.command(0, step)).await?;
                }
                run(self.producer(0, &["version"])).await?
            }
        };
        self.version = version;
        Ok(())
    }

    /// Its producer, with these arguments, against the Redis on this port.
    pub(super) fn producer(&self, port: u16, arguments: &[&str]) -> Command {
        self.command(port, &self.program.iter().cloned().chain(arguments.iter().map(Into::into)).collect::<Vec<_>>())
    }

    pub(super) fn workers(&self, port: u16) -> impl Iterator<Item = Command> {
        self.workers.iter().map(move |worker| self.command(port, worker))
    }

    fn command(&self, port: u16, line: &[OsString]) -> Command {
        let mut words = line.iter();
        let mut command = Command::new(words.next().map_or(OsStr::new(""), OsString::as_os_str));
        command
            .args(words)
            .current_dir(&self.folder)
            .env("PEER_REDIS_PORT", port.to_string())
            // The app lies among our sources: nothing is left there.
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}
