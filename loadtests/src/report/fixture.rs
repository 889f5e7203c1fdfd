//! A result with something in every field, for the tests of the reports: three steps of an open load, a slowdown in the
//! second, a platform that does not answer for three seconds, and something wrong of every kind.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::{Metric, Mix, Model, Op, Plan, Slo, Stage, Stat, presets};
use crate::result::{
    Audit, Breakpoint, Change, Distribution, Errors, Finding, Generator, Part, Phase, Platform, Rates, Regression,
    Report, Sample, SloResult, Step, Validity, Verdict,
};
use card_client::latency::Percentiles;

/// 12,000 accepted less a few, 96 seconds, exit code 9.
pub(crate) fn report() -> Report {
    Report {
        v: 1,
        run: "7hq2m1".to_owned(),
        seed: 4410,
        target: "http://127.0.0.1:8080".to_owned(),
        started_at: "2026-03-14T10:14:44Z".to_owned(),
        took_ms: 101_340,
        platform: Platform {
            url: "http://127.0.0.1:8080".to_owned(),
            version: Some("0.1.0".to_owned()),
            workers: Some(4),
        },
        generator: Generator { version: "0.1.0".to_owned(), cores: 8, shared: true },
        plan: plan(),
        verdict: Verdict::Fail,
        exit: 9,
        ended_early: None,
        correctness: correctness(),
        accept_ms: percentiles(16_794, [3.1, 6.4, 9.8, 21.6, 84.2]),
        accept_intended_ms: percentiles(16_794, [3.2, 7.1, 11.4, 38.9, 131.0]),
        e2e_ms: percentiles(16_789, [212.0, 890.0, 1420.0, 2310.0, 3480.0]),
        e2e_intended_ms: percentiles(16_789, [214.0, 905.0, 1460.0, 2380.0, 3560.0]),
        queue_wait_ms: percentiles(16_789, [31.0, 640.0, 1130.0, 1960.0, 3090.0]),
        work_ms: percentiles(16_789, [168.0, 241.0, 262.0, 318.0, 604.0]),
        status_ms: Some(percentiles(5040, [0.9, 1.7, 2.4, 6.1, 22.0])),
        reads: None,
        distribution: Distribution { accept: spread(3.2, 0.55, 16_794), e2e: spread(214.0, 1.1, 16_789) },
        rates: Rates { offered: 233.3, accepted: 231.9, completed: 229.6 },
        errors: Errors {
            rate: 0.0061,
            by_code: BTreeMap::from([
                ("overloaded".to_owned(), 71),
                ("rate-limited".to_owned(), 28),
                ("no-answer".to_owned(), 4),
            ]),
            resent: 9,
            repeated: 5,
            by_gateway: BTreeMap::from([("http-502".to_owned(), 7)]),
        },
        slo: promises(),
        steps: vec![step(0), step(1), step(2)],
        breakpoint: Some(Breakpoint {
            holds: Some(200.0),
            breaks: Some(400.0),
            broke: Some("e2e.p95<2s".to_owned()),
            accepted: Some(199.6),
            limit: Some("workers".to_owned()),
            because: Some("queue wait was 78% of the end-to-end p95 while the work itself took no longer".to_owned()),
        }),
        validity: validity(),
        regression: Some(regression()),
        generators: vec![generator(1), generator(2)],
        timeline: (1..=96).map(second).collect(),
    }
}

/// A result in which nothing was measured and nothing is wrong.
pub(crate) fn empty() -> Report {
    Report {
        target: "embedded".to_owned(),
        platform: Platform::default(),
        plan: presets::custom(),
        verdict: Verdict::Inconclusive,
        exit: 11,
        correctness: Audit::default(),
        accept_ms: Percentiles::default(),
        accept_intended_ms: Percentiles::default(),
        e2e_ms: Percentiles::default(),
        e2e_intended_ms: Percentiles::default(),
        queue_wait_ms: Percentiles::default(),
        work_ms: Percentiles::default(),
        status_ms: None,
        reads: None,
        distribution: Distribution::default(),
        rates: Rates::default(),
        errors: Errors::default(),
        slo: Vec::new(),
        steps: Vec::new(),
        breakpoint: None,
        validity: Validity::default(),
        regression: None,
        generators: Vec::new(),
        timeline: Vec::new(),
        ..report()
    }
}

fn generator(number: u64) -> Part {
    Part {
        number,
        run: format!("7hq2m1-{number}"),
        missing: None,
        last_lines: Vec::new(),
        accepted: Some(6_000 - number),
        cores: Some(8),
        generator_cpu: Some(0.12),
        clock_ahead_ms: Some(-1.5),
        clock_within_ms: Some(0.4),
        late_ms: Some(0.2),
        reasons: Vec::new(),
    }
}

fn plan() -> Plan {
    let seconds = Duration::from_secs;
    Plan {
        preset: Some("baseline".to_owned()),
        model: Model::Open,
        stages: vec![Stage { to: 1.0, over: seconds(5) }, Stage { to: 1.0, over: seconds(25) }],
        warm_up: seconds(5),
        journey: Mix::mixed(),
        steps: vec![100.0, 200.0, 400.0],
        slo: vec![
            slo("accept.p95<50ms", Metric::Accept, Some(Stat::P95), Op::Less, 50.0),
            slo("e2e.p95<2s", Metric::EndToEnd, Some(Stat::P95), Op::Less, 2000.0),
            slo("errors<1%", Metric::Errors, None, Op::Less, 0.01),
            slo("accepted>=220/s", Metric::Accepted, None, Op::AtLeast, 220.0),
            slo("work.p99<500ms", Metric::Work, Some(Stat::P99), Op::Less, 500.0),
        ],
        max_degradation: Some(0.5),
        ..presets::custom()
    }
}

fn slo(text: &str, metric: Metric, stat: Option<Stat>, op: Op, bound: f64) -> Slo {
    Slo { metric, stat, op, bound, text: text.to_owned() }
}

fn promises() -> Vec<SloResult> {
    let promise = |expr: &str, actual, n, verdict, broken_s| {
        let expr = expr.to_owned();
        SloResult { expr, actual, n, verdict, broken_s }
    };
    vec![
        promise("accept.p95<50ms", Some(11.4), 16_794, Verdict::Pass, None),
        promise("e2e.p95<2s", Some(2310.0), 16_789, Verdict::Fail, Some((38.0, 52.0))),
        promise("errors<1%", Some(0.0061), 16_897, Verdict::Pass, None),
        promise("accepted>=220/s", Some(231.9), 16_794, Verdict::Pass, None),
        promise("work.p99<500ms", None, 7, Verdict::Inconclusive, None),
    ]
}

fn correctness() -> Audit {
    let finding = |task: &str, verdict: &str, detail: &str| Finding {
        task: task.to_owned(),
        verdict: verdict.to_owned(),
        detail: detail.to_owned(),
    };
    Audit {
        verdict: Verdict::Fail,
        accepted: 16_794,
        succeeded: 16_310,
        declined: 452,
        dead: 25,
        cancelled: 0,
        lost: 2,
        duplicate: 1,
        stuck: 2,
        reads: 0,
        stale: 0,
        unverified: 2,
        unanswered: 4,
        drain_ms: 6100,
        settle_ms: 3000,
        audit_ms: 840,
        findings: vec![
            finding(
                "tsk_0195935c-1a40-7c3e-9d10-2f6a7c1b9e01",
                "lost",
                "accepted at 10:15:22.104 with 202; the platform knows no such task",
            ),
            finding(
                "tsk_0195935c-1b07-7a51-8f3c-5d0b3e9a4c02",
                "lost",
                "accepted at 10:15:22.303 with 202; the platform knows no such task",
            ),
            finding(
                "tsk_0195935c-2c91-7d20-a1b4-90c2d7f0aa03",
                "duplicate",
                "2 cards were issued for it, by workers 1 and 4, 38 ms apart",
            ),
            finding(
                "tsk_0195935d-0e55-7b99-b0aa-6cc10f4e7d04",
                "stuck",
                "still running 60 s after the last request, attempt 3 of 5",
            ),
        ],
        unverified_reason: Some("2 tasks: the ledger answered 503 three times".to_owned()),
    }
}

fn validity() -> Validity {
    Validity {
        verdict: Verdict::Inconclusive,
        generator_cpu: 0.41,
        generator_cpu_max: 0.92,
        machine_cpu: Some(0.77),
        late_starts: 0.0012,
        late_p99_ms: 4.1,
        offered_ratio: Some(0.9991),
        held_back: 0,
        unsent: 0,
        by_lack: BTreeMap::new(),
        stood_still_s: 0.0,
        stolen: Some(0.0),
        throttled: Some(0.0),
        stream_gaps: 1,
        stream_reconnects: 2,
        stream_lost: None,
        reasons: vec!["the past of the event stream was gone once: 31 ends were heard late".to_owned()],
        notes: vec!["the platform is on the generator's machine: they take the processor from each other".to_owned()],
    }
}

fn regression() -> Regression {
    let change = |figure: &str, before: f64, after: f64, noise, verdict, counts| Change {
        figure: figure.to_owned(),
        before,
        after,
        change: (before != 0.0).then(|| after / before - 1.0),
        noise,
        verdict,
        counts,
    };
    Regression {
        verdict: Verdict::Fail,
        baseline: "out/5kd0aa/result.json".to_owned(),
        baseline_run: Some("5kd0aa".to_owned()),
        tolerance: 0.1,
        unlike: Vec::new(),
        notes: vec!["the baseline was made with version 0.0.9".to_owned()],
        changes: vec![
            change("accept.p95", 10.9, 11.4, Some(0.06), Verdict::Pass, true),
            change("e2e.p95", 1520.0, 2310.0, Some(0.08), Verdict::Fail, true),
            change("e2e.p50", 190.0, 212.0, Some(0.15), Verdict::Inconclusive, false),
            change("completed", 231.0, 229.6, None, Verdict::Pass, true),
            change("errors", 0.0, 0.0061, None, Verdict::Inconclusive, true),
        ],
    }
}

fn percentiles(n: u64, [p50, p90, p95, p99, max]: [f64; 5]) -> Percentiles {
    Percentiles { n, p50, p90, p95, p99, max, mean: p50 * 0.7 + p90 * 0.3 }
}

/// A log-normal heap of `n` around `median`, in buckets that grow by the fourth root of 2.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers of a made-up heap")]
fn spread(median: f64, width: f64, n: u64) -> Vec<(f64, u64)> {
    let bounds = (-24..=56).map(|quarter| (f64::from(quarter) / 4.0).exp2());
    let weight = |bound: f64| (-((bound / median).ln() / width).powi(2) / 2.0).exp();
    let sum: f64 = bounds.clone().map(weight).sum();
    let counted = bounds.map(|bound| (bound, (weight(bound) / sum * n as f64).round() as u64));
    counted.filter(|(_, count)| *count > 0).collect()
}

fn step(index: usize) -> Step {
    let rate = [100.0, 200.0, 400.0][index];
    let slower = [1.0, 1.32, 2.1][index];
    let from_s = [0.0, 30.0, 60.0][index];
    let accept = percentiles([2496, 4991, 9307][index], [2.9, 5.8, 7.6, 19.5, 64.0].map(|value| value * slower));
    let ends = [190.0, 510.0, 640.0, 810.0, 1290.0].map(|value| value * slower * slower);
    let e2e = percentiles([2496, 4990, 9303][index], ends);
    Step {
        users: None,
        rate: Some(rate),
        from_s,
        to_s: from_s + 30.0,
        accept_intended_ms: accept,
        accept_ms: accept,
        e2e_intended_ms: e2e,
        e2e_ms: e2e,
        accept_p50: accept.p50,
        accept_p95: accept.p95,
        accept_p99: accept.p99,
        e2e_p50: e2e.p50,
        e2e_p95: e2e.p95,
        e2e_p99: e2e.p99,
        n: accept.n,
        e2e_n: e2e.n,
        queue_wait_p95: [42.0, 610.0, 2400.0][index],
        work_p95: [241.0, 250.0, 262.0][index],
        rates: Rates { offered: rate, accepted: rate - 0.4 * slower, completed: rate - 4.0 * slower },
        error_rate: [0.0, 0.0012, 0.0108][index],
        main_error: (index > 0).then(|| "overloaded".to_owned()),
        late_starts: 0.0004 * slower,
        offered_ratio: Some([1.0, 0.9998, 0.9991][index]),
        generator_cpu: [0.14, 0.24, 0.41][index],
        machine_cpu: Some([0.31, 0.52, 0.77][index]),
        backlog_growth: Some([0.0, 3.0, 410.0][index]),
        degradation: [None, Some(0.32), Some(1.1)][index],
        degradation_p50: [None, Some(0.31), Some(1.08)][index],
        degradation_e2e: [None, Some(0.74), Some(3.41)][index],
        verdict: [Verdict::Pass, Verdict::Inconclusive, Verdict::Fail][index],
        broke: (index == 2).then(|| "e2e.p95<2s".to_owned()),
        ..Step::default()
    }
}

/// One second of the 96: each step ramps for 5 s, holds for 25 s; the last 6 s drain.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive figures")]
fn second(t: u32) -> Sample {
    let at = f64::from(t);
    let (size, into) = match t {
        ..=30 => (100.0, at),
        31..=60 => (200.0, at - 30.0),
        61..=90 => (400.0, at - 60.0),
        _ => (0.0, at - 90.0),
    };
    let phase = match t {
        91.. => Phase::Drain,
        _ if into <= 5.0 => Phase::Ramp,
        _ => Phase::Steady,
    };
    let target = if into < 5.0 { size * into / 5.0 } else { size };
    // Looks like noise and is the same in every run.
    let wave = (at * 1.7).sin() * 0.5 + (at * 0.61).sin() * 0.35 + (at * 4.3).sin() * 0.15;
    let slowdown = (-((at - 45.0) / 5.0).powi(2)).exp() + (at - 66.0).clamp(0.0, 24.0) / 24.0 * f64::from(t <= 92);
    let errors = if phase == Phase::Drain { 0.0 } else { (slowdown * 5.0 + wave).floor().max(0.0) };
    let offered = target * (1.0 + 0.02 * wave);
    let backlog = target * 0.22 + slowdown * 520.0 + (96.0 - at) * 60.0 * f64::from(t > 90);
    let answered = !(54..=56).contains(&t);
    let sent = offered > 0.0;
    let accept = 3.0 + target / 120.0 + 9.0 * slowdown + 0.6 * wave;
    let e2e = 185.0 + target / 4.0 + 900.0 * slowdown + 24.0 * wave;
    Sample {
        t: at,
        lasted: 1.0,
        phase,
        target,
        offered,
        accepted: (offered - errors).max(0.0),
        completed: if phase == Phase::Drain { 60.0 + 8.0 * wave } else { (offered - errors) * (1.0 - 0.12 * slowdown) },
        errors,
        reads: offered * 9.0,
        resent: 0.0,
        foreign: 0.0,
        unsent: 0.0,
        stood_still: 0.0,
        stolen: Some(0.0),
        throttled: Some(0.0),
        accept_p50: sent.then_some(accept),
        accept_p95: sent.then_some(accept * 2.4 + wave),
        accept_p99: sent.then_some(accept * 4.0 + 6.0 * wave.max(0.0)),
        e2e_p50: Some(e2e),
        e2e_p95: Some(e2e * 1.9 + 30.0 * wave),
        e2e_p99: Some(e2e * 2.4 + 90.0 * wave.max(0.0)),
        read_p50: sent.then_some(accept * 0.4),
        read_p95: sent.then_some(accept * 0.9),
        read_p99: sent.then_some(accept * 1.6),
        backlog: answered.then(|| backlog.max(0.0) as u64),
        oldest_age_ms: answered.then(|| (backlog * 2.4).max(0.0) as u64),
        workers: answered.then_some(if t < 50 { 4 } else { 6 }),
        inflight: answered.then(|| backlog.clamp(0.0, 96.0) as u64),
        generator_cpu: 0.06 + target / 1200.0 + 0.03 * wave.abs(),
        machine_cpu: answered.then(|| (0.15 + target / 650.0 + 0.05 * wave).clamp(0.0, 1.0)),
    }
}

#[test]
fn the_made_up_result_adds_up() {
    let found = correctness();
    let rest = found.lost + found.duplicate + found.stuck + found.unverified;
    assert_eq!(found.sound() + rest, found.accepted);
    let json = serde_json::to_value(report()).unwrap();
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(3));
}
