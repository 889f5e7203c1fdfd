//! A place of its own for one test: state, settings, working directory, port.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use card_client::{Client, Token};
use cardctl::instance::{Paths, Process, Record};
use nix::sys::signal::Signal;
use regex::Regex;

pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

/// What a run of the program came to.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("cardctl-test-").tempdir().unwrap();
        for name in ["home", "work", "tmp"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths { name: "default".into(), dir: self.path().join("state/cardctl/default") }
    }

    /// The program with nothing of this environment but the sandbox.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.program(env!("CARGO_BIN_EXE_cardctl"), arguments)
    }

    /// Another program, such as a shell, in the same environment.
    pub(crate) fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.work())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path().join("home"))
            .env("TMPDIR", self.path().join("tmp"))
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("CARDCTL", env!("CARGO_BIN_EXE_cardctl"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    /// Runs it and insists on its exit code.
    pub(crate) fn expect(&self, code: i32, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}\n{}\n{}", ended.stdout, ended.stderr);
        ended
    }

    /// `up -d` on any free port.
    pub(crate) fn up(&self) -> Record {
        self.expect(0, &["up", "-d", "--port", "0"]);
        self.record()
    }

    pub(crate) fn record(&self) -> Record {
        Record::running(&self.paths()).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        let record = self.record();
        let token = std::fs::read_to_string(Paths::operator_token(&record.data_dir)).unwrap();
        Client::new(&record.url, Some(Token::new(token.trim()))).unwrap()
    }

    /// Command line, exit code, stdout and stderr with what differs from run to run taken out.
    pub(crate) fn transcript(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        let mut text = format!("$ cardctl {}\nexit {}", arguments.join(" "), ended.code.unwrap());
        for (name, stream) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
            if !stream.is_empty() {
                write!(text, "\n--- {name}\n{}", stream.trim_end()).unwrap();
            }
        }
        self.still(&text)
    }

    fn still(&self, text: &str) -> String {
        let text = text.replace(&*self.path().to_string_lossy(), "[SANDBOX]");
        let filters = [
            (r"127\.0\.0\.1:\d+", "127.0.0.1:[PORT]"),
            (r"process( +)\d+", "process$1[PID]"),
            (r"wrk_[0-9a-f-]{36}", "[WORKER]"),
            (r"in \d+ ms", "in [MS] ms"),
            (r#"("pid"|"ready_ms"): \d+"#, "$1: [N]"),
            (r"cardctl-[A-Za-z0-9]{6}\b", "cardctl-[RANDOM]"),
            (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "[TIME]"),
        ];
        filters
            .iter()
            .fold(text, |text, (pattern, with)| Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned())
    }

    /// Processes that live in this sandbox, by their environment.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mark = format!("XDG_STATE_HOME={}/", self.path().display());
        let lives_here = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark.as_bytes()))
        };
        let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(lives_here).collect()
    }

    pub(crate) fn assert_nothing_runs(&self) {
        assert!(self.processes().is_empty(), "processes are left: {:?}", self.processes());
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for process in self.processes().into_iter().filter_map(Process::of) {
            let _ = process.signal(Signal::SIGKILL);
        }
    }
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// stdout as the one JSON document that it must be.
    pub(crate) fn json(&self) -> serde_json::Value {
        let document: serde_json::Value =
            serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout));
        assert_eq!(document["v"], 1, "{document}");
        document
    }
}

/// The status line with which a server of this machine answers a GET.
pub(crate) fn status_line(port: u16, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// A port that was free just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// An address that this machine has in a network, if it is in one. Nothing is sent to find out.
pub(crate) fn address_in_a_network() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("198.51.100.1", 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// Looks again and again until it holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to be: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
