//! Proxies that the environment names lead out to the internet. What is on this machine is never reached through one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::kubernetes::Lab;
use crate::sandbox::{Ended, Sandbox, eventually};

/// Takes every connection, notes how it begins, and closes it.
struct Recorder {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

/// How the connection begins after which the recorder is asked: connections are taken one after the other, so that whatever
/// came before has been noted when this has.
const MARK: &str = "that is all";

impl Recorder {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut begin = [0; 256];
                let length = stream.read(&mut begin).unwrap_or(0);
                noted.lock().unwrap().push(String::from_utf8_lossy(&begin[..length]).into_owned());
            }
        });
        Self { address, seen }
    }

    /// The command with this as the proxy for everything, however that is said.
    fn before<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env(name, format!("http://{}", self.address));
        }
        command.env_remove("NO_PROXY").env_remove("no_proxy")
    }

    /// How every connection began that there was until now.
    fn seen(&self) -> Vec<String> {
        let mut mark = TcpStream::connect(&self.address).unwrap();
        mark.write_all(MARK.as_bytes()).unwrap();
        let is_marked = || self.seen.lock().unwrap().last().is_some_and(|last| last == MARK);
        eventually("the recorder has noted the last connection", is_marked);
        let mut seen = self.seen.lock().unwrap();
        seen.pop();
        seen.clone()
    }

    fn assert_unused(&self) {
        assert_eq!(self.seen(), [""; 0]);
    }

    /// It is a proxy that is used, in the same environment, for what is somewhere else.
    fn assert_would_be_used(&self, sandbox: &Sandbox) {
        let line = ["images", "verify", "198.51.100.7:5000/cards/card-server:sha-000000000000"];
        let ended = Ended::of(self.before(&mut sandbox.command(&line)).output().unwrap());
        assert_eq!(ended.code, Some(4), "{}", ended.stderr);
        let seen = self.seen();
        assert!(!seen.is_empty(), "nothing went through the proxy");
        for begin in seen {
            assert!(begin.starts_with("CONNECT 198.51.100.7:5000 "), "{begin}");
        }
    }
}

#[test]
fn a_platform_on_this_machine_is_never_reached_through_a_proxy() {
    let (sandbox, proxy) = (Sandbox::new(), Recorder::start());
    let run = |line: &[&str]| Ended::of(proxy.before(&mut sandbox.command(line)).output().unwrap());
    let expect = |code: i32, line: &[&str]| {
        let ended = run(line);
        assert_eq!(ended.code, Some(code), "{line:?}\n{}\n{}", ended.stdout, ended.stderr);
    };
    expect(0, &["up", "-d", "--port", "0"]);
    expect(0, &["status"]);
    expect(0, &["submit", "-c", "2", "-w"]);
    expect(0, &["tasks", "list"]);
    expect(0, &["doctor"]);
    expect(0, &["smoke"]);
    let url = sandbox.record().url;
    expect(0, &["-t", &url, "status"]);
    expect(0, &["down"]);
    proxy.assert_unused();
    proxy.assert_would_be_used(&sandbox);
}

#[test]
fn an_issuer_with_an_address_of_its_own_is_never_reached_through_a_proxy() {
    let (other, sandbox, proxy) = (Sandbox::new(), Sandbox::new(), Recorder::start());
    let issuer = other.up().issuer_url.unwrap();
    let run = |line: &[&str]| {
        let mut command = sandbox.command(line);
        command.env("CARDCTL_WORKER_ISSUER_URL", &issuer);
        let ended = Ended::of(proxy.before(&mut command).output().unwrap());
        assert_eq!(ended.code, Some(0), "{line:?}\n{}\n{}", ended.stdout, ended.stderr);
        ended
    };
    run(&["up", "-d", "--port", "0"]);
    let sent = run(&["submit", "-c", "3", "--kind", "replacement", "-w", "-o", "json"]).json();
    assert_eq!(sent["succeeded"], 3, "{sent}");
    run(&["down"]);
    proxy.assert_unused();
    proxy.assert_would_be_used(&sandbox);
}

#[test]
fn a_cluster_on_this_machine_is_never_reached_through_a_proxy() {
    let (lab, proxy) = (Lab::new("lab"), Recorder::start());
    let line = ["-t", "kube", "--context", "lab", "status"];
    let ended = Ended::of(proxy.before(&mut lab.command(&line)).output().unwrap());
    assert!(ended.stdout.contains("not running"), "{}\n{}", ended.stdout, ended.stderr);
    proxy.assert_unused();
    proxy.assert_would_be_used(&Sandbox::new());
}
