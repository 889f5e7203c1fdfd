//! A Postgres that may be stopped, crashed and started again.

use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;
use std::{fs, iter};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use super::ports;
use super::process::{Process, directory, end_of, in_path, tied};
use super::waiting::{eventually, lock};

/// A minute: after a crash it recovers first.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);

/// How Postgres is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// `SIGINT`: open transactions are rolled back, a checkpoint is written.
    Fast,
    /// `SIGQUIT`: at once, as in a crash; the next start recovers from the log.
    Immediate,
}

/// Settings of a server besides the port and the durability, which is always on.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    settings: Vec<(String, String)>,
}

impl PostgresOptions {
    /// With a setting of `postgresql.conf`, such as `shared_buffers` and `1GB`. The last one of a name counts.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What a server on two cores with some memory would be given: for benchmarks, whose figures should not be those of
    /// Postgres' defaults, which are made for a machine of 1995.
    #[must_use]
    pub fn tuned() -> Self {
        Self::default()
            .with("shared_buffers", "1GB")
            .with("max_wal_size", "8GB")
            .with("min_wal_size", "1GB")
            .with("checkpoint_timeout", "15min")
            .with("wal_buffers", "64MB")
            .with("effective_cache_size", "4GB")
            .with("random_page_cost", "1.1")
    }
}

/// A Postgres of one's own: a superuser `card` who needs no password, durable commits, TCP on loopback and a socket.
pub struct Postgres {
    // First: the process ends before its directory goes.
    process: Mutex<Option<Process>>,
    port: u16,
    options: PostgresOptions,
    programs: PathBuf,
    /// `postgres`, if we are root: the server refuses to be.
    user: Option<User>,
    dir: TempDir,
    fsync: bool,
}

impl Postgres {
    /// Makes a cluster of databases, starts its server, and waits until it takes connections.
    ///
    /// # Panics
    /// There is no Postgres on this machine, or it does not start.
    #[must_use]
    pub fn start(options: PostgresOptions) -> Self {
        let user = geteuid().is_root().then(|| {
            let user = User::from_name("postgres").ok().flatten();
            user.expect(
                "Postgres does not run as root, and there is no user `postgres`: start the tests as another user",
            )
        });
        let dir = directory();
        if let Some(user) = &user {
            chown(dir.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .expect("root may give a directory away");
        }
        let process = Mutex::new(None);
        let mut postgres = Self { process, port: 0, options, programs: programs(), user, dir, fsync: true };
        postgres.make();
        // Somebody else may take the port between our look and the server's.
        for _ in 0..5 {
            postgres.port = ports::free();
            if postgres.launch() {
                return postgres;
            }
            let log = end_of(&postgres.log());
            assert!(log.contains("in use"), "Postgres did not start:\n{log}");
        }
        panic!("Postgres found no free port in five attempts");
    }

    /// A standby of this server that follows it, and takes connections that only read.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn standby(&self) -> Self {
        let dir = directory();
        if let Some(user) = &self.user {
            chown(dir.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .expect("root may give a directory away");
        }
        let (options, programs, user) = (self.options.clone(), self.programs.clone(), self.user.clone());
        let mut standby = Self { process: Mutex::new(None), port: 0, options, programs, user, dir, fsync: true };
        let mut command = Command::new(self.programs.join("pg_basebackup"));
        command.args([
            "--host=127.0.0.1",
            "--username=card",
            "--checkpoint=fast",
            "--write-recovery-conf",
            "--no-sync",
        ]);
        command.arg(format!("--port={}", self.port)).arg("--pgdata").arg(standby.data());
        let made = standby.owned(command).output().expect("pg_basebackup can be run");
        assert!(made.status.success(), "pg_basebackup failed:\n{}", String::from_utf8_lossy(&made.stderr));
        standby.port = ports::free();
        assert!(standby.launch(), "the standby did not start:\n{}", end_of(&standby.log()));
        standby
    }

    /// Makes a standby the primary.
    ///
    /// # Panics
    /// It does not become one.
    pub fn promote(&self) {
        let mut command = Command::new(self.programs.join("pg_ctl"));
        command.args(["promote", "--wait", "--pgdata"]).arg(self.data());
        let promoted = self.owned(command).output().expect("pg_ctl can be run");
        assert!(promoted.status.success(), "pg_ctl failed:\n{}", String::from_utf8_lossy(&promoted.stderr));
    }

    /// The same server, stopped before, started again as nobody should: its commits are lost with the power.
    ///
    /// # Panics
    /// It runs, or does not start.
    #[must_use]
    pub fn without_fsync(mut self) -> Self {
        self.fsync = false;
        self.start_again();
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ports::loopback(self.port)
    }

    /// The address of a database in it, over TCP. There is one from the beginning: `postgres`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        Self::url_at(self.address(), database)
    }

    /// The address through something in between, such as a [`Proxy`](super::Proxy).
    #[must_use]
    pub fn url_at(address: SocketAddr, database: &str) -> String {
        format!("postgres://card@{address}/{database}")
    }

    /// The address by the server's Unix socket, for programs that know libpq's parameters.
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port={}&user=card", self.dir.path().display(), self.port)
    }

    /// Where its socket, its data (`data`) and its log (`log`) are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// Stops it as told. Nothing happens if it does not run.
    pub fn stop(&self, how: Shutdown) {
        let signal = match how {
            Shutdown::Fast => Signal::SIGINT,
            Shutdown::Immediate => Signal::SIGQUIT,
        };
        if let Some(process) = lock(&self.process).take() {
            process.end(signal, STOP);
        }
    }

    /// `kill -9` of the server and of each of its processes, so that none has time for anything.
    pub fn kill(&self) {
        let Some(process) = lock(&self.process).take() else { return };
        // While it is stopped it starts none, and collects none, so that no id can become another process's.
        process.signal(Signal::SIGSTOP);
        eventually("the server stands still", STOP, || {
            matches!(state(process.id()), None | Some('T' | 'Z')).then_some(())
        });
        let children = children(process.id());
        for child in &children {
            let _ = kill(Pid::from_raw(*child), Signal::SIGKILL);
        }
        // The next start refuses while one of them still has the shared memory.
        let dead = |child: &i32| matches!(state(child.unsigned_abs()), None | Some('Z'));
        eventually("the server's processes are dead", STOP, || children.iter().all(dead).then_some(()));
    }

    /// Starts it again where it was, with its data, and waits until it takes connections.
    ///
    /// # Panics
    /// It runs, or does not start.
    pub fn start_again(&self) {
        assert!(lock(&self.process).is_none(), "Postgres runs already: stop or kill it first");
        assert!(self.launch(), "Postgres did not start again:\n{}", end_of(&self.log()));
    }

    /// [`stop`](Self::stop) and [`start_again`](Self::start_again).
    ///
    /// # Panics
    /// It does not start again.
    pub fn restart(&self, how: Shutdown) {
        self.stop(how);
        self.start_again();
    }

    fn make(&self) {
        let mut command = Command::new(self.programs.join("initdb"));
        command
            .args(["--auth=trust", "--username=card", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
            .arg(self.data());
        let made = self.owned(command).output().expect("initdb can be run");
        assert!(made.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&made.stderr));
    }

    /// False if the process ended before it took connections.
    fn launch(&self) -> bool {
        let mut command = tied(&self.programs.join("postgres"), "QUIT");
        command.arg("-D").arg(self.data());
        let own = [
            ("port", self.port.to_string()),
            ("listen_addresses", "127.0.0.1".into()),
            ("unix_socket_directories", self.dir.path().display().to_string()),
            // After those of the options: no figure here may come from a server that loses commits.
            ("fsync", if self.fsync { "on" } else { "off" }.into()),
            ("synchronous_commit", "on".into()),
        ];
        let options = self.options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in options.chain(own.iter().map(|(name, value)| (*name, value.as_str()))) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let process = Process::start(self.owned(command), &self.log());
        let ready = eventually("Postgres takes connections", START, || {
            if process.ended() { Some(false) } else { self.is_ready(process.id()).then_some(true) }
        });
        *lock(&self.process) = Some(process);
        ready
    }

    /// What `pg_ctl` looks at: the first line of this file is the server's id, the eighth its state.
    fn is_ready(&self, id: u32) -> bool {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        lines.next().is_some_and(|line| line.trim() == id.to_string())
            && lines.nth(6).is_some_and(|state| matches!(state.trim(), "ready" | "standby"))
    }

    fn owned(&self, mut command: Command) -> Command {
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command.current_dir(self.dir.path());
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Not killed: its children would outlive it for a moment, and write into a directory that goes.
        self.stop(Shutdown::Immediate);
    }
}

/// The folder of the newest Postgres: Debian keeps it outside of `PATH`.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<PathBuf> = versions.map(|version| version.path()).collect();
    versions.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    let debian = versions.into_iter().rev().map(|version| version.join("bin"));
    let path = iter::once_with(|| in_path("initdb")?.parent().map(Path::to_owned)).flatten();
    let found = debian.chain(path).find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file());
    found.expect("a Postgres is installed; on Debian: apt-get install postgresql, or run ./test")
}

/// The processes that a process started and has not collected.
fn children(parent: u32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// One letter, as in proc(5): `R` runs, `T` is stopped, `Z` is dead and not collected.
fn state(process: u32) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it may have spaces and brackets.
    text.rsplit_once(") ")?.1.chars().next()
}
