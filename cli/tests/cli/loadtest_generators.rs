//! `loadtest run --generators N`: several processes, one result.

use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::sandbox::{Ended, Sandbox, eventually};

/// A closed load of three for three seconds, over soon after.
const THREE: [&str; 12] =
    ["-u", "6", "-d", "3s", "--ramp", "0s", "--settle", "100ms", "--think", "20ms", "--generators", "3"];

fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["loadtest", "run"], &THREE[..], more].concat()
}

fn tasks_of(sandbox: &Sandbox, run: &str) -> usize {
    let listed = sandbox.expect(0, &["tasks", "list", "--run", run, "-o", "json"]).json();
    listed["items"].as_array().unwrap().len()
}

/// Processes of this program's generators, by their parent.
fn generators_of(parent: u32) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let main: Vec<i32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    // A child belongs to the thread that started it.
    let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let others = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let others: Vec<i32> = others
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .collect();
    let mut all = [main, others].concat();
    all.sort_unstable();
    all.dedup();
    all
}

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn result(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("result.json")).unwrap()).unwrap()
}

/// Starts a load by three that is longer than a test may be, and waits until it runs.
fn long(sandbox: &Sandbox, more: &[&str]) -> (std::process::Child, Vec<i32>) {
    let arguments = [&run(&["-d", "600s", "--out", "out"])[..], more].concat();
    // The last of two flags counts nowhere: one duration.
    let arguments: Vec<&str> = {
        let at = arguments.iter().position(|argument| *argument == "3s").unwrap();
        let mut arguments = arguments;
        arguments.drain(at - 1..=at);
        arguments
    };
    let child = sandbox.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ledger = sandbox.work().join("out/journal-3.jsonl");
    eventually("the load runs", || std::fs::read_to_string(&ledger).is_ok_and(|text| text.lines().count() > 3));
    let generators = generators_of(child.id());
    assert_eq!(generators.len(), 3);
    (child, generators)
}

/// The document of a load that is sound. A machine on which much else goes on may make requests late: that is told, and
/// nothing that is looked at here.
fn told(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let ended = sandbox.run(&[arguments, &["-o", "json"]].concat());
    let document = ended.json();
    let reasons = document["validity"]["reasons"].as_array().unwrap();
    let late = |reason: &Value| reason.as_str().is_some_and(|reason| reason.contains("started late"));
    let sound = ended.code == Some(0) || (ended.code == Some(11) && !reasons.is_empty() && reasons.iter().all(late));
    assert!(sound, "{:?}\n{}\n{}", ended.code, ended.stdout, ended.stderr);
    assert_eq!(document["correctness"]["verdict"], "pass");
    document
}

#[test]
fn three_processes_make_one_load_and_one_result() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let document = told(&sandbox, &run(&["--seed", "9", "--out", "out", "--keep"]));
    let accepted = document["correctness"]["accepted"].as_u64().unwrap();
    let generators = document["generators"].as_array().unwrap();
    let of_each: Vec<u64> = generators.iter().map(|part| part["accepted"].as_u64().unwrap()).collect();
    assert_eq!((of_each.len(), of_each.iter().sum::<u64>()), (3, accepted));
    assert_eq!(document["accept_ms"]["n"].as_u64(), Some(accepted), "without a ramp all are measured");
    assert!(generators.iter().all(|part| part["late_ms"].as_f64().unwrap() < 1000.0), "{generators:?}");
    // Six users at once, two of each, and every accepted id in a ledger of its sender.
    for (part, accepted) in generators.iter().zip(of_each) {
        let run = part["run"].as_str().unwrap();
        let ledger =
            std::fs::read_to_string(sandbox.work().join(format!("out/journal-{}.jsonl", part["number"]))).unwrap();
        assert!(ledger.starts_with(&format!(r#"{{"type":"run","v":1,"run":"{run}""#)), "{ledger}");
        assert_eq!(ledger.matches(r#""type":"accepted""#).count() as u64, accepted);
        let users: std::collections::HashSet<_> =
            ledger.lines().filter_map(|line| line.split("usr_").nth(1)).map(|rest| &rest[..32]).collect();
        assert_eq!(users.len(), 2, "{users:?}");
        assert_eq!(tasks_of(&sandbox, run) as u64, accepted.min(50));
        sandbox.expect(0, &["users", "clean", "--run", run]);
    }
    assert_eq!(result(&sandbox.work().join("out")), document);
    let barrier = format!("{}-barrier-1", document["run"].as_str().unwrap());
    assert_eq!(tasks_of(&sandbox, &barrier), 0, "where they met is cleaned up");
}

#[test]
fn steps_and_a_rate_are_shared_too_and_all_is_cleaned_up() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let arguments =
        ["loadtest", "run", "--model", "open", "--steps", "20,40", "-d", "1s", "--ramp", "0s", "--settle", "50ms"];
    let document = told(&sandbox, &[&arguments[..], &["--generators", "2", "--slo", "none"]].concat());
    let steps = document["steps"].as_array().unwrap();
    let sent: Vec<_> =
        steps.iter().map(|step| (step["rate"].as_f64(), step["n"].as_u64(), step["offered_ratio"].as_f64())).collect();
    assert_eq!(sent, [(Some(20.0), Some(20), Some(1.0)), (Some(40.0), Some(40), Some(1.0))]);
    for part in document["generators"].as_array().unwrap() {
        assert_eq!(tasks_of(&sandbox, part["run"].as_str().unwrap()), 0);
    }
}

#[test]
fn the_seconds_of_all_are_one_stream() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let ended = sandbox.run(&run(&["-o", "jsonl"]));
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, seconds) = lines.split_last().unwrap();
    assert_eq!(last["type"], "result");
    assert!(seconds.iter().all(|line| line["type"] == "second") && seconds.len() >= 3, "{}", ended.stdout);
    assert!(seconds.is_sorted_by(|one, next| one["t"].as_f64() < next["t"].as_f64()));
}

#[test]
fn a_generator_that_is_killed_is_never_green() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let (child, generators) = long(&sandbox, &["--slo", "none"]);
    kill(Pid::from_raw(generators[1]), Signal::SIGKILL).unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(11), "{}\n{}", ended.stdout, ended.stderr);
    let missing = "is missing: it was killed by SIGKILL";
    assert!(ended.stdout.contains(missing), "{}", ended.stdout);
    let document = result(&sandbox.work().join("out"));
    let there = document["generators"].as_array().unwrap().iter().filter(|part| part["missing"].is_null()).count();
    assert_eq!((there, &document["correctness"]["verdict"]), (2, &"inconclusive".into()));
    assert!(document["correctness"]["accepted"].as_u64() > Some(0), "what the others did is audited");
    assert!(ended.stderr.contains("not cleaned up"), "{}", ended.stderr);
}

#[test]
fn an_interruption_ends_all_of_them_and_what_was_accepted_is_audited() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let (child, generators) = long(&sandbox, &[]);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}\n{}", ended.stdout, ended.stderr);
    let document = result(&sandbox.work().join("out"));
    let correctness = &document["correctness"];
    assert_eq!((&correctness["verdict"], &document["ended_early"]), (&"pass".into(), &"interrupted".into()));
    assert!(correctness["accepted"].as_u64() > Some(0));
    assert!(generators.iter().all(|pid| !is_alive(*pid)));
    assert!(ended.stderr.contains("cleaned up:"), "{}", ended.stderr);
}

#[test]
fn generators_end_with_who_started_them() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let (mut child, generators) = long(&sandbox, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("they are gone", || generators.iter().all(|pid| !is_alive(*pid)));
}

#[test]
fn a_rule_is_held_against_the_sum_and_ends_the_load_of_all() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let arguments =
        ["loadtest", "run", "--rate", "20/s", "-d", "60s", "--ramp", "0s", "--settle", "50ms", "--generators", "2"];
    // Each sends ten a second.
    let ended = sandbox.expect(7, &[&arguments[..], &["--abort-on", "offered>15/s for 2s"]].concat());
    // The sum of both, give or take what a second's edge cuts off.
    let offered = ended.stdout.split("ended early: offered ").nth(1).and_then(|rest| rest.split('/').next());
    let offered: f64 = offered.unwrap_or_default().parse().unwrap_or_else(|_| panic!("{}", ended.stdout));
    assert!((15.0..=25.0).contains(&offered), "{}", ended.stdout);
    // Nothing to end the load for: both are below it, and so is their sum.
    let short =
        ["loadtest", "run", "--rate", "20/s", "-d", "3s", "--ramp", "0s", "--settle", "50ms", "--generators", "2"];
    let document = told(&sandbox, &[&short[..], &["--abort-on", "offered>40/s for 2s"]].concat());
    assert_eq!((&document["ended_early"], document["correctness"]["accepted"].as_u64()), (&Value::Null, Some(60)));
}

#[test]
fn what_can_not_be_shared_is_exit_2() {
    let sandbox = Sandbox::new();
    for (arguments, told) in [
        (&["breakpoint", "--generators", "2"][..], "needs a single generator"),
        (&["-u", "3", "--generators", "4"], "4 generators need at least as many users"),
        (&["--generators", "0"], "1..=100"),
        (&["--generators", "101"], "1..=100"),
    ] {
        let ended = sandbox.expect(2, &[&["loadtest", "run"], arguments].concat());
        assert!(ended.stderr.contains(told), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn an_assignment_that_is_none_is_refused() {
    let sandbox = Sandbox::new();
    let generate = |assignment: &str, number: &str| {
        sandbox.run(&["loadtest", "generate", "--assignment", assignment, "--number", number])
    };
    let ended = generate("{}", "1");
    assert_eq!((ended.code, ended.stderr.contains("not an assignment")), (Some(2), true), "{}", ended.stderr);
    let ended = generate(r#"{"v":99,"new":true}"#, "1");
    assert_eq!((ended.code, ended.stderr.contains("version 99")), (Some(3), true), "{}", ended.stderr);
}
