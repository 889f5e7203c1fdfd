//! `loadtest run` and `loadtest compare`: what is typed, what is said, what is left behind.

use std::path::Path;
use std::process::Stdio;

use cardctl::instance::Process;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::masked::masked;
use crate::sandbox::{Ended, Sandbox, eventually, free_port};

/// A load that is over soon.
const SHORT: [&str; 8] = ["-u", "5", "-d", "2s", "--ramp", "0s", "--settle", "100ms"];

fn run<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["loadtest", "run"], &SHORT[..], more].concat()
}

fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

fn tasks_of(sandbox: &Sandbox, document: &Value) -> usize {
    let run = document["run"].as_str().unwrap();
    sandbox.expect(0, &["tasks", "list", "--run", run, "-o", "json"]).json()["items"].as_array().unwrap().len()
}

#[test]
fn help_leads_with_examples_and_groups_its_flags() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!("loadtest", sandbox.transcript(&["loadtest", "--help"]));
    insta::assert_snapshot!("run", sandbox.transcript(&["loadtest", "run", "--help"]));
    insta::assert_snapshot!("compare", sandbox.transcript(&["loadtest", "compare", "--help"]));
}

#[test]
fn what_can_not_be_read_is_exit_2_with_what_is_allowed() {
    let sandbox = Sandbox::new();
    for (arguments, allowed) in [
        (&["smokey"][..], "did you mean smoke?"),
        (&["-u", "0"], "1..="),
        (&["-u", "many"], "--users"),
        (&["-d", "5"], "250ms, 30s, 5m"),
        (&["--ramp", "slow"], "250ms, 30s, 5m"),
        (&["--drain=-1s"], "250ms, 30s, 5m"),
        (&["--steps", "10,ten"], "10,100,1000"),
        (&["--model", "opened"], "open (requests arrive at a fixed rate)"),
        (&["--rate", "fast"], "50/s or 600/m"),
        (&["--think", "1s..200ms"], "200ms..1s"),
        (&["--journey", "submits"], "submit:6,add:1"),
        (&["--slo", "e2e.p59<2s"], "did you mean p95?"),
        (&["--abort-on", "dead>5% for 10s"], "a second has errors"),
        (&["--max-degradation", "10"], "10%"),
        (&["--tolerance", "ten%"], "10%"),
        (&["--fail-on", "p59"], "did you mean p95?"),
        (&["--report", "pdf"], "possible values: html, md, json, junit"),
        (&["--runner", "cloud"], "possible values: local, job"),
        // Each may be read, and together they make no sense.
        (&["--model", "open"], "200/s"),
        (&["-u", "5", "--rate", "5/s"], "closed"),
        (&["-u", "5", "--steps", "5,10"], "steps"),
        (&["--max-degradation", "10%"], "at least two steps"),
    ] {
        let ended = sandbox.expect(2, &[&["loadtest", "run"], arguments].concat());
        assert!(ended.stderr.contains(allowed), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_mistake_in_a_promise_is_pointed_at() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["loadtest", "run", "--slo", "e2e.p59<2s"]));
}

#[test]
fn other_tools_flags_suggest_ours() {
    let sandbox = Sandbox::new();
    for (arguments, ours) in [
        (["--vus", "50"], "--users"),
        (["-z", "30s"], "--duration"),
        (["--spawn-rate", "5"], "--ramp"),
        (["--thresholds", "p95"], "--slo"),
    ] {
        let ended = sandbox.expect(2, &[&["loadtest", "run"], &arguments[..]].concat());
        assert!(ended.stderr.contains(&format!("fix: did you mean {ours}?")), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn with_nothing_running_it_says_what_starts_one() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(masked(&sandbox.transcript(&["loadtest", "run", "smoke"])));
    assert!(!sandbox.paths().dir.exists(), "nothing is left of a load test that never began");
}

#[test]
fn a_platform_that_is_not_there_or_not_ours_is_exit_4() {
    let sandbox = Sandbox::new();
    let url = format!("http://127.0.0.1:{}", free_port());
    let arguments = ["--target", &url, "loadtest", "run", "smoke", "--out", "out", "-o", "json"];
    assert_eq!(sandbox.expect(4, &arguments).json()["error"]["code"], "no-operator-token");
    let ended = sandbox.command(&arguments).env("CARDCTL_OPERATOR_TOKEN", "x").output().unwrap();
    let ended = Ended::of(ended);
    assert_eq!((ended.code, &ended.json()["error"]["code"]), (Some(4), &"unreachable".into()));
    assert!(!sandbox.work().join("out").exists());
}

#[test]
fn a_job_needs_a_cluster() {
    insta::assert_snapshot!(Sandbox::new().transcript(&["loadtest", "run", "smoke", "--runner", "job"]));
}

#[test]
fn what_is_in_the_way_is_said_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let stats = || sandbox.expect(0, &["queue", "stats", "-o", "json"]).json()["accepted_total"].clone();
    let before = stats();
    std::fs::write(sandbox.work().join("file"), "{}").unwrap();
    for (arguments, code, evidence) in [
        (["--out", "file/out"], "reports", "file/out"),
        (["--baseline", "nowhere.json"], "result", "there is no such file"),
        (["--baseline", "file"], "result", "not a load-test result"),
    ] {
        let ended = sandbox.expect(3, &[&run(&arguments)[..], &["-o", "json"]].concat());
        let document = ended.json();
        assert_eq!(document["error"]["code"], code, "{document}");
        assert!(ended.stderr.contains(evidence), "{}", ended.stderr);
    }
    assert_eq!(stats(), before);
    assert!(!sandbox.paths().dir.join("loadtests").exists());
}

#[test]
fn a_run_leaves_its_reports_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let ended = sandbox.expect(0, &run(&["--seed", "7", "--out", "out", "-o", "json"]));
    let document = ended.json();
    assert_eq!((&document["verdict"], &document["exit"], &document["seed"]), (&"pass".into(), &0.into(), &7.into()));
    let out = sandbox.work().join("out");
    assert_eq!(files(&out), ["journal.jsonl", "junit.xml", "report.html", "report.md", "result.json"]);
    assert_eq!(std::fs::read_to_string(out.join("result.json")).unwrap(), ended.stdout);
    let accepted = document["correctness"]["accepted"].as_u64().unwrap();
    assert!(accepted > 0 && document["correctness"]["succeeded"] == accepted, "{document}");
    assert!(ended.stderr.contains(&format!("{accepted} tasks")), "{}", ended.stderr);
    assert_eq!(tasks_of(&sandbox, &document), 0);
    assert!(!sandbox.paths().dir.join("loadtests").exists(), "what goes to --out goes nowhere else");
}

#[test]
fn a_report_that_can_not_be_written_is_said_and_changes_no_verdict() {
    let sandbox = Sandbox::new();
    sandbox.up();
    std::fs::create_dir_all(sandbox.work().join("out/report.html")).unwrap();
    let ended = sandbox.expect(0, &run(&["--out", "out"]));
    assert!(ended.stdout.starts_with("RESULT  PASS"), "{}", ended.stdout);
    assert!(ended.stdout.contains("out/report.md  result.json  junit.xml  journal.jsonl\n"), "{}", ended.stdout);
    assert!(ended.stderr.contains("error[reports]: out/report.html can't be written"), "{}", ended.stderr);
    let left = ["journal.jsonl", "junit.xml", "report.html", "report.md", "result.json"];
    assert_eq!(files(&sandbox.work().join("out")), left, "no temporary file is left");
}

#[test]
fn what_is_kept_can_be_removed_by_its_run() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let ended = sandbox.expect(0, &run(&["--keep", "--report", "json", "-o", "json"]));
    let document = ended.json();
    assert!(tasks_of(&sandbox, &document) > 0);
    let name = document["run"].as_str().unwrap();
    assert!(ended.stderr.contains(&format!("cardctl users clean --run {name}")), "{}", ended.stderr);
    assert_eq!(files(&sandbox.paths().dir.join("loadtests").join(name)), ["journal.jsonl", "result.json"]);
    sandbox.expect(0, &["users", "clean", "--run", name]);
    assert_eq!(tasks_of(&sandbox, &document), 0);
}

#[test]
fn people_get_a_verdict_with_its_parts_and_no_escape() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let ended = sandbox.expect(0, &run(&["--seed", "7"]));
    assert!(ended.stderr.starts_with("run run_") && ended.stderr.contains("seed 7  target embedded  5 users for 2s"));
    assert!(ended.stderr.contains("steady"), "progress is told in lines: {}", ended.stderr);
    assert!(!ended.stdout.contains('\x1b') && !ended.stderr.contains('\x1b'));
    assert!(ended.stdout.starts_with("RESULT  PASS (exit 0)  "), "{}", ended.stdout);
    for part in ["\n correctness PASS ", "\n slo         PASS ", "\n validity    PASS ", "/report.html  report.md  "] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let painted = sandbox.expect(0, &run(&["--color", "always", "--progress", "none"]));
    assert!(painted.stdout.contains("\x1b["), "{}", painted.stdout);
}

#[test]
fn a_missed_promise_is_exit_7_and_is_cleaned_up() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let ended = sandbox.expect(7, &run(&["--slo", "e2e.p50<1us", "-o", "json"]));
    let document = ended.json();
    assert_eq!((&document["verdict"], &document["exit"]), (&"fail".into(), &7.into()));
    assert_eq!(tasks_of(&sandbox, &document), 0);
    let text = sandbox.expect(7, &run(&["--slo", "none", "--slo", "e2e.p50<1us", "--progress", "none"])).stdout;
    assert!(text.starts_with("RESULT  FAIL (exit 7)  e2e.p50 "), "{text}");
    assert_eq!(text.matches("\n slo ").count(), 1, "{text}");
}

#[test]
fn too_few_samples_are_never_green() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let document = sandbox.expect(11, &run(&["--min-samples", "1000000", "-o", "json"])).json();
    assert_eq!(document["verdict"], "inconclusive");
}

#[test]
fn seconds_are_lines_and_the_result_is_the_last() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let ended = sandbox.expect(0, &run(&["-o", "jsonl", "--progress", "none"]));
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["v"] == 1));
    let (last, seconds) = lines.split_last().unwrap();
    assert_eq!((&last["type"], &last["verdict"]), (&"result".into(), &"pass".into()));
    assert!(seconds.iter().all(|line| line["type"] == "second"));
    let told: Vec<_> = seconds.iter().map(|line| &line["t"]).collect();
    let timeline: Vec<_> = last["timeline"].as_array().unwrap().iter().map(|sample| &sample["t"]).collect();
    assert_eq!(told, timeline);
    assert_eq!(ended.stdout.lines().last().unwrap().matches("\"v\":").count(), 1);
}

#[test]
fn a_reader_that_goes_away_is_success_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let script = "set -o pipefail; $CARDCTL loadtest run -u 2 -d 60s --ramp 0s --settle 0s -o jsonl 2>err | head -1";
    let ended = Ended::of(sandbox.program("bash", &["-c", script]).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", std::fs::read_to_string(sandbox.work().join("err")).unwrap());
    let said = std::fs::read_to_string(sandbox.work().join("err")).unwrap();
    assert!(said.contains("cleaned up: "), "{said}");
}

#[test]
fn the_last_result_that_is_like_it_is_the_baseline() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let last = ["--baseline", "last", "--tolerance", "1000%", "-o", "json"];
    let none = sandbox.expect(11, &run(&last)).json();
    assert_eq!(none["regression"]["verdict"], "inconclusive");
    assert_eq!(none["regression"]["unlike"][0], "no comparable baseline");
    assert_eq!(none["regression"]["notes"][0], "the next run with this configuration is compared with this one");
    let compared = sandbox.expect(0, &run(&last)).json();
    assert_eq!(compared["regression"]["baseline_run"], none["run"]);
    let other = ["loadtest", "run", "-u", "6", "-d", "2s", "--ramp", "0s", "--settle", "0s"];
    let other = sandbox.expect(11, &[&other[..], &last].concat()).json();
    let unlike = other["regression"]["unlike"].to_string();
    assert!(unlike.contains("no comparable baseline") && unlike.contains("users 5, here 6"), "{unlike}");
}

#[test]
fn an_interruption_ends_the_load_and_is_audited_and_reported() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let sandbox = Sandbox::new();
        sandbox.up();
        let mut command =
            sandbox.command(&["loadtest", "run", "-u", "3", "-d", "5m", "--ramp", "0s", "--out", "out", "-o", "json"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let ledger = sandbox.work().join("out/journal.jsonl");
        eventually("load", || std::fs::metadata(&ledger).is_ok_and(|file| file.len() > 1000));
        Process::of(child.id()).unwrap().signal(signal).unwrap();
        let ended = Ended::of(child.wait_with_output().unwrap());
        let document = ended.json();
        assert_eq!((ended.code, &document["exit"]), (Some(code), &code.into()), "{}", ended.stderr);
        assert!(document["ended_early"].is_string(), "{document}");
        assert!(ended.stderr.contains("again to quit at once"), "{}", ended.stderr);
        let kept = std::fs::read_to_string(sandbox.work().join("out/result.json")).unwrap();
        assert_eq!(kept, ended.stdout);
        assert_eq!(document["correctness"]["verdict"], "pass", "{document}");
        assert_eq!(tasks_of(&sandbox, &document), 0);
    }
}

#[test]
fn a_second_interruption_quits_at_once() {
    let sandbox = Sandbox::new();
    sandbox.up();
    // Nothing becomes final, so the drain would take its five minutes.
    let mut command = sandbox.command(&[
        "loadtest",
        "run",
        "-u",
        "3",
        "-d",
        "5m",
        "--ramp",
        "0s",
        "--drain",
        "5m",
        "--out",
        "out",
        "--progress",
        "plain",
    ]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let ledger = sandbox.work().join("out/journal.jsonl");
    eventually("load", || std::fs::metadata(&ledger).is_ok_and(|file| file.len() > 1000));
    sandbox.expect(0, &["queue", "pause"]);
    let process = Process::of(child.id()).unwrap();
    // The kernel merges signals that are not taken yet: each is sent until it shows.
    eventually("quit", || {
        let _ = process.signal(Signal::SIGINT);
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(child.wait().unwrap().code(), Some(130));
    sandbox.expect(0, &["queue", "resume"]);
}

#[test]
fn a_pipeline_of_github_gets_annotations_and_a_summary() {
    let sandbox = Sandbox::new();
    sandbox.up();
    let summary = sandbox.work().join("summary.md");
    std::fs::write(&summary, "what was there\n").unwrap();
    let mut command = sandbox.command(&run(&["--slo", "e2e.p50<1us", "-o", "json"]));
    let output = command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    let ended = Ended::of(output);
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    ended.json();
    assert!(ended.stderr.lines().any(|line| line.starts_with("::error")), "{}", ended.stderr);
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("what was there\n") && summary.contains("e2e.p50<1us"), "{summary}");
}
