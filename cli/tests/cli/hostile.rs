//! A server, a cluster or a registry that answers with text which would act on a terminal, or on the CI system that reads the log: every command shows
//! it, and nothing of it acts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use card_core::plain;
use card_kube::testing::Fault;
use regex::Regex;
use serde_json::{Value, json};

use crate::kubernetes::trouble::crashed;
use crate::kubernetes::{Lab, NAMESPACE};
use crate::sandbox::{Ended, Sandbox};

/// Clears the screen, sets the title, rings, forges lines and commands, turns letters around, hides some.
pub(crate) const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;t\u{7}\r\n::error::forged\n##[error]forged\r##vso[task.complete]\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{7f}\u{0}\u{e0041}y";
const TASK: &str = "tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b";

/// What the server answers with.
#[derive(Debug, Clone, Copy)]
enum Answers {
    /// A problem, each of its texts hostile.
    Problems,
    /// What was asked for, each free text in it hostile.
    Documents,
    /// Hostile text that is no JSON.
    Garbage,
}

fn serve(answers: Answers) -> String {
    format!("http://{}", listening(move |path| answer(path, answers)))
}

/// Status, content type and body of the answer to a path; headers are hostile by themselves.
pub(crate) type Answer = (u16, &'static str, String);

/// Answers as told on a free port of loopback, as long as the test runs.
pub(crate) fn listening(answer: impl Fn(&str) -> Answer + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            std::thread::spawn(move || exchange(stream, answer));
        }
    });
    address
}

fn exchange(mut stream: TcpStream, answer: impl Fn(&str) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.split('?').next()?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if header.trim().is_empty() {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let (status, kind, body) = answer(&path);
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nx-request-id: a\u{9b}31mb\r\nserver: a\u{9b}31mb\r\n\
         www-authenticate: Basic realm=\"a\u{9b}31mb\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()
}

fn answer(path: &str, answers: Answers) -> Answer {
    match answers {
        Answers::Garbage => (200, "text/html", HOSTILE.to_owned()),
        Answers::Documents if path.ends_with("/events") => (
            200,
            "text/event-stream",
            format!("event: hello\ndata: {{\"from\":0}}\n\nid: 1\nevent: state\ndata: {}\n\n", task()),
        ),
        Answers::Documents => match document(path) {
            Some(document) => (if path == "/ready" { 503 } else { 200 }, "application/json", document.to_string()),
            None => (422, "application/problem+json", problem()),
        },
        Answers::Problems => (422, "application/problem+json", problem()),
    }
}

fn problem() -> String {
    json!({"type": HOSTILE, "title": HOSTILE, "status": 422, "detail": HOSTILE, "instance": HOSTILE, "code": "validation-failed",
        "request_id": HOSTILE, "errors": [{"pointer": HOSTILE, "detail": HOSTILE}]})
    .to_string()
}

fn error() -> Value {
    json!({"code": HOSTILE, "message": HOSTILE})
}

fn task() -> Value {
    json!({"id": TASK, "kind": "replacement", "owner": "usr_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b", "run": "nightly", "status": "dead",
        "attempts": 3, "accepted_at": "2026-01-31T12:00:00Z", "started_at": "2026-01-31T12:00:01Z",
        "settled_at": "2026-01-31T12:00:02Z", "result": {HOSTILE: HOSTILE}, "error": error()})
}

fn document(path: &str) -> Option<Value> {
    let time = "2026-01-31T12:00:02Z";
    Some(match path {
        "/health" => json!({"status": HOSTILE, "version": HOSTILE}),
        "/ready" => json!({"ready": false, "checks": [{"name": HOSTILE, "ok": false, "detail": HOSTILE}]}),
        "/api/v1/stats" => {
            json!({"queue": {"ready": 1, "running": 0, "retrying": 0, "dead": 1, "oldest_age_ms": 5, "paused": false},
            "accepted_total": 2, "settled_total": 1,
            "workers": [{"id": "wrk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b", "host": HOSTILE, "inflight": 1, "last_seen": time}]})
        }
        "/api/v1/tasks" | "/api/v1/dead-letters" => json!({"items": [task()], "next": HOSTILE}),
        "/api/v1/dead-letters/groups" => {
            json!({"items": [{"code": HOSTILE, "count": 1, "kinds": {"replacement": 1}, "oldest": time,
            "newest": time, "sample": TASK, "message": HOSTILE}], "total": 1, "next": null})
        }
        "/api/v1/dead-letters/retry" | "/api/v1/dead-letters/discard" => {
            json!({"matched": 1, "done": 1, "sample": [task()], "refused": [{"task": TASK, "code": "not-dead"}]})
        }
        // Its own answer is about users that were made: with these, orders are sent.
        "/api/v1/synthetic-users" => {
            let user =
                json!({"id": "usr_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b", "username": HOSTILE, "access_token": "a.b.c"});
            json!({"users": [user]})
        }
        path if path.ends_with("/attempts") => {
            json!({"items": [{"number": 1, "started_at": time, "ended_at": time, "status": "dead",
            "error": error()}]})
        }
        path if path.starts_with("/api/v1/tasks/") => task(),
        _ => return None,
    })
}

const COMMANDS: [&[&str]; 20] = [
    &["status"],
    &["doctor"],
    &["queue", "stats"],
    &["queue", "pause"],
    &["tasks", "list"],
    &["tasks", "get", TASK],
    &["tasks", "retry", TASK],
    &["tasks", "cancel", "--run", "nightly", "--reason", "r", "--dry-run"],
    &["tasks", "cancel", "--run", "nightly", "--reason", "r", "--yes"],
    &["dlq", "list", "--limit", "1"],
    &["dlq", "groups"],
    &["dlq", "show", TASK],
    &["dlq", "retry", "--task", TASK],
    &["dlq", "discard", "--task", TASK, "--reason", "gone", "--yes"],
    &["watch", TASK, "--timeout", "1s"],
    &["submit", "-c", "1", "-w", "--timeout", "1s"],
    &["users", "clean", "--run", "nightly"],
    &["env"],
    &["smoke", "--load", "1u/1s"],
    &["loadtest", "run", "-u", "1", "-d", "1s", "--ramp", "0s", "--settle", "0s", "--drain", "1s"],
];

#[test]
fn text_of_a_server_is_shown_by_every_command_and_acts_nowhere() {
    let shown: usize = std::thread::scope(|scope| {
        // Most of the time is spent on commands that wait.
        let parts = COMMANDS.chunks(COMMANDS.len() / 3);
        let pairs = parts
            .flat_map(|part| [Answers::Problems, Answers::Documents, Answers::Garbage].map(|answers| (answers, part)));
        let every = |(answers, part): (Answers, &'static [&[&str]])| {
            scope.spawn(move || {
                let (sandbox, url) = (Sandbox::new(), serve(answers));
                let with_target = |command: &&[&'static str]| [&["-t", &url], *command].concat();
                part.iter()
                    .map(|command| shown_by(&sandbox, &with_target(command), &format!("{answers:?}"), "4"))
                    .sum::<usize>()
            })
        };
        let every: Vec<_> = pairs.map(every).collect();
        every.into_iter().map(|one| one.join().unwrap()).sum()
    });
    // Many answers are told by their status or their place alone.
    assert!(shown >= 15, "what the server says is nowhere to be seen: {shown}");
}

#[test]
fn text_of_a_cluster_is_shown_by_every_command_and_acts_nowhere() {
    let commands: [&[&str]; 5] = [
        &["status", "-t", "kube"],
        &["doctor", "-t", "kube"],
        &["logs", "-t", "kube"],
        &["scale", "workers=2", "-t", "kube", "--wait-timeout", "1s"],
        &["down", "-t", "kube"],
    ];
    // Each in a cluster of its own: some wait, all of them beside each other.
    let shown = |command: Option<&[&str]>, refused: bool| {
        let lab = Lab::new("lab");
        lab.deployed();
        let from = if refused {
            lab.server.fail_always("", Fault::status(403, HOSTILE, HOSTILE));
            "refused"
        } else {
            broken(&lab);
            "told"
        };
        shown_by(&lab.sandbox, command.unwrap_or(&lab.up(&[])), from, "6")
    };
    let shown: usize = std::thread::scope(|scope| {
        let all = commands.into_iter().map(Some).chain([None]);
        let all = all.flat_map(|command| [(command, true), (command, false)]);
        let all: Vec<_> = all.map(|(command, refused)| scope.spawn(move || shown(command, refused))).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert!(shown >= 5, "what the cluster says is nowhere to be seen: {shown}");
}

/// A platform that does not come up, and whatever is said about it is hostile.
fn broken(lab: &Lab) {
    crashed(lab);
    let of = |kind| (kind, Some(NAMESPACE));
    let (kind, namespace) = of("Deployment");
    lab.server.edit((kind, namespace, "server"), "controller", "status", |server| {
        server["status"]["conditions"] =
            json!([{"type": "ReplicaFailure", "status": "True", "reason": HOSTILE, "message": HOSTILE}]);
    });
    let (kind, namespace) = of("Pod");
    lab.server.edit((kind, namespace, "server-1-a"), "kubelet", "status", |pod| {
        pod["spec"]["nodeName"] = HOSTILE.into();
        pod["status"]["message"] = HOSTILE.into();
        pod["status"]["conditions"] =
            json!([{"type": "PodScheduled", "status": "False", "reason": HOSTILE, "message": HOSTILE}]);
        let container = &mut pod["status"]["containerStatuses"][0];
        container["state"] = json!({"waiting": {"reason": HOSTILE, "message": HOSTILE}});
        container["lastState"]["terminated"]["reason"] = HOSTILE.into();
        container["lastState"]["terminated"]["message"] = HOSTILE.into();
    });
    for container in ["server", "server/previous"] {
        lab.server.log(NAMESPACE, "server-1-a", container, &format!("{HOSTILE}\nfatal: {HOSTILE}"));
    }
    let uid = lab.server.get(kind, namespace, "server-1-a").unwrap()["metadata"]["uid"].clone();
    lab.server.put(json!({"apiVersion": "v1", "kind": "Event", "reason": HOSTILE, "message": HOSTILE, "type": "Warning",
        "metadata": {"name": "told", "namespace": NAMESPACE}, "count": 3, "lastTimestamp": "2026-11-30T12:05:00Z",
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "server-1-a", "namespace": NAMESPACE, "uid": uid}}));
}

/// Runs a command in its forms, each for so many seconds; in how many streams what others said can be seen.
pub(crate) fn shown_by(sandbox: &Sandbox, command: &[&str], from: &str, seconds: &str) -> usize {
    let styles = Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    let run = |more: &[&str]| {
        // Some would go on asking for longer than a test may take. In the foreground the signal comes once: a second one ends
        // the program before it has said anything.
        let line = [&["--foreground", "-s", "INT", seconds, env!("CARGO_BIN_EXE_cardctl")], command, more].concat();
        let mut command = sandbox.program("timeout", &line);
        let ended =
            command.env("CARDCTL_OPERATOR_TOKEN", "op_of_a_test").env("GITHUB_ACTIONS", "true").output().unwrap();
        (format!("{} ({from})", line[5..].join(" ")), Ended::of(ended))
    };
    let mut shown = 0;
    let (line, ended) = run(&[]);
    for text in [&ended.stdout, &ended.stderr] {
        assert_inert(text, &line);
        shown += usize::from(text.contains("\\u001b"));
    }
    let (line, coloured) = run(&["--color", "always"]);
    for text in [&coloured.stdout, &coloured.stderr] {
        // Without our styles nothing is left that acts; the colours of others are none.
        assert_inert(&styles.replace_all(text, ""), &line);
    }
    let (line, json) = run(&["-o", "json"]);
    assert_inert(&json.stderr, &line);
    assert_inert(&json.stdout, &line);
    // Of what ends early there may be lines, or nothing where each is one of its own.
    assert!(!json.stdout.is_empty(), "{line} said nothing: {}", json.stderr);
    json.json();
    shown
}

fn assert_inert(text: &str, line: &str) {
    let acting: Vec<_> = text.chars().filter(|letter| plain::acts(*letter) && *letter != '\n').collect();
    assert!(acting.is_empty(), "{line}: {acting:?} in {text:?}");
    for written in text.lines() {
        let written = written.trim_start();
        // Our own commands to a CI system, which hold what others said as text.
        let own = ["error", "warning", "notice"]
            .iter()
            .any(|level| written.starts_with(&format!("::{level} title=Load test run_")));
        assert!(own || !written.starts_with("::"), "{line}: {text:?}");
        assert!(!written.contains("##[") && !written.contains("##vso["), "{line}: {text:?}");
        // No line break of others makes a line of ours.
        assert!(!["\\::error", "#\\#[error"].iter().any(|forged| written.starts_with(forged)), "{line}: {text:?}");
    }
}
