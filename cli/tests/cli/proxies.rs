//! Proxies that the environment names lead out to the internet. What is on this machine is never reached through one.

use std::io::Read;
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::kubernetes::Lab;
use crate::sandbox::{Ended, Sandbox};

/// Takes every connection, notes how it begins, and closes it.
struct Recorder {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

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

    fn assert_unused(&self) {
        assert!(self.seen.lock().unwrap().is_empty(), "{:?}", self.seen.lock().unwrap());
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
    // It is a proxy that would have been used.
    let (mut other, elsewhere) = (sandbox.command(&[]), "http://127.0.0.1:1");
    assert!(proxy.before(&mut other).get_envs().any(|(name, _)| name == "ALL_PROXY"));
    assert_ne!(run(&["-t", elsewhere, "status"]).code, Some(0));
    proxy.assert_unused();
}

#[test]
fn a_cluster_on_this_machine_is_never_reached_through_a_proxy() {
    let (lab, proxy) = (Lab::new("lab"), Recorder::start());
    let line = ["-t", "kube", "--context", "lab", "status"];
    let ended = Ended::of(proxy.before(&mut lab.command(&line)).output().unwrap());
    assert!(ended.stdout.contains("not running"), "{}\n{}", ended.stdout, ended.stderr);
    proxy.assert_unused();
}
