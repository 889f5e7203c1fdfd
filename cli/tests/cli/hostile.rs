//! A server that answers with text which would act on a terminal, or on the CI system that reads the log: every command shows
//! it, and nothing of it acts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use card_core::plain;
use regex::Regex;
use serde_json::{Value, json};

use crate::sandbox::{Ended, Sandbox};

/// Clears the screen, sets the title, rings, forges lines and commands, turns letters around, hides some.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;t\u{7}\r\n::error::forged\n##[error]forged\r##vso[task.complete]\u{9b}31m\u{202e}\u{2066}\u{200b}\u{feff}\u{7f}\u{0}\u{e0041}y";
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
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream, answers));
        }
    });
    url
}

fn answer(mut stream: TcpStream, answers: Answers) -> Option<()> {
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
    let (status, kind, body) = match answers {
        Answers::Garbage => (200, "text/html", HOSTILE.to_owned()),
        Answers::Documents if path.ends_with("/events") => (
            200,
            "text/event-stream",
            format!("event: hello\ndata: {{\"from\":0}}\n\nid: 1\nevent: state\ndata: {}\n\n", task()),
        ),
        Answers::Documents => match document(&path) {
            Some(document) => (if path == "/ready" { 503 } else { 200 }, "application/json", document.to_string()),
            None => (500, "application/problem+json", problem()),
        },
        Answers::Problems => (422, "application/problem+json", problem()),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nx-request-id: a\u{9b}31mb\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()
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
        path if path.ends_with("/attempts") => {
            json!({"items": [{"number": 1, "started_at": time, "ended_at": time, "status": "dead",
            "error": error()}]})
        }
        path if path.starts_with("/api/v1/tasks/") => task(),
        _ => return None,
    })
}

const COMMANDS: [&[&str]; 16] = [
    &["status"],
    &["doctor"],
    &["queue", "stats"],
    &["queue", "pause"],
    &["tasks", "list"],
    &["tasks", "get", TASK],
    &["tasks", "retry", TASK],
    &["dlq", "list", "--limit", "1"],
    &["dlq", "groups"],
    &["dlq", "show", TASK],
    &["dlq", "retry", "--task", TASK],
    &["dlq", "discard", "--task", TASK, "--reason", "gone", "--yes"],
    &["watch", TASK, "--timeout", "1s"],
    &["submit", "-c", "1", "-w", "--timeout", "1s"],
    &["users", "clean", "--run", "nightly"],
    &["env"],
];

#[test]
fn text_of_a_server_is_shown_by_every_command_and_acts_nowhere() {
    let shown: usize = std::thread::scope(|scope| {
        // Most of the time is spent on commands that wait.
        let halves = COMMANDS.chunks(COMMANDS.len() / 2);
        let pairs = halves
            .flat_map(|half| [Answers::Problems, Answers::Documents, Answers::Garbage].map(|answers| (answers, half)));
        let every: Vec<_> = pairs.map(|(answers, half)| scope.spawn(move || every_command(answers, half))).collect();
        every.into_iter().map(|one| one.join().unwrap()).sum()
    });
    // Many answers are told by their status or their place alone.
    assert!(shown >= 15, "what the server says is nowhere to be seen: {shown}");
}

/// How many streams showed what the server said.
fn every_command(answers: Answers, commands: &[&[&str]]) -> usize {
    let styles = Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    let (sandbox, url) = (Sandbox::new(), serve(answers));
    let run = |command: &[&str], more: &[&str]| {
        // Some would go on asking for longer than a test may take. In the foreground the signal comes once: a second one ends
        // the program before it has said anything.
        let line =
            [&["--foreground", "-s", "INT", "4", env!("CARGO_BIN_EXE_cardctl"), "-t", &url], command, more].concat();
        let mut command = sandbox.program("timeout", &line);
        let ended =
            command.env("CARDCTL_OPERATOR_TOKEN", "op_of_a_test").env("GITHUB_ACTIONS", "true").output().unwrap();
        (line[7..].join(" "), Ended::of(ended))
    };
    let mut shown = 0;
    for command in commands {
        let (line, ended) = run(command, &[]);
        for text in [&ended.stdout, &ended.stderr] {
            assert_inert(text, &line, answers);
            shown += usize::from(text.contains("\\u001b"));
        }
        let (line, coloured) = run(command, &["--color", "always"]);
        for text in [&coloured.stdout, &coloured.stderr] {
            // Without our styles nothing is left that acts; the colours of others are none.
            assert_inert(&styles.replace_all(text, ""), &line, answers);
        }
        let (line, json) = run(command, &["-o", "json"]);
        assert_inert(&json.stderr, &line, answers);
        assert!(!json.stdout.contains(|letter| plain::acts(letter) && letter != '\n'), "{line}: {:?}", json.stdout);
        assert!(!json.stdout.is_empty(), "{line} ({answers:?}) said nothing: {}", json.stderr);
        json.json();
    }
    shown
}

fn assert_inert(text: &str, line: &str, answers: Answers) {
    let acting: Vec<_> = text.chars().filter(|letter| plain::acts(*letter) && *letter != '\n').collect();
    assert!(acting.is_empty(), "{line} ({answers:?}): {acting:?} in {text:?}");
    for written in text.lines() {
        assert!(!written.trim_start().starts_with("::"), "{line} ({answers:?}): {text:?}");
        assert!(!written.contains("##[") && !written.contains("##vso["), "{line} ({answers:?}): {text:?}");
    }
}
