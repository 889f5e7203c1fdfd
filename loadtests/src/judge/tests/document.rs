//! Hand-made documents: a sound run, steps and a search, to seed one cause in.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::judge::judge;
use crate::plan::{AbortRule, Growth, Model, Overrides, Plan, Slo, presets};
use crate::result::{
    Audit, Change, Distribution, Errors, Generator, Phase, Platform, Rates, Regression, Report, Sample, Step, Validity,
    Verdict,
};
use card_client::latency::Percentiles;

/// 50 users for 30 s: 12,000 requests, all accepted, all done once. Every promise of `slo` comes to the defaults.
pub(super) fn sound(slo: &[&str]) -> Report {
    let timeline = (1..=30).map(|second| second_at(f64::from(second))).collect();
    Report {
        v: 1,
        run: "run".to_owned(),
        seed: 1,
        target: "embedded".to_owned(),
        started_at: "2026-03-14T10:14:44Z".to_owned(),
        took_ms: 33_000,
        platform: Platform::default(),
        generator: Generator { version: "0.1.0".to_owned(), cores: 2, shared: true },
        plan: presets::custom().with(Overrides { slo: promises(slo), ..Overrides::default() }).unwrap(),
        verdict: Verdict::Inconclusive,
        exit: 1,
        ended_early: None,
        correctness: Audit { accepted: 12_000, succeeded: 11_900, declined: 100, ..Audit::default() },
        accept_ms: latency(12_000, 10.0),
        accept_intended_ms: latency(12_000, 20.0),
        e2e_ms: latency(12_000, 100.0),
        e2e_intended_ms: latency(12_000, 200.0),
        queue_wait_ms: latency(12_000, 50.0),
        work_ms: latency(12_000, 40.0),
        status_ms: None,
        reads: None,
        distribution: Distribution::default(),
        rates: Rates { offered: 400.0, accepted: 400.0, completed: 399.0 },
        errors: Errors::default(),
        slo: Vec::new(),
        steps: Vec::new(),
        breakpoint: None,
        validity: Validity { generator_cpu: 0.2, machine_cpu: Some(0.5), ..Validity::default() },
        regression: None,
        generators: Vec::new(),
        timeline,
    }
}

/// The same with 500 of 12,500 requests refused.
pub(super) fn with_errors(slo: &[&str]) -> Report {
    let by_code = BTreeMap::from([("overloaded".to_owned(), 500)]);
    Report { errors: Errors { rate: 0.04, by_code, ..Errors::default() }, ..sound(slo) }
}

/// Steps of so many users, all alike, 8 s each.
pub(super) fn stepped(sizes: &[u64], slo: &[&str]) -> Report {
    let sizes_as_typed = sizes.iter().map(|size| *size as f64).collect();
    let changes = Overrides { steps: Some(sizes_as_typed), slo: promises(slo), ..Overrides::default() };
    let steps = sizes.iter().enumerate().map(|(index, users)| Step { users: Some(*users), ..step(index) }).collect();
    Report { plan: presets::custom().with(changes).unwrap(), ..with_steps(steps) }
}

/// A search through these rates, in this order; all hold.
pub(super) fn searched(rates: &[f64]) -> Report {
    let steps = rates.iter().enumerate();
    let steps: Vec<Step> =
        steps.map(|(index, rate)| Step { rate: Some(*rate), offered_ratio: Some(1.0), ..step(index) }).collect();
    let growth = Some(Growth { from: 50.0, up_to: 20_000.0, refinements: 3 });
    let plan = Plan { growth, ..presets::breakpoint() };
    Report { plan: Plan { model: Model::Open, ..plan }, ..with_steps(steps) }
}

fn with_steps(steps: Vec<Step>) -> Report {
    let timeline = steps.iter().flat_map(|step| (1..=8).map(|second| second_at(step.from_s + f64::from(second))));
    Report { timeline: timeline.collect(), steps, ..sound(&[]) }
}

fn step(index: usize) -> Step {
    let from_s = 8.0 * index as f64;
    let (accept, e2e) = (latency(3000, 20.0), latency(3000, 200.0));
    Step {
        from_s,
        to_s: from_s + 8.0,
        accept_intended_ms: accept,
        accept_ms: accept,
        e2e_intended_ms: e2e,
        e2e_ms: e2e,
        queue_wait_ms: latency(3000, 50.0),
        work_ms: latency(3000, 40.0),
        accept_p50: accept.p50,
        accept_p95: accept.p95,
        accept_p99: accept.p99,
        e2e_p50: e2e.p50,
        e2e_p95: e2e.p95,
        e2e_p99: e2e.p99,
        n: 3000,
        e2e_n: 3000,
        queue_wait_p95: 50.0,
        work_p95: 40.0,
        rates: Rates { offered: 400.0, accepted: 400.0, completed: 400.0 },
        generator_cpu: 0.2,
        machine_cpu: Some(0.5),
        backlog_growth: Some(0.0),
        ..Step::default()
    }
}

/// Makes a step's accepts, or its ends, take so long.
pub(super) fn slow(step: &mut Step, accept_p95: Option<f64>, e2e_p95: Option<f64>) {
    if let Some(p95) = accept_p95 {
        step.accept_intended_ms = latency(step.n, p95);
        (step.accept_p50, step.accept_p95) = (step.accept_intended_ms.p50, p95);
    }
    if let Some(p95) = e2e_p95 {
        step.e2e_intended_ms = latency(step.e2e_n, p95);
        (step.e2e_p50, step.e2e_p95) = (step.e2e_intended_ms.p50, p95);
    }
}

pub(super) fn latency(n: u64, p95: f64) -> Percentiles {
    Percentiles { n, p50: p95 / 2.0, p90: p95 * 0.9, p95, p99: p95 * 2.0, max: p95 * 3.0, mean: p95 / 1.8 }
}

fn second_at(t: f64) -> Sample {
    Sample {
        t,
        lasted: 1.0,
        phase: Phase::Steady,
        target: 50.0,
        offered: 400.0,
        accepted: 400.0,
        completed: 400.0,
        accept_p95: Some(20.0),
        e2e_p95: Some(200.0),
        backlog: Some(30),
        oldest_age_ms: Some(70),
        generator_cpu: 0.2,
        machine_cpu: Some(0.5),
        ..Sample::default()
    }
}

pub(super) fn regression(verdict: Verdict) -> Regression {
    let change = Change {
        figure: "accept.p95".to_owned(),
        before: 10.0,
        after: 13.8,
        change: Some(0.38),
        noise: Some(0.06),
        verdict,
        counts: true,
    };
    Regression {
        verdict,
        baseline: "last".to_owned(),
        baseline_run: None,
        tolerance: 0.1,
        unlike: Vec::new(),
        notes: Vec::new(),
        changes: vec![change],
    }
}

pub(super) fn promises(texts: &[&str]) -> Vec<Slo> {
    texts.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// The rule's own words, as the runner passes them on.
pub(super) fn broken_rule() -> String {
    let rule: AbortRule = "errors>5% for 1s".parse().unwrap();
    assert_eq!(rule.lasting, Duration::from_secs(1));
    let bad = Sample { offered: 100.0, accepted: 90.0, errors: 10.0, phase: Phase::Steady, ..Sample::default() };
    rule.watch().look(&bad).unwrap()
}

/// The document after `fault` was seeded and everything judged; judging again changes nothing.
pub(super) fn judged(mut report: Report, fault: impl FnOnce(&mut Report)) -> Report {
    fault(&mut report);
    judge(&mut report);
    let once = report.clone();
    judge(&mut report);
    assert_eq!(report, once, "judging twice is judging once");
    report
}
