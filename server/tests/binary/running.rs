//! A process that was started and said that it is ready.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use card_core::process::Announcement;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::place::OPERATOR;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Running {
    pub(crate) said: Announcement,
    pub(crate) child: Child,
    stdout: BufReader<ChildStdout>,
    log: Arc<Mutex<String>>,
    client: Client,
}

impl Running {
    pub(crate) async fn start(command: Command) -> Self {
        Self::with_stdin(command, Stdio::null()).await.0
    }

    /// Its stdin is held by the test.
    pub(crate) async fn tied(command: Command) -> (Self, ChildStdin) {
        let (running, stdin) = Self::with_stdin(command, Stdio::piped()).await;
        (running, stdin.unwrap())
    }

    async fn with_stdin(mut command: Command, stdin: Stdio) -> (Self, Option<ChildStdin>) {
        let mut child = command.stdin(stdin).spawn().unwrap();
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let log = gather(child.stderr.take().unwrap());
        let mut line = String::new();
        timeout(PATIENCE, stdout.read_line(&mut line)).await.expect("it announces itself").unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}{}", log.lock().unwrap()));
        let client = card_http::local().timeout(PATIENCE).pool_max_idle_per_host(0).build().unwrap();
        (Self { said, child, stdout, log, client }, stdin)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.said.address))
    }

    /// Status and body, which is JSON if it says so.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path).bearer_auth(OPERATOR)).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        answer(self.request(Method::POST, path).bearer_auth(token).json(body)).await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.said.pid).unwrap())
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn logs(&self, text: &str) {
        eventually(text, async || self.log().contains(text)).await;
    }

    /// The end of its stdout: whatever it says after the announcement.
    pub(crate) async fn rest_of_stdout(&mut self) -> String {
        let mut rest = String::new();
        timeout(PATIENCE, self.stdout.read_to_string(&mut rest)).await.expect("its stdout ends").unwrap();
        rest
    }

    /// Its exit code, once it has ended.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end: {}", self.log())).unwrap().code()
    }

    /// Stops it as a service manager does.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        assert_eq!(self.ended().await, Some(0), "{}", self.log());
    }
}

/// Reads a log as it is written, so that whoever writes it is never held up.
fn gather(mut stderr: ChildStderr) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let gathered = Arc::clone(&log);
    tokio::spawn(async move {
        let mut bytes = Vec::new();
        while stderr.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
            *gathered.lock().unwrap() = String::from_utf8_lossy(&bytes).into_owned();
        }
    });
    log
}

pub(crate) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Looks again and again until it holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("it never came to be: {what}"));
}
