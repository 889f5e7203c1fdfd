use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use card_client::{Accept, Caller, Order};
use card_core::tasks::Status;
use card_kinds::add::{Add, Addition};
use cardctl::instance::{Lock, Paths, Process, Record};
use nix::sys::signal::Signal;

use crate::sandbox::{Ended, Sandbox, eventually, free_port};

#[test]
fn up_status_down() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!("up", sandbox.transcript(&["up", "-d", "--port", "0"]));
    insta::assert_snapshot!("status", sandbox.transcript(&["status"]));
    insta::assert_snapshot!("up_again", sandbox.transcript(&["up", "-d", "--port", "0"]));
    insta::assert_snapshot!("env", sandbox.transcript(&["env"]));
    assert_eq!(sandbox.expect(0, &["doctor", "-o", "json"]).json()["ok"], true);
    insta::assert_snapshot!("down", sandbox.transcript(&["down"]));
    insta::assert_snapshot!("down_again", sandbox.transcript(&["down"]));
    sandbox.assert_nothing_runs();
}

#[test]
fn the_documents_are_the_contracts() {
    let sandbox = Sandbox::new();
    let up = sandbox.expect(0, &["up", "-d", "--port", "0", "-o", "json"]).json();
    for key in ["instance", "target", "url", "engine", "pid", "state_dir", "workers", "ready_ms", "already_up"] {
        assert!(!up[key].is_null(), "{key}");
    }
    assert_eq!(up["already_up"], false);
    let status = sandbox.expect(0, &["status", "-o", "json"]).json();
    for path in [
        "/instance",
        "/target",
        "/url",
        "/up",
        "/api/ready",
        "/workers/0/id",
        "/workers/0/inflight",
        "/workers/0/last_seen",
        "/queue/ready",
        "/queue/running",
        "/queue/retrying",
        "/queue/dead",
        "/queue/oldest_age_ms",
        "/accepted_total",
        "/settled_total",
        "/version",
    ] {
        assert!(status.pointer(path).is_some_and(|value| !value.is_null()), "{path}: {status}");
    }
    assert_eq!(sandbox.expect(0, &["up", "-d", "-o", "json"]).json()["already_up"], true);
}

#[test]
fn workers_of_some_kinds_are_part_of_what_runs_and_need_no_add_to_be_ready() {
    let sandbox = Sandbox::new();
    let unknown = sandbox.expect(2, &["up", "-d", "--kinds", "purchase,purchases"]);
    assert!(
        unknown.stderr.contains("'purchases'") && unknown.stderr.contains("must be one of replacement, add, purchase")
    );
    sandbox.expect(0, &["up", "-d", "--port", "0", "--kinds", "purchase"]);
    assert_eq!(sandbox.record().settings["worker.kinds"].value, "purchase");
    sandbox.expect(0, &["submit", "--kind", "purchase", "-c", "3", "-w", "--timeout", "60s", "--progress", "none"]);
    sandbox.expect(0, &["submit", "-c", "2", "--progress", "none"]);
    let status = sandbox.expect(0, &["status", "-o", "json"]).json();
    assert_eq!((&status["queue"]["ready"], &status["accepted_total"]), (&2.into(), &5.into()), "{status}");
    assert!(sandbox.expect(0, &["up", "-d"]).stdout.contains("already up"));
    let differs = sandbox.expect(3, &["up", "-d", "--kinds", "purchase,replacement"]);
    assert!(differs.stderr.contains("worker.kinds: running with \"purchase\""), "{}", differs.stderr);
    sandbox.expect(0, &["up", "-d", "--restart", "--kinds", "add,replacement"]);
    let ended = sandbox.expect(0, &["status", "--wait", "--for", "idle", "--timeout", "60s", "-o", "json"]).json();
    assert_eq!(ended["settled_total"], 6, "two replacements and the add that showed it ready: {ended}");
}

#[tokio::test]
async fn down_keeps_the_data() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let accept = Accept { caller: Caller::Operator, key: None, run: None };
    let task = sandbox.client().accept(&Order::of::<Addition>(&Add { x: 1, y: 2 }), accept).await.unwrap();
    sandbox.expect(0, &["down"]);
    sandbox.up();
    let found =
        sandbox.client().task(task.id, Some(std::time::Duration::from_secs(10)), Caller::Operator).await.unwrap();
    assert_eq!(found.status, Status::Succeeded);
}

#[test]
fn purge_needs_a_yes_and_deletes() {
    let sandbox = Sandbox::new();
    let record = sandbox.up();
    insta::assert_snapshot!("purge_unconfirmed", sandbox.transcript(&["down", "--purge"]));
    assert!(record.process.is_alive(), "a refusal stops nothing");
    sandbox.expect(0, &["down", "--purge", "--yes"]);
    assert!(!sandbox.paths().dir.exists());
    assert!(!record.process.is_alive());
}

#[test]
fn another_configuration_is_shown_and_restart_applies_it() {
    let sandbox = Sandbox::new();
    let before = sandbox.up();
    insta::assert_snapshot!("differs", sandbox.transcript(&["up", "-d", "--workers", "2"]));
    assert_eq!(sandbox.record().process, before.process, "nothing was touched");
    sandbox.expect(0, &["up", "-d", "--workers", "2", "--restart"]);
    assert_eq!(sandbox.record().workers, 2);
    assert!(!before.process.is_alive());
}

#[test]
fn a_busy_port_that_was_asked_for_names_its_holder_and_starts_nothing() {
    let sandbox = Sandbox::new();
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let ended = sandbox.expect(3, &["up", "-d", "--port", &port]);
    assert!(ended.stderr.contains(&format!("process {}", std::process::id())), "{}", ended.stderr);
    assert!(ended.stderr.contains("fix:"), "{}", ended.stderr);
    sandbox.assert_nothing_runs();
    assert!(!Paths::ledger(&sandbox.paths().dir).exists(), "nothing was started");
    let set = sandbox.command(&["up", "-d"]).env("CARDCTL_SERVER_PORT", &port).output().unwrap();
    assert_eq!(set.status.code(), Some(3), "a setting asks for it as much as a flag");
}

#[test]
fn a_stale_record_is_noticed_even_if_its_number_lives_again() {
    let sandbox = Sandbox::new();
    let killed = sandbox.up();
    killed.process.signal(Signal::SIGKILL).unwrap();
    eventually("killed", || !killed.process.is_alive());
    // This test's own number with another start time: a process that got the number later.
    let mut stale = Record::load(&sandbox.paths()).unwrap();
    stale.process = Process { started: Process::current().started + 1, ..Process::current() };
    stale.store(&sandbox.paths()).unwrap();
    sandbox.expect(4, &["env"]);
    insta::assert_snapshot!("stale", sandbox.transcript(&["up", "-d", "--port", "0"]));
}

#[test]
fn of_two_ups_at_once_one_starts_and_both_succeed() {
    let sandbox = Sandbox::new();
    let port = free_port().to_string();
    let spawn = || {
        let mut command = sandbox.command(&["up", "-d", "--port", &port, "-o", "json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let ups: Vec<_> = (0..4).map(|_| spawn()).collect();
    let ended: Vec<_> = ups.into_iter().map(|up| Ended::of(up.wait_with_output().unwrap())).collect();
    assert!(
        ended.iter().all(|ended| ended.code == Some(0)),
        "{:?}",
        ended.iter().map(|ended| &ended.stderr).collect::<Vec<_>>()
    );
    let documents: Vec<_> = ended.iter().map(Ended::json).collect();
    assert_eq!(documents.iter().filter(|document| document["already_up"] == false).count(), 1);
    assert!(documents.iter().all(|document| document["pid"] == documents[0]["pid"]));
    assert_eq!(sandbox.processes().len(), 1);
}

#[test]
fn instances_stand_side_by_side() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["--instance", "two", "up", "-d", "--port", "0"]);
    sandbox.expect(0, &["down"]);
    sandbox.expect(0, &["--instance", "two", "status"]);
    sandbox.expect(4, &["status"]);
}

#[test]
fn secrets_are_their_owners_and_never_printed() {
    let sandbox = Sandbox::new();
    let record = sandbox.up();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&record.data_dir), 0o700);
    let token_file = Paths::operator_token(&record.data_dir);
    assert_eq!(mode(&token_file), 0o600);
    assert_eq!(mode(&Paths::signing_key(&record.data_dir)), 0o600);
    let token = std::fs::read_to_string(token_file).unwrap();
    for arguments in [&["status"][..], &["env"], &["env", "json"], &["doctor"], &["config", "show"], &["logs"]] {
        let ended = sandbox.run(arguments);
        assert!(!ended.stdout.contains(token.trim()) && !ended.stderr.contains(token.trim()), "{arguments:?}");
    }
}

#[test]
fn the_foreground_serves_until_it_is_asked_to_stop() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["up", "--port", "0", "-o", "jsonl"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let document: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&document["v"], &document["already_up"]), (&1.into(), &false.into()));
    sandbox.expect(0, &["status"]);
    Process::of(child.id()).unwrap().signal(Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    sandbox.expect(4, &["status"]);
}

#[test]
fn ephemeral_data_is_gone_afterwards_even_after_a_kill() {
    let sandbox = Sandbox::new();
    sandbox.expect(0, &["up", "-d", "--ephemeral", "--port", "0"]);
    let first = sandbox.record();
    assert!(first.data_dir.starts_with(sandbox.path().join("tmp")) && first.data_dir.is_dir());
    sandbox.expect(0, &["down"]);
    assert!(!first.data_dir.exists());
    sandbox.expect(0, &["up", "-d", "--ephemeral", "--port", "0"]);
    let second = sandbox.record();
    second.process.signal(Signal::SIGKILL).unwrap();
    eventually("killed", || !second.process.is_alive());
    sandbox.expect(0, &["up", "-d", "--port", "0"]);
    assert!(!second.data_dir.exists(), "the next up clears up");
}

#[test]
fn the_log_is_read_and_filtered() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let lines = sandbox.expect(0, &["logs", "-o", "jsonl"]).stdout;
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["v"] == 1));
    assert!(lines.iter().any(|line| line["component"] == "process" && line["message"] == "serving"));
    assert_eq!(sandbox.expect(0, &["logs", "--level", "error"]).stdout, "");
    let document = sandbox.expect(0, &["logs", "process", "-o", "json"]).json();
    assert!(!document["lines"].as_array().unwrap().is_empty());
}

#[test]
fn an_up_that_waits_for_another_gives_up_in_time_and_can_be_interrupted() {
    let sandbox = Sandbox::new();
    sandbox.paths().create().unwrap();
    let _held = Lock::take(&sandbox.paths()).unwrap().unwrap();
    let ended = sandbox.expect(124, &["up", "-d", "--wait-timeout", "100ms"]);
    assert!(ended.stderr.contains("error[busy]"), "{}", ended.stderr);
    sandbox.expect(8, &["status"]);
    let mut command = sandbox.command(&["up", "-d"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut String::new()).unwrap();
    Process::of(child.id()).unwrap().signal(Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    sandbox.assert_nothing_runs();
}

#[test]
fn a_port_that_is_asked_for_later_is_a_difference() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let other = free_port().to_string();
    let ended = sandbox.expect(3, &["up", "-d", "--port", &other]);
    assert!(ended.stderr.contains("server.port"), "{}", ended.stderr);
    let same = sandbox.record().port().to_string();
    sandbox.expect(0, &["up", "-d", "--port", &same]);
}
