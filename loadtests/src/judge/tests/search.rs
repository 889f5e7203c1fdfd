use super::document::{broken_rule, judged, searched, slow};
use crate::result::{Breakpoint, Report, Verdict};

/// 50, 100, 200 and 400/s, then 300 and 250/s; from 300/s on the ends take too long, because they wait in the queue.
fn broken_from_300() -> Report {
    let mut report = searched(&[50.0, 100.0, 200.0, 400.0, 300.0, 250.0]);
    for index in [3, 4] {
        slow(&mut report.steps[index], None, Some(2000.0));
        (report.steps[index].queue_wait_p95, report.steps[index].backlog_growth) = (1800.0, Some(700.0));
    }
    report
}

fn found(report: &Report) -> &Breakpoint {
    report.breakpoint.as_ref().unwrap()
}

fn ends(report: &Report) -> (Option<f64>, Option<f64>) {
    (found(report).holds, found(report).breaks)
}

#[test]
fn the_limit_lies_between_the_largest_that_held_and_the_smallest_that_did_not() {
    let report = judged(broken_from_300(), |report| report.steps[5].rates.accepted = 249.0);
    assert_eq!(ends(&report), (Some(250.0), Some(300.0)));
    assert_eq!(found(&report).accepted, Some(249.0));
    assert_eq!(found(&report).broke.as_deref(), Some("e2e.p95 2 s, SLO < 1 s"));
    assert_eq!(found(&report).limit.as_deref(), Some("workers"));
}

#[test]
fn a_limit_that_was_found_is_no_failure_and_the_promises_are_those_of_what_held() {
    let report = judged(broken_from_300(), |report| {
        report.e2e_intended_ms.p95 = 1900.0;
        report.errors.rate = 0.3;
    });
    assert_eq!((report.exit, report.verdict, report.validity.verdict), (0, Verdict::Pass, Verdict::Pass));
    let e2e = &report.slo[0];
    assert_eq!((e2e.expr.as_str(), e2e.actual, e2e.n), ("e2e.p95<1s", Some(200.0), 3000));
}

#[test]
fn the_audit_is_about_the_whole_search() {
    assert_eq!(judged(broken_from_300(), |report| report.correctness.lost = 1).exit, 9);
    assert_eq!(judged(broken_from_300(), |report| report.correctness.dead = 500).exit, 7);
}

#[test]
fn if_not_even_the_first_size_holds_a_promise_is_missed() {
    let report = judged(searched(&[50.0]), |report| slow(&mut report.steps[0], None, Some(1500.0)));
    assert_eq!((ends(&report), report.exit), ((None, Some(50.0)), 7));
    assert_eq!((report.slo[0].actual, report.slo[0].verdict), (Some(1500.0), Verdict::Fail));
}

#[test]
fn a_search_in_which_nothing_breaks_names_no_limit() {
    let report = judged(searched(&[50.0, 100.0]), |report| report.plan.growth.as_mut().unwrap().up_to = 100.0);
    assert_eq!((ends(&report), report.exit), ((Some(100.0), None), 0));
    assert_eq!((&found(&report).limit, &found(&report).broke), (&None, &None));
    assert!(found(&report).because.as_deref().unwrap().contains("every SLO was met"));
}

#[test]
fn a_generator_that_gives_up_before_the_platform_is_no_answer() {
    let report = judged(searched(&[50.0, 100.0, 200.0]), |report| report.steps[2].offered_ratio = Some(0.82));
    assert_eq!((ends(&report), report.exit), ((Some(100.0), None), 11));
    assert_eq!(found(&report).limit.as_deref(), Some("generator"));
    assert!(report.validity.reasons[0].starts_with("at 200/s the generator was the bottleneck: 82% of the planned"));
}

#[test]
fn a_full_machine_is_an_answer_only_if_something_broke_on_it() {
    let full = |report: &mut Report, index: usize| {
        (report.steps[index].late_starts, report.steps[index].machine_cpu) = (0.3, Some(0.99));
    };
    let broken = judged(broken_from_300(), |report| full(report, 4));
    assert_eq!((broken.exit, found(&broken).limit.as_deref()), (0, Some("processor")));
    let late = judged(broken_from_300(), |report| full(report, 2));
    assert_eq!((late.exit, found(&late).limit.as_deref()), (11, Some("processor")));
    assert_eq!(ends(&late), (Some(100.0), Some(300.0)));
    assert!(late.validity.reasons[0].starts_with("200/s could not be judged: 30% of the requests started late"));
}

#[test]
fn a_promise_that_breaks_while_the_generator_is_saturated_is_no_answer_either() {
    let report = judged(broken_from_300(), |report| {
        // The seconds of the step at 300/s.
        report.timeline[32..40].iter_mut().for_each(|second| second.generator_cpu = 0.97);
        report.steps[4].generator_cpu = 0.97;
    });
    assert_eq!((ends(&report), report.exit), ((Some(250.0), Some(300.0)), 11));
    assert_eq!(found(&report).limit.as_deref(), Some("generator"));
}

#[test]
fn a_generator_that_is_saturated_beyond_the_answer_changes_nothing() {
    let report = judged(broken_from_300(), |report| {
        report.timeline[24..32].iter_mut().for_each(|second| second.generator_cpu = 0.97);
        (report.steps[3].late_starts, report.validity.late_starts) = (0.5, 0.2);
        report.validity.offered_ratio = Some(0.9);
    });
    assert_eq!((report.exit, &report.validity.reasons), (0, &Vec::new()));
}

#[test]
fn a_size_that_could_not_be_judged_ends_the_answer() {
    let report = judged(broken_from_300(), |report| report.steps[1].e2e_intended_ms.n = 3);
    assert_eq!((ends(&report), report.exit), ((Some(50.0), Some(300.0)), 11));
    assert_eq!(found(&report).limit, None);
    let expected = "100/s could not be judged: e2e.p95 of 3 samples, at least 20 needed";
    assert_eq!(report.validity.reasons, [expected]);
}

#[test]
fn of_several_sizes_that_could_not_be_judged_the_smallest_counts() {
    let few = |report: &mut Report, index: usize| {
        (report.steps[index].e2e_intended_ms.n, report.steps[index].accept_intended_ms.n) = (3, 3000);
    };
    let beyond = judged(broken_from_300(), |report| few(report, 3));
    assert_eq!((beyond.steps[3].verdict, beyond.exit), (Verdict::Inconclusive, 0), "400/s is beyond the answer");
    let both = judged(broken_from_300(), |report| [3, 4].into_iter().for_each(|index| few(report, index)));
    assert_eq!((ends(&both), both.exit), ((Some(250.0), None), 11));
    assert!(both.validity.reasons[0].starts_with("300/s could not be judged"), "{:?}", both.validity.reasons);
}

#[test]
fn arrivals_that_were_held_back_waited_for_the_platform() {
    let report = judged(broken_from_300(), |report| {
        (report.validity.held_back, report.steps[4].late_starts) = (1200, 0.4);
    });
    assert_eq!((found(&report).limit.as_deref(), report.exit), (Some("workers"), 0));
}

#[test]
fn a_rule_that_ends_the_first_size_misses_what_was_promised() {
    let report = judged(searched(&[50.0]), |report| {
        report.ended_early = Some(broken_rule());
        report.steps[0].ended_early = Some(broken_rule());
    });
    assert_eq!((ends(&report), report.exit), ((None, Some(50.0)), 7));
    assert_eq!(crate::judge::why(&report), "at 50/s: errors 10% (> 5%) for 1 s");
}

#[test]
fn a_rule_that_ends_a_size_breaks_it_and_only_it() {
    let report = judged(searched(&[50.0, 100.0, 75.0]), |report| {
        report.ended_early = Some(broken_rule());
        report.steps[1].ended_early = Some(broken_rule());
    });
    assert_eq!((ends(&report), report.exit), ((Some(75.0), Some(100.0)), 0));
    assert_eq!(found(&report).broke.as_deref(), Some("errors 10% (> 5%) for 1 s"));
}

#[test]
fn a_search_that_was_interrupted_or_never_began_is_inconclusive() {
    let interrupted = judged(broken_from_300(), |report| report.ended_early = Some("interrupted".to_owned()));
    assert_eq!((interrupted.exit, ends(&interrupted)), (11, (Some(250.0), Some(300.0))));
    let nothing = judged(searched(&[]), |report| report.accept_intended_ms.n = 0);
    assert_eq!((nothing.exit, ends(&nothing)), (11, (None, None)));
}
