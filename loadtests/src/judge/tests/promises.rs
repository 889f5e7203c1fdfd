use super::document::{judged, sound, with_errors};
use crate::plan::Metric;
use crate::result::{Phase, Report, SloResult, Verdict};

fn result(report: Report, fault: impl FnOnce(&mut Report)) -> SloResult {
    let judged = judged(report, fault);
    // The defaults come first.
    judged.slo.last().unwrap().clone()
}

#[test]
fn every_figure_comes_from_where_it_is_measured() {
    for (text, actual, n) in [
        ("accept.p50<1s", 10.0, 12_000),
        ("accept.p90<1s", 18.0, 12_000),
        ("accept-service.p95<1s", 10.0, 12_000),
        ("e2e.p95<1s", 200.0, 12_000),
        ("e2e.p99<1s", 400.0, 12_000),
        ("e2e-service.max<1s", 300.0, 12_000),
        ("queue-wait.p95<1s", 50.0, 12_000),
        ("work.mean<1s", 40.0 / 1.8, 12_000),
        ("errors<5%", 0.04, 12_500),
        ("dead<1%", 0.0, 12_000),
        ("declined<1%", 100.0 / 12_000.0, 12_000),
        ("offered>1", 400.0, 30),
        ("accepted>1", 400.0, 30),
        ("completed>1", 399.0, 30),
        ("backlog<100", 30.0, 30),
        ("oldest-age<1s", 70.0, 30),
    ] {
        let result = result(with_errors(&[text]), |_| {});
        assert_eq!((result.expr.as_str(), result.actual, result.n), (text, Some(actual), n));
        assert_eq!(result.verdict, Verdict::Pass, "{text}");
    }
}

#[test]
fn latencies_are_judged_from_the_intended_start() {
    let late = |text: &str| result(sound(&[text]), |report| report.accept_intended_ms.p95 = 5000.0).verdict;
    assert_eq!((late("accept.p95<1s"), late("accept-service.p95<1s")), (Verdict::Fail, Verdict::Pass));
}

#[test]
fn no_promise_is_kept_without_samples() {
    for metric in Metric::ALL {
        let stat = if metric.is_latency() { ".p95" } else { "" };
        let unit = if metric.is_latency() || metric == Metric::OldestAge { "ms" } else { "" };
        let bound = if metric.unit() == crate::plan::Unit::Share { "0.5" } else { "99999" };
        let text = format!("{}{stat}<{bound}{unit}", metric.as_str());
        for min_samples in [0, 20] {
            let report = judged(sound(&[&text]), |report| {
                report.plan.min_samples = min_samples;
                report.timeline.clear();
                report.correctness.accepted = 0;
                let Report { accept_ms, accept_intended_ms, e2e_ms, e2e_intended_ms, .. } = report;
                for latency in [accept_ms, accept_intended_ms, e2e_ms, e2e_intended_ms] {
                    *latency = Default::default();
                }
                (report.queue_wait_ms, report.work_ms) = Default::default();
            });
            for slo in &report.slo {
                assert_eq!((slo.actual, slo.n, slo.verdict), (None, 0, Verdict::Inconclusive), "{text}: {}", slo.expr);
            }
            assert_eq!(report.exit, 11);
        }
    }
}

#[test]
fn too_few_samples_are_shown_and_not_judged() {
    for (n, verdict) in [(19, Verdict::Inconclusive), (20, Verdict::Pass)] {
        let result = result(sound(&["e2e.p95<1s"]), |report| report.e2e_intended_ms.n = n);
        assert_eq!((result.actual, result.n, result.verdict), (Some(200.0), n, verdict));
    }
    for (errors, verdict) in [(19, Verdict::Inconclusive), (20, Verdict::Fail)] {
        let result = result(with_errors(&["errors<2%"]), |report| {
            (report.accept_ms.n, report.errors.by_code) = (0, [("internal".to_owned(), errors)].into());
        });
        assert_eq!((result.n, result.verdict), (errors, verdict));
    }
    let broken = result(sound(&["e2e.p95<100ms"]), |report| report.e2e_intended_ms.n = 19);
    assert_eq!(broken.verdict, Verdict::Inconclusive, "nor are they when it looks broken");
}

#[test]
fn a_bound_belongs_to_its_side() {
    let at = |text: &str| result(sound(&[text]), |_| {}).verdict;
    assert_eq!((at("e2e.p95<200ms"), at("e2e.p95<=200ms")), (Verdict::Fail, Verdict::Pass));
    assert_eq!((at("accepted>400/s"), at("accepted>=400/s")), (Verdict::Fail, Verdict::Pass));
}

#[test]
fn one_measured_second_is_enough_for_a_rate_and_none_is_not() {
    let with = |seconds: usize| result(sound(&["accepted>=400/s"]), |report| report.timeline.truncate(seconds));
    assert_eq!((with(1).verdict, with(1).n), (Verdict::Pass, 1));
    assert_eq!((with(0).verdict, with(0).actual), (Verdict::Inconclusive, None));
}

#[test]
fn the_ramp_and_the_drain_are_no_measured_seconds() {
    let result = result(sound(&["backlog<100"]), |report| {
        (report.timeline[0].phase, report.timeline[0].backlog) = (Phase::Ramp, Some(900));
        (report.timeline[29].phase, report.timeline[29].backlog) = (Phase::Drain, Some(900));
        report.timeline[5].backlog = None;
    });
    assert_eq!((result.actual, result.n, result.broken_s), (Some(30.0), 27, None));
}

#[test]
fn what_could_not_be_verified_is_not_taken_as_alive() {
    let all = result(sound(&["dead<5%"]), |report| report.correctness.unverified = 12_000);
    assert_eq!((all.n, all.verdict), (0, Verdict::Inconclusive));
    let half = result(sound(&["dead<5%"]), |report| {
        (report.correctness.unverified, report.correctness.dead) = (6000, 300);
    });
    assert_eq!((half.actual, half.verdict), (Some(0.05), Verdict::Fail));
}

#[test]
fn the_seconds_in_which_it_did_not_hold_are_named() {
    let slow = |seconds: &[usize]| {
        result(sound(&["e2e.p95<1s"]), |report| {
            seconds.iter().for_each(|at| report.timeline[*at].e2e_p95 = Some(1500.0))
        })
    };
    assert_eq!(slow(&[]).broken_s, None);
    assert_eq!(slow(&[7]).broken_s, Some((8.0, 8.0)));
    assert_eq!((slow(&[7, 8, 20]).broken_s, slow(&[7]).verdict), (Some((8.0, 21.0)), Verdict::Pass));
    let untold = result(sound(&["e2e.p90<1ms"]), |_| {});
    assert_eq!((untold.verdict, untold.broken_s), (Verdict::Fail, None), "no second has it");
}
