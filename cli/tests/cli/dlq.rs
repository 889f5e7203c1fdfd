use std::io::{BufRead, BufReader};
use std::process::Stdio;

use card_client::{Behaviour, Client, Token};
use cardctl::instance::{Paths, Process};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::flawed_issuer::Issuer;
use crate::masked::masked;
use crate::sandbox::Sandbox;

/// A platform whose issuer fails, and so many dead letters.
fn with_letters(count: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    let settings = "[issuer]\nerror-rate = 1.0\n[worker.retry]\nmax-attempts = 2\nbase = '1ms'\n\
                    [worker.issuer]\nbreaker-min-calls = 100000\n";
    std::fs::write(sandbox.work().join("cardctl.toml"), settings).unwrap();
    sandbox.up();
    sandbox.expect(6, &["submit", "-c", &count.to_string(), "--run", "r", "-w"]);
    sandbox
}

fn with_dead_letters() -> Sandbox {
    with_letters(3)
}

/// Dead letters now, newest first.
fn letters(sandbox: &Sandbox) -> Vec<Value> {
    let list = sandbox.expect(0, &["dlq", "list", "--limit", "1000", "-o", "json"]).json();
    list["items"].as_array().unwrap().clone()
}

fn attempts(sandbox: &Sandbox, task: &Value) -> usize {
    let sheet = sandbox.expect(0, &["tasks", "get", task.as_str().unwrap(), "-o", "json"]).json();
    sheet["attempts"].as_array().unwrap().len()
}

async fn mend(sandbox: &Sandbox) {
    let record = sandbox.record();
    let token = std::fs::read_to_string(Paths::operator_token(&record.data_dir)).unwrap();
    let issuer = Client::new(&record.issuer_url.unwrap(), Some(Token::new(token.trim()))).unwrap();
    issuer.set_behaviour(&Behaviour(json!({ "error_rate": 0.0 }))).await.unwrap();
}

#[test]
fn dead_letters_are_listed_and_explained() {
    let sandbox = with_dead_letters();
    insta::assert_snapshot!(
        "list",
        masked(&sandbox.transcript(&["dlq", "list", "--error", "issuer", "--since", "1h"]))
    );
    insta::assert_snapshot!("none", masked(&sandbox.transcript(&["dlq", "list", "--error", "no such error"])));
    let list = sandbox.expect(0, &["dlq", "list", "-o", "json"]).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    let task = list["items"][0]["id"].as_str().unwrap();
    insta::assert_snapshot!("show", masked(&sandbox.transcript(&["dlq", "show", task])));
}

#[tokio::test]
async fn retrying_many_needs_a_yes_and_then_they_succeed() {
    let sandbox = with_dead_letters();
    mend(&sandbox).await;
    insta::assert_snapshot!("retry_unconfirmed", masked(&sandbox.transcript(&["dlq", "retry"])));
    let tried = sandbox.expect(0, &["dlq", "retry", "--dry-run", "-o", "json"]).json();
    assert_eq!((&tried["matched"], &tried["done"]), (&3.into(), &0.into()));
    let done = sandbox.expect(0, &["dlq", "retry", "--rate", "100/s", "--yes", "-o", "json"]).json();
    assert_eq!((&done["matched"], &done["done"]), (&3.into(), &3.into()));
    let summary = sandbox.expect(0, &["watch", "--run", "r", "--timeout", "20s", "-o", "json"]).json();
    assert_eq!(summary["succeeded"], 3);
}

#[tokio::test]
async fn one_can_be_retried_by_its_name() {
    let sandbox = with_dead_letters();
    mend(&sandbox).await;
    let list = sandbox.expect(0, &["dlq", "list", "-o", "json"]).json();
    let task = list["items"][0]["id"].as_str().unwrap();
    sandbox.expect(0, &["dlq", "retry", task]);
    sandbox.expect(0, &["tasks", "get", task, "--wait", "10s", "--exit-status"]);
}

#[test]
fn discarding_needs_a_reason_and_a_yes() {
    let sandbox = with_dead_letters();
    sandbox.expect(2, &["dlq", "discard"]);
    sandbox.expect(3, &["dlq", "discard", "--reason", "superseded"]);
    let done = sandbox.expect(0, &["dlq", "discard", "--reason", "superseded", "--yes", "-o", "json"]).json();
    assert_eq!((&done["matched"], &done["done"]), (&3.into(), &3.into()));
    assert_eq!(sandbox.expect(0, &["dlq", "list", "-o", "json"]).json()["items"], json!([]));
}

#[tokio::test]
async fn letters_are_counted_by_their_error() {
    let sandbox = with_letters(2);
    let record = sandbox.record();
    let token = std::fs::read_to_string(Paths::operator_token(&record.data_dir)).unwrap();
    let issuer = Client::new(&record.issuer_url.unwrap(), Some(Token::new(token.trim()))).unwrap();
    issuer.set_behaviour(&Behaviour(json!({ "error_rate": 0.0, "garbage_rate": 1.0 }))).await.unwrap();
    sandbox.expect(6, &["submit", "-c", "1", "--run", "other", "-w"]);
    insta::assert_snapshot!("groups", masked(&sandbox.transcript(&["dlq", "list", "--group"])));
    let groups = sandbox.expect(0, &["dlq", "list", "--group", "-o", "json"]).json();
    assert_eq!((&groups["total"], &groups["next"]), (&3.into(), &Value::Null));
    let sample = groups["items"][1]["sample"].as_str().unwrap();
    sandbox.expect(0, &["dlq", "show", sample]);
    let lines = sandbox.expect(0, &["dlq", "list", "--group", "--run", "other", "-o", "jsonl"]).stdout;
    let line: Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!((&line["code"], &line["count"]), (&"issuer-answered-garbage".into(), &1.into()));
    // More than what is listed: where to see the whole.
    insta::assert_snapshot!("list_cut", masked(&sandbox.transcript(&["dlq", "list", "--limit", "1", "--run", "r"])));
}

#[tokio::test]
async fn the_others_follow_canaries_that_live() {
    let sandbox = with_letters(6);
    mend(&sandbox).await;
    let ended = sandbox.expect(0, &["dlq", "retry", "--canary", "2", "--yes", "-o", "json"]).json();
    assert_eq!((&ended["matched"], &ended["done"], &ended["error"]), (&6.into(), &6.into(), &Value::Null));
    assert_eq!(ended["canary"]["verdict"], "passed");
    let fates = ended["canary"]["tasks"].as_array().unwrap();
    assert_eq!(fates.len(), 2);
    assert!(fates.iter().all(|fate| fate["status"] == "succeeded"), "{ended}");
    let summary = sandbox.expect(0, &["watch", "--run", "r", "--timeout", "20s", "-o", "json"]).json();
    assert_eq!(summary["succeeded"], 6);
}

#[test]
fn nothing_follows_a_canary_that_dies_again() {
    let sandbox = with_letters(6);
    let before = letters(&sandbox);
    insta::assert_snapshot!("canary_died", masked(&sandbox.transcript(&["dlq", "retry", "--canary", "2", "--yes"])));
    let ended = sandbox.expect(6, &["dlq", "retry", "--canary", "1", "--yes", "-o", "json"]).json();
    assert_eq!((&ended["matched"], &ended["done"]), (&6.into(), &1.into()));
    assert_eq!((&ended["canary"]["verdict"], &ended["error"]["exit"]), (&"died".into(), &6.into()));
    assert_eq!(ended["canary"]["tasks"][0]["error"]["code"], "issuer-unavailable");
    // The newest two were tried, one of them twice; the others were left alone.
    assert_eq!(letters(&sandbox).len(), 6);
    let tried: Vec<_> = before.iter().map(|letter| attempts(&sandbox, &letter["id"])).collect();
    assert_eq!(tried, [6, 4, 2, 2, 2, 2]);
}

#[tokio::test]
async fn nothing_follows_a_canary_that_does_not_end() {
    let sandbox = with_letters(3);
    mend(&sandbox).await;
    sandbox.expect(0, &["queue", "pause"]);
    let retry = ["dlq", "retry", "--canary", "1", "--canary-timeout", "50ms", "--yes"];
    insta::assert_snapshot!("canary_pending", masked(&sandbox.transcript(&retry)));
    assert_eq!(letters(&sandbox).len(), 2);
    sandbox.expect(2, &["dlq", "retry", "--canary-timeout", "1s"]);
}

#[tokio::test]
async fn some_are_discarded_and_the_others_stay() {
    let sandbox = with_letters(5);
    let before = letters(&sandbox);
    let tried =
        sandbox.expect(0, &["dlq", "discard", "--limit", "4", "--reason", "r", "--dry-run", "-o", "json"]).json();
    assert_eq!((&tried["matched"], &tried["done"]), (&4.into(), &0.into()));
    assert_eq!(tried["errors"], json!({"issuer-unavailable": 4}));
    assert_eq!(letters(&sandbox).len(), 5);
    let newest = before[0]["id"].as_str().unwrap();
    sandbox.expect(0, &["dlq", "discard", newest, "--reason", "the holder has a card"]);
    // What was discarded is no dead letter any more, and is not retried.
    insta::assert_snapshot!("retry_discarded", masked(&sandbox.transcript(&["dlq", "retry", newest])));
    let sheet = sandbox.expect(0, &["tasks", "get", newest, "-o", "json"]).json();
    assert!(sheet["task"]["error"]["message"].as_str().unwrap().contains("the holder has a card"), "{sheet}");
    let ended = sandbox
        .expect(0, &["dlq", "discard", "--limit", "2", "--rate", "100/s", "--reason", "old", "--yes", "-o", "jsonl"]);
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, second, summary] = lines.as_slice() else { panic!("{}", ended.stdout) };
    for (line, letter) in [(first, &before[1]), (second, &before[2])] {
        assert_eq!((&line["type"], &line["outcome"]), (&"letter".into(), &"discarded".into()));
        assert_eq!(line["task"], letter["id"]);
    }
    assert_eq!((&summary["type"], &summary["done"]), (&"summary".into(), &2.into()));
    let left: Vec<_> = letters(&sandbox).into_iter().map(|letter| letter["id"].clone()).collect();
    assert_eq!(left, [before[3]["id"].clone(), before[4]["id"].clone()]);
}

#[tokio::test]
async fn a_task_that_is_not_dead_is_refused_by_its_name() {
    let sandbox = with_letters(2);
    mend(&sandbox).await;
    sandbox.expect(0, &["submit", "--run", "well", "-w"]);
    let well = sandbox.expect(0, &["tasks", "list", "--run", "well", "-o", "json"]).json();
    let (well, dead) = (well["items"][0]["id"].as_str().unwrap(), letters(&sandbox)[0]["id"].clone());
    let ended = sandbox.expect(3, &["dlq", "retry", well, dead.as_str().unwrap(), "-o", "json"]).json();
    assert_eq!((&ended["matched"], &ended["done"]), (&1.into(), &1.into()));
    assert_eq!(ended["refused"], json!([{"task": well, "code": "not-dead"}]));
    let unknown = "tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b";
    insta::assert_snapshot!("unknown", masked(&sandbox.transcript(&["dlq", "discard", unknown, "--reason", "r"])));
}

#[tokio::test]
async fn ctrl_c_stops_between_two_and_says_how_far_it_came() {
    const ALL: usize = 20;
    let sandbox = with_letters(ALL);
    mend(&sandbox).await;
    let mut retry = sandbox.command(&["dlq", "retry", "--rate", "4/s", "--yes", "-o", "jsonl"]);
    let mut retry = retry.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(retry.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut told: Vec<String> = lines.by_ref().take(2).collect();
    Process::of(retry.id()).unwrap().signal(Signal::SIGINT).unwrap();
    told.extend(lines);
    let ended = retry.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    let mut told: Vec<Value> = told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = told.pop().unwrap();
    let done = told.len();
    assert!((2..ALL).contains(&done), "{done}");
    assert!(told.iter().all(|line| line["type"] == "letter" && line["outcome"] == "queued"), "{told:?}");
    assert_eq!((&summary["type"], &summary["done"]), (&"summary".into(), &done.into()));
    assert_eq!(summary["error"]["code"], "interrupted");
    let left = format!("{done} dead letters queued again, {} not", ALL - done);
    assert_eq!(summary["error"]["left"], left.as_str());
    assert!(String::from_utf8(ended.stderr).unwrap().contains(&left));
    assert_eq!(letters(&sandbox).len(), ALL - done);
    // The same again goes on with the rest.
    sandbox.expect(0, &["dlq", "retry", "--yes"]);
    let summary = sandbox.expect(0, &["watch", "--run", "r", "--timeout", "20s", "-o", "json"]).json();
    assert_eq!(summary["succeeded"], ALL);
}

#[test]
fn two_hundred_go_past_a_poison_task() {
    let issuer = Issuer::open();
    let sandbox = Sandbox::new();
    let settings = format!(
        "[worker]\nconcurrency = 4\n[worker.retry]\nmax-attempts = 3\nbase = '1ms'\n[worker.issuer]\nurl = '{}'\n",
        issuer.url
    );
    std::fs::write(sandbox.work().join("cardctl.toml"), settings).unwrap();
    sandbox.up();
    let summary = sandbox.expect(6, &["submit", "-c", "201", "--run", "r", "-w", "-o", "json"]).json();
    assert_eq!((&summary["succeeded"], &summary["dead"], &summary["pending"]), (&200.into(), &1.into(), &0.into()));
    let groups = sandbox.expect(0, &["dlq", "list", "--group", "-o", "json"]).json();
    let poison = issuer.poison();
    assert_eq!((&groups["total"], &groups["items"][0]["sample"]), (&1.into(), &poison.as_str().into()));
    insta::assert_snapshot!("poison", masked(&sandbox.transcript(&["tasks", "get", &poison])));
    issuer.cure();
    sandbox.expect(0, &["dlq", "retry", &poison]);
    sandbox.expect(0, &["tasks", "get", &poison, "--wait", "10s", "--exit-status"]);
}
