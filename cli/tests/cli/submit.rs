use std::process::Stdio;
use std::time::Duration;

use cardctl::instance::Process;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::masked::masked;
use crate::sandbox::{Ended, Sandbox, eventually, free_port};

fn accepted(sandbox: &Sandbox) -> u64 {
    let stats = sandbox.expect(0, &["queue", "stats", "-o", "json"]).json();
    stats["accepted_total"].as_u64().unwrap()
}

fn lines(ended: &Ended) -> Vec<Value> {
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["v"] == 1), "{lines:?}");
    lines
}

#[test]
fn one_request_watched_to_its_end() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let arguments = ["submit", "-w", "--reason", "stolen", "--seed", "7", "--progress", "none"];
    insta::assert_snapshot!(masked(&sandbox.transcript(&arguments)));
}

#[test]
fn the_document_is_the_contracts() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let document = sandbox.expect(0, &["submit", "-c", "50", "-w", "--seed", "7", "-o", "json"]).json();
    for (key, value) in [
        ("accepted", 50),
        ("succeeded", 50),
        ("declined", 0),
        ("dead", 0),
        ("pending", 0),
        ("lost", 0),
        ("duplicate", 0),
        ("seed", 7),
    ] {
        assert_eq!(document[key], value, "{key}: {document}");
    }
    for key in ["p50", "p95", "p99", "max"] {
        assert!(document["e2e_ms"][key].as_f64().is_some_and(|millis| millis > 0.0), "{key}");
    }
    let tasks = document["tasks"].as_array().unwrap();
    let users: std::collections::HashSet<_> = tasks.iter().map(|task| task["user"].as_str().unwrap()).collect();
    assert_eq!((tasks.len(), users.len()), (50, 50), "each request has a user of its own");
    assert!(tasks.iter().all(|task| task["status"] == "succeeded" && task["e2e_ms"].is_f64()), "{tasks:?}");
}

#[test]
fn a_stream_of_lines_ends_with_the_summary() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let lines = lines(&sandbox.expect(0, &["submit", "-c", "5", "--kind", "add", "-w", "-o", "jsonl"]));
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert_eq!((of("task.accepted"), of("summary")), (5, 1));
    assert_eq!(lines.last().unwrap()["succeeded"], 5);
    let ids: Vec<_> = lines.iter().filter_map(|line| line["event_id"].as_u64()).collect();
    assert!(!ids.is_empty(), "what is durable has its place in the log");
}

#[test]
fn declined_is_exit_6() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.work().join("cardctl.toml"), "[issuer]\ndecline-rate = 1.0\n").unwrap();
    sandbox.up();
    let document = sandbox.expect(6, &["submit", "-c", "3", "-w", "-o", "json"]).json();
    assert_eq!((&document["declined"], &document["lost"]), (&3.into(), &0.into()));
}

#[test]
fn what_is_pending_when_the_time_is_up_is_exit_124_and_can_be_followed() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["queue", "pause"]);
    let ended = sandbox.expect(124, &["submit", "-c", "3", "--run", "r", "-w", "--timeout", "300ms", "-o", "json"]);
    assert_eq!((&ended.json()["pending"], &ended.json()["lost"]), (&3.into(), &0.into()));
    assert!(ended.stderr.contains("to follow: cardctl watch --run r --from "), "{}", ended.stderr);
    sandbox.expect(0, &["queue", "resume"]);
    sandbox.expect(0, &["watch", "--run", "r", "--timeout", "10s"]);
}

#[test]
fn an_interruption_detaches_and_says_how_to_go_on() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["queue", "pause"]);
    let before = accepted(&sandbox);
    let mut command = sandbox.command(&["submit", "-c", "4", "--run", "r", "-w", "-o", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("accepted", || accepted(&sandbox) == before + 4);
    Process::of(child.id()).unwrap().signal(Signal::SIGINT).unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(ended.json()["pending"], 4);
    assert!(ended.stderr.contains("cardctl watch --run r"), "{}", ended.stderr);
    sandbox.expect(0, &["queue", "resume"]);
    sandbox.expect(0, &["watch", "--run", "r", "--timeout", "10s"]);
}

#[test]
fn nothing_is_lost_when_the_platform_is_killed_in_the_middle() {
    let sandbox = Sandbox::new();
    let port = free_port().to_string();
    let up = ["up", "-d", "--port", &port];
    sandbox.expect(0, &up);
    let mut command = sandbox.command(&["submit", "-c", "300", "--rate", "200/s", "-w", "-o", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for wanted in [60, 150] {
        eventually("under way", || accepted(&sandbox) >= wanted);
        sandbox.record().process.signal(Signal::SIGKILL).unwrap();
        eventually("gone", || cardctl::instance::Record::running(&sandbox.paths()).is_none());
        sandbox.expect(0, &up);
    }
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let document = ended.json();
    assert_eq!((&document["accepted"], &document["succeeded"]), (&300.into(), &300.into()), "{}", ended.stderr);
    assert_eq!((&document["lost"], &document["duplicate"]), (&0.into(), &0.into()));
}

#[test]
fn what_was_made_can_be_removed_at_once() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let ended = sandbox.expect(0, &["submit", "-c", "3", "--run", "r", "-w", "--cleanup"]);
    assert!(ended.stderr.contains("cleaned up: 3 users, 3 tasks"), "{}", ended.stderr);
    let left = sandbox.expect(0, &["tasks", "list", "--run", "r", "-o", "json"]).json();
    assert_eq!(left["items"], serde_json::json!([]));
}

#[test]
fn with_nothing_running_it_says_what_starts_one() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(masked(&sandbox.transcript(&["submit", "-c", "3"])));
}

#[test]
fn mistakes_are_exit_2() {
    let sandbox = Sandbox::new();
    for arguments in [
        &["submit", "-c", "0"][..],
        &["submit", "--rate", "fast"],
        &["submit", "--reason", "bored"],
        &["submit", "--kind", "add", "--reason", "lost"],
        &["submit", "--cleanup"],
        &["submit", "--run", "not a run"],
        &["watch"],
        &["watch", "--all", "--run", "r"],
        &["watch", "tsk_1"],
        &["smoke", "--load", "many"],
    ] {
        sandbox.expect(2, arguments);
    }
}

#[test]
fn a_reader_that_goes_away_is_success() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let script = "set -o pipefail; $CARDCTL submit -c 200 -w -o jsonl 2>/dev/null | head -1 >/dev/null";
    assert_eq!(sandbox.program("bash", &["-c", script]).status().unwrap().code(), Some(0));
}

#[test]
fn a_rate_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let begun = std::time::Instant::now();
    sandbox.expect(0, &["submit", "-c", "11", "--rate", "20/s", "--kind", "add", "-w"]);
    assert!(begun.elapsed() >= Duration::from_millis(500), "eleven at 20 a second take half a second");
}
