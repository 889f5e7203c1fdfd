use std::collections::HashSet;
use std::process::Stdio;

use serde_json::Value;

use crate::masked::masked;
use crate::sandbox::{Ended, Sandbox};

/// The durable events and the summary of a watch.
fn watch(sandbox: &Sandbox, arguments: &[&str]) -> (Vec<(u64, String)>, Value) {
    let ended = sandbox.expect(0, &[&["watch", "-o", "jsonl", "--timeout", "20s"], arguments].concat());
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let event = |line: &Value| Some((line["event_id"].as_u64()?, line["status"].as_str()?.to_owned()));
    (lines.iter().filter_map(event).collect(), lines.last().unwrap().clone())
}

#[test]
fn a_watch_from_an_event_tells_all_that_came_after_it_once() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["submit", "-c", "20", "--kind", "add", "--run", "r", "-w"]);
    let (all, summary) = watch(&sandbox, &["--run", "r", "--from", "0"]);
    assert_eq!((all.len(), &summary["succeeded"], &summary["gaps"]), (40, &20.into(), &0.into()));
    assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0), "in order and once: {all:?}");
    assert_eq!(all.iter().filter(|(_, status)| status == "succeeded").count(), 20);
    let middle = all[17].0.to_string();
    let (rest, summary) = watch(&sandbox, &["--run", "r", "--from", &middle]);
    assert_eq!(rest, all[18..]);
    assert_eq!(summary["succeeded"], 20);
}

#[test]
fn what_is_final_already_is_told_and_ends_the_watch() {
    let sandbox = Sandbox::new();
    sandbox.up();
    sandbox.expect(0, &["submit", "-c", "2", "--kind", "add", "--run", "r", "-w"]);
    insta::assert_snapshot!(masked(&sandbox.transcript(&["watch", "--run", "r"])));
    let list = sandbox.expect(0, &["tasks", "list", "--run", "r", "-o", "json"]).json();
    let ids: HashSet<_> = list["items"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap()).collect();
    let arguments: Vec<_> = ["watch"].into_iter().chain(ids).collect();
    sandbox.expect(0, &arguments);
}

#[test]
fn nothing_to_watch_ends_when_the_time_is_up() {
    let sandbox = Sandbox::new();
    sandbox.up();
    insta::assert_snapshot!("unknown_run", masked(&sandbox.transcript(&["watch", "--run", "r", "--timeout", "200ms"])));
    insta::assert_snapshot!("everything", masked(&sandbox.transcript(&["watch", "--all", "--timeout", "200ms"])));
    let unknown = "tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b";
    insta::assert_snapshot!("unknown_task", masked(&sandbox.transcript(&["watch", unknown])));
}

/// What the guide says to do: to watch a run here that is submitted there, each of whose tasks is final before the next comes.
#[test]
fn a_run_that_is_still_submitted_is_not_over() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let submitted = ["submit", "-c", "20", "--rate", "4/s", "--concurrency", "1", "--kind", "add", "--run", "slow"];
    for more in [&[][..], &["--expect", "20"]] {
        let mut watch =
            sandbox.command(&[&["watch", "--run", "slow", "--timeout", "60s", "-o", "json"], more].concat());
        let watching = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if more.is_empty() {
            sandbox.expect(0, &submitted);
        }
        let ended = Ended::of(watching.wait_with_output().unwrap());
        assert_eq!((ended.code, &ended.json()["succeeded"]), (Some(0), &20.into()), "{more:?}: {}", ended.stderr);
    }
    // Fewer than there are to be are not all.
    sandbox.expect(124, &["watch", "--run", "slow", "--expect", "21", "--timeout", "200ms"]);
}
