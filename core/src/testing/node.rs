//! One `redis-server` process, whatever its role, on a port that it keeps.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::ports;
use super::process::{Process, directory, end_of, in_path, tied};
use super::waiting::{eventually, lock};

const START: Duration = Duration::from_secs(30);

pub(super) struct Node {
    // First: the process ends before its directory goes.
    process: Mutex<Option<Process>>,
    port: u16,
    arguments: Vec<String>,
    dir: TempDir,
}

impl Node {
    /// Starts one with the arguments for a port and a directory, and waits until it answers.
    pub(super) fn start(arguments: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        // Somebody else may take the port between our look and the server's.
        for _ in 0..5 {
            let (port, dir) = (ports::free(), directory());
            let node = Self { process: Mutex::new(None), port, arguments: arguments(port, dir.path()), dir };
            if node.launch() {
                return node;
            }
            let log = node.end_of_log();
            assert!(log.contains("in use"), "redis-server did not start:\n{log}");
        }
        panic!("redis-server found no free port in five attempts");
    }

    pub(super) fn address(&self) -> SocketAddr {
        ports::loopback(self.port)
    }

    pub(super) fn kill(&self) {
        drop(lock(&self.process).take());
    }

    /// Starts it again where it was. Kills it first if it runs.
    pub(super) fn start_again(&self) {
        self.kill();
        assert!(self.launch(), "redis-server did not start again:\n{}", self.end_of_log());
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = lock(&self.process).as_ref() {
            process.signal(signal);
        }
    }

    /// Sends one command over a connection of its own.
    pub(super) fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let client = redis::Client::open(format!("redis://{}/", self.address()))?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut connection)
    }

    /// False if the process ended before it answered.
    fn launch(&self) -> bool {
        let program = in_path("redis-server");
        let program = program.expect("redis-server is in PATH; on Debian: apt-get install redis-server, or run ./test");
        let mut command = tied(&program, "KILL");
        command.args(&self.arguments).current_dir(self.dir.path());
        let process = Process::start(command, &self.dir.path().join("log"));
        let answers = eventually("redis-server answers", START, || {
            if process.ended() {
                return Some(false);
            }
            self.ask::<String>(&["PING"]).is_ok_and(|pong| pong == "PONG").then_some(true)
        });
        *lock(&self.process) = Some(process);
        answers
    }

    fn end_of_log(&self) -> String {
        end_of(&self.dir.path().join("log"))
    }
}

/// The arguments of a server that keeps nothing on disk, with settings of `redis.conf`.
pub(super) fn in_memory(port: u16, settings: &[(&str, &str)]) -> Vec<String> {
    let port = port.to_string();
    let common = [
        ("bind", "127.0.0.1"),
        ("port", &port),
        ("save", ""),
        ("appendonly", "no"),
        // Or a replica would begin with what its master once sent it.
        ("rdb-del-sync-files", "yes"),
    ];
    let settings = common.iter().chain(settings);
    settings.flat_map(|(name, value)| [format!("--{name}"), (*value).to_owned()]).collect()
}
