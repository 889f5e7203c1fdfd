use super::document::{broken_rule, judged, regression, searched, slow, sound, stepped};
use crate::judge::why;
use crate::result::{Report, Verdict};

fn told(report: Report, fault: impl FnOnce(&mut Report)) -> String {
    why(&judged(report, fault))
}

fn of(fault: impl FnOnce(&mut Report)) -> String {
    told(sound(&["e2e.p95<2s"]), fault)
}

#[test]
fn what_is_sound_says_how_much_was_looked_at() {
    assert_eq!(of(|_| {}), "12,000 accepted, each completed exactly once; all 3 SLOs are met");
    assert_eq!(of(|report| report.plan.slo.clear()), "12,000 accepted, each completed exactly once");
}

#[test]
fn what_is_wrong_is_told_with_its_figures() {
    let lost = of(|report| (report.correctness.lost, report.correctness.duplicate) = (3, 1));
    assert_eq!(lost, "3 lost, 1 duplicate of 12,000 accepted");
    assert_eq!(of(|report| report.e2e_intended_ms.p95 = 2310.0), "e2e.p95 2.31 s, SLO < 2 s");
    let two = of(|report| (report.errors.rate, report.e2e_intended_ms.p95) = (0.072, 2310.0));
    assert_eq!(two, "errors 7.2%, SLO < 1%; and 1 more");
    assert_eq!(of(|report| report.ended_early = Some(broken_rule())), "ended early: errors 10% (> 5%) for 1 s");
    let worse = of(|report| report.regression = Some(regression(Verdict::Fail)));
    assert_eq!(worse, "accept.p95 is 38% more than in the baseline");
}

#[test]
fn a_step_that_failed_alone_is_named() {
    let steps = stepped(&[10, 1000], &["e2e.p95<2s"]);
    let told = told(steps, |report| slow(&mut report.steps[1], None, Some(2310.0)));
    assert_eq!(told, "at 1,000 users: e2e.p95 2.31 s, SLO < 2 s");
}

#[test]
fn what_could_not_be_found_out_is_told_with_its_reason() {
    let unverified = of(|report| {
        report.correctness.unverified = 2;
        report.correctness.unverified_reason = Some("the ledger answered 503".to_owned());
    });
    assert_eq!(unverified, "2 of 12,000 accepted could not be verified: the ledger answered 503");
    assert_eq!(of(|report| report.e2e_intended_ms.n = 1), "e2e.p95 of 1 sample, at least 20 needed");
    assert!(of(|report| report.ended_early = Some("interrupted".to_owned())).contains("until the interruption"));
    let unlike = of(|report| {
        let mut regression = regression(Verdict::Inconclusive);
        regression.unlike.push("users: 50 and 100".to_owned());
        report.regression = Some(regression);
    });
    assert_eq!(unlike, "the baseline is not comparable: users: 50 and 100");
    let noisy = of(|report| report.regression = Some(regression(Verdict::Inconclusive)));
    assert_eq!(noisy, "accept.p95 is 38% more than in the baseline, which may be chance");
    assert_eq!(of(|report| report.correctness.accepted = 0), "nothing was accepted, so nothing could be verified");
}

#[test]
fn a_search_tells_where_the_limit_is() {
    let found = told(searched(&[50.0, 1600.0, 1700.0]), |report| {
        slow(&mut report.steps[2], None, Some(1400.0));
        (report.steps[2].queue_wait_p95, report.steps[2].backlog_growth) = (1300.0, Some(9.0));
    });
    assert_eq!(found, "passes at 1,600/s, fails at 1,700/s: e2e.p95 1.4 s, SLO < 1 s; the limit: workers");
    let unbroken = told(searched(&[50.0, 100.0]), |_| {});
    assert_eq!(unbroken, "passes at 100/s, the largest size tested");
}
