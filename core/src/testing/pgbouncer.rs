//! A PgBouncer in front of a Postgres.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use super::ports;
use super::process::{Process, directory, end_of, in_path, tied};
use super::waiting::eventually;

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(10);

/// A pooler of one's own, configured as its package is but for the addresses, who may enter, and what a test says.
pub struct PgBouncer {
    // First: the process ends before its directory goes.
    process: Option<Process>,
    port: u16,
    _dir: TempDir,
}

impl PgBouncer {
    /// Starts one that leads to a server, for these users, and waits until it takes connections. Settings are lines such
    /// as `pool_mode = transaction`.
    ///
    /// # Panics
    /// There is no PgBouncer on this machine, or it does not start.
    #[must_use]
    pub fn start(server: SocketAddr, users: &[&str], settings: &[&str]) -> Self {
        let program = in_path("pgbouncer")
            .or_else(|| Some("/usr/sbin/pgbouncer".into()).filter(|path: &std::path::PathBuf| path.is_file()));
        let program = program.expect("a PgBouncer is installed; on Debian: apt-get install pgbouncer, or run ./test");
        // It refuses to be root.
        let user = geteuid()
            .is_root()
            .then(|| User::from_name("postgres").ok().flatten().expect("there is a user `postgres`"));
        let dir = directory();
        let port = ports::free();
        let list: Vec<String> = users.iter().map(|name| format!("\"{name}\" \"\"")).collect();
        let file = |name: &str, text: String| {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("a file in the temporary directory");
            if let Some(user) = &user {
                chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may give a file away");
            }
            path
        };
        let list = file("users", list.join("\n"));
        let ini = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\n{}\n",
            server.ip(),
            server.port(),
            list.display(),
            settings.join("\n")
        );
        let ini = file("pgbouncer.ini", ini);
        if let Some(user) = &user {
            chown(dir.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .expect("root may give a directory away");
        }
        let mut command = tied(&program, "KILL");
        command.arg(ini).current_dir(dir.path());
        if let Some(user) = &user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let log = dir.path().join("log");
        let process = Process::start(command, &log);
        let bouncer = Self { process: Some(process), port, _dir: dir };
        eventually("PgBouncer takes connections", START, || {
            let ended = bouncer.process.as_ref().is_some_and(Process::ended);
            assert!(!ended, "PgBouncer did not start:\n{}", end_of(Path::new(&log)));
            TcpStream::connect(bouncer.address()).ok()
        });
        bouncer
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ports::loopback(self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(Signal::SIGINT, STOP);
        }
    }
}
