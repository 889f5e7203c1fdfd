//! `loadtest compare`: two results held against each other.

use card_client::latency::Percentiles;
use card_loadtests::plan::presets;
use card_loadtests::result::{
    Audit, Distribution, Errors, Generator, Phase, Platform, Rates, Report, Sample, Validity, Verdict,
};

use crate::sandbox::Sandbox;

/// A sound result of 30 s with this end-to-end p95 in milliseconds.
fn result(p95: f64) -> Report {
    let latency = |p95| Percentiles { n: 3000, p50: p95 / 2.0, p90: p95, p95, p99: p95, max: p95, mean: p95 / 2.0 };
    let second = |t: u32| Sample {
        t: f64::from(t),
        phase: Phase::Steady,
        target: 50.0,
        offered: 100.0,
        accepted: 100.0,
        completed: 100.0,
        accept_p50: Some(5.0),
        accept_p95: Some(10.0),
        accept_p99: Some(10.0),
        e2e_p50: Some(p95 / 2.0),
        e2e_p95: Some(p95),
        e2e_p99: Some(p95),
        ..Sample::default()
    };
    let correctness = Audit { verdict: Verdict::Pass, accepted: 3000, succeeded: 3000, ..Audit::default() };
    Report {
        v: 1,
        run: "run_made_up".into(),
        seed: 7,
        target: "embedded".into(),
        started_at: "2026-11-20T14:13:07Z".into(),
        took_ms: 35_000,
        platform: Platform { url: "http://127.0.0.1:7400".into(), version: None, workers: Some(1) },
        generator: Generator { version: "0.1.0".into(), cores: 2, shared: true },
        plan: presets::custom(),
        verdict: Verdict::Pass,
        exit: 0,
        ended_early: None,
        correctness,
        accept_ms: latency(10.0),
        accept_intended_ms: latency(10.0),
        e2e_ms: latency(p95),
        e2e_intended_ms: latency(p95),
        queue_wait_ms: latency(1.0),
        work_ms: latency(1.0),
        status_ms: None,
        reads: None,
        distribution: Distribution::default(),
        rates: Rates { offered: 100.0, accepted: 100.0, completed: 100.0 },
        errors: Errors::default(),
        slo: Vec::new(),
        steps: Vec::new(),
        breakpoint: None,
        validity: Validity { verdict: Verdict::Pass, ..Validity::default() },
        regression: None,
        generators: Vec::new(),
        timeline: (1..=30).map(second).collect(),
    }
}

fn write(sandbox: &Sandbox, name: &str, report: &Report) {
    std::fs::write(sandbox.work().join(name), serde_json::to_vec(report).unwrap()).unwrap();
}

/// `a.json` and results that are the same, slower, and of another shape.
fn results(sandbox: &Sandbox) {
    write(sandbox, "a.json", &result(100.0));
    write(sandbox, "same.json", &result(101.0));
    write(sandbox, "slower.json", &result(200.0));
    let mut other = result(100.0);
    other.plan.stages[1].to = 100.0;
    write(sandbox, "other.json", &other);
}

#[test]
fn two_like_results_are_no_regression() {
    let sandbox = Sandbox::new();
    results(&sandbox);
    insta::assert_snapshot!("same", sandbox.transcript(&["loadtest", "compare", "a.json", "same.json"]));
    insta::assert_snapshot!("slower", sandbox.transcript(&["loadtest", "compare", "a.json", "slower.json"]));
    insta::assert_snapshot!("other", sandbox.transcript(&["loadtest", "compare", "a.json", "other.json"]));
}

#[test]
fn a_comparison_is_a_document_for_programs_and_markdown_for_a_page() {
    let sandbox = Sandbox::new();
    results(&sandbox);
    let compare =
        |code, file, more: &[&str]| sandbox.expect(code, &[&["loadtest", "compare", "a.json", file], more].concat());
    for (code, file, verdict) in
        [(0, "same.json", "pass"), (10, "slower.json", "fail"), (11, "other.json", "inconclusive")]
    {
        let document = compare(code, file, &["-o", "json"]).json();
        assert_eq!((&document["verdict"], &document["exit"]), (&verdict.into(), &code.into()));
        assert_eq!((&document["run"], &document["baseline"]), (&"run_made_up".into(), &"a.json".into()));
        assert!(compare(code, file, &["-o", "md"]).stdout.starts_with("**"));
    }
    let lines = compare(0, "same.json", &["-o", "jsonl"]).stdout;
    assert_eq!(lines.lines().count(), 1);
    let changes = &compare(10, "slower.json", &["-o", "json"]).json()["changes"];
    assert!(changes.as_array().unwrap().iter().any(|change| change["figure"] == "e2e.p95"), "{changes}");
}

#[test]
fn what_counts_in_a_comparison_can_be_chosen() {
    let sandbox = Sandbox::new();
    results(&sandbox);
    sandbox.expect(0, &["loadtest", "compare", "a.json", "slower.json", "--fail-on", "errors,throughput"]);
    sandbox.expect(0, &["loadtest", "compare", "a.json", "slower.json", "--tolerance", "150%"]);
    sandbox.expect(10, &["loadtest", "compare", "a.json", "slower.json", "--fail-on", "p50"]);
}

#[test]
fn a_result_that_can_not_be_read_is_exit_3() {
    let sandbox = Sandbox::new();
    results(&sandbox);
    std::fs::write(sandbox.work().join("text"), "no JSON").unwrap();
    std::fs::write(sandbox.work().join("later.json"), r#"{"v":2}"#).unwrap();
    for file in ["nowhere.json", "text", "later.json", "."] {
        for pair in [["a.json", file], [file, "a.json"]] {
            let ended = sandbox.expect(3, &["loadtest", "compare", pair[0], pair[1]]);
            assert!(ended.stderr.contains("error[result]") && ended.stderr.contains("fix:"), "{}", ended.stderr);
        }
    }
}

#[test]
fn markdown_is_for_comparisons_alone() {
    let sandbox = Sandbox::new();
    for arguments in [&["status"][..], &["loadtest", "run"], &["config", "show"]] {
        let ended = sandbox.expect(2, &[arguments, &["-o", "md"]].concat());
        assert!(ended.stderr.contains("possible values: text, json, jsonl]"), "{}", ended.stderr);
    }
    let ended = sandbox.expect(2, &["loadtest", "compare", "a", "b", "-o", "yaml"]);
    assert!(ended.stderr.contains("possible values: text, json, jsonl, md]"), "{}", ended.stderr);
}
