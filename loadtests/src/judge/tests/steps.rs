use super::document::{judged, slow, stepped};
use crate::result::{Phase, Report, Sample, Step, Verdict};

fn with_bound(fault: impl FnOnce(&mut Vec<Step>)) -> Report {
    judged(stepped(&[10, 100, 1000], &["e2e.p95<2s"]), |report| {
        report.plan.max_degradation = Some(0.1);
        fault(&mut report.steps);
    })
}

fn verdicts(report: &Report) -> Vec<Verdict> {
    report.steps.iter().map(|step| step.verdict).collect()
}

#[test]
fn steps_are_measured_against_the_first() {
    let report = judged(stepped(&[10, 100], &[]), |report| slow(&mut report.steps[1], Some(30.0), Some(100.0)));
    let [first, second] = &report.steps[..] else { panic!("two steps") };
    assert_eq!((first.degradation, first.degradation_p50, first.degradation_e2e), (None, None, None));
    assert_eq!((second.degradation, second.degradation_p50), (Some(0.5), Some(0.5)));
    assert_eq!(second.degradation_e2e, Some(-0.5), "faster is less");
    assert_eq!((report.exit, &second.broke), (0, &None), "and without a bound it is only told");
}

#[test]
fn nothing_is_compared_with_nothing() {
    let report = judged(stepped(&[10, 100], &[]), |report| slow(&mut report.steps[0], Some(0.0), None));
    assert_eq!((report.steps[1].degradation, report.steps[1].degradation_p50), (None, None));
}

#[test]
fn a_step_may_be_slower_by_the_bound_and_no_more() {
    // The first: p50 10 ms, p95 20 ms. 10% of each is at most 2 ms, so that 2 ms more are no difference.
    for (accept_p95, verdict) in [(22.0, Verdict::Pass), (22.01, Verdict::Fail), (1.0, Verdict::Pass)] {
        let report = with_bound(|steps| slow(&mut steps[1], Some(accept_p95), None));
        assert_eq!(verdicts(&report), [Verdict::Pass, verdict, Verdict::Pass], "{accept_p95}");
        assert_eq!(report.exit, if verdict == Verdict::Fail { 7 } else { 0 });
    }
    // 1000 ms may become 1100 ms.
    for (accept_p95, verdict) in [(1100.0, Verdict::Pass), (1100.1, Verdict::Fail)] {
        let report = with_bound(|steps| {
            steps.iter_mut().for_each(|step| slow(step, Some(1000.0), None));
            slow(&mut steps[2], Some(accept_p95), None);
        });
        assert_eq!(verdicts(&report), [Verdict::Pass, Verdict::Pass, verdict], "{accept_p95}");
    }
}

#[test]
fn the_median_is_bound_too_and_end_to_end_is_not() {
    let report = with_bound(|steps| {
        steps[1].accept_p50 = 12.1;
        slow(&mut steps[2], None, Some(1900.0));
    });
    assert_eq!(verdicts(&report), [Verdict::Pass, Verdict::Fail, Verdict::Pass]);
    let expected = "accept.p50 12.1 ms, 21% slower than 10 ms at the first step, at most 10% allowed";
    assert_eq!(report.steps[1].broke.as_deref(), Some(expected));
}

#[test]
fn a_degradation_of_few_samples_is_not_judged() {
    let report = with_bound(|steps| {
        slow(&mut steps[1], Some(900.0), None);
        steps[1].n = 19;
    });
    assert_eq!((verdicts(&report)[1], report.exit), (Verdict::Inconclusive, 11));
}

#[test]
fn each_step_keeps_the_promises_by_itself() {
    let report = judged(stepped(&[10, 100], &["e2e.p95<2s"]), |report| slow(&mut report.steps[1], None, Some(2310.0)));
    assert_eq!(verdicts(&report), [Verdict::Pass, Verdict::Fail]);
    assert_eq!(report.steps[1].broke.as_deref(), Some("e2e.p95 2.31 s, SLO < 2 s"));
}

#[test]
fn errors_of_a_step_are_of_what_it_sent() {
    let report = judged(stepped(&[10, 100, 1000], &[]), |report| {
        report.steps[1].error_rate = 0.02;
        // Nothing at all was accepted: only its seconds tell how much was sent.
        let step = &mut report.steps[2];
        (step.error_rate, step.n, step.accept_intended_ms) = (1.0, 0, Default::default());
    });
    assert_eq!(verdicts(&report), [Verdict::Pass, Verdict::Fail, Verdict::Fail]);
    assert_eq!(report.steps[2].broke.as_deref(), Some("errors 100%, SLO < 1%"));
}

#[test]
fn what_has_no_samples_in_a_step_is_not_kept_there() {
    let report = judged(stepped(&[10, 100], &["e2e.p95<2s"]), |report| report.steps[1].e2e_intended_ms.n = 7);
    assert_eq!(verdicts(&report), [Verdict::Pass, Verdict::Inconclusive]);
    assert_eq!(report.steps[1].broke.as_deref(), Some("e2e.p95 of 7 samples, at least 20 needed"));
}

#[test]
fn a_rate_is_promised_of_the_whole_and_not_of_each_step() {
    let report = judged(stepped(&[10, 100], &["accepted>=300/s"]), |report| report.steps[0].rates.accepted = 10.0);
    assert_eq!((verdicts(&report)[0], report.exit), (Verdict::Pass, 0));
    let capped = judged(stepped(&[10, 100], &["accepted<600/s"]), |report| report.steps[1].rates.accepted = 700.0);
    assert_eq!(verdicts(&capped), [Verdict::Pass, Verdict::Fail], "what is at most promised is promised of each");
}

#[test]
fn a_step_has_its_own_seconds() {
    let report = judged(stepped(&[10, 100], &["backlog<100"]), |report| {
        report.timeline[8].backlog = Some(500);
        report.timeline.insert(8, Sample { t: 8.1, phase: Phase::Ramp, backlog: Some(999), ..Sample::default() });
    });
    assert_eq!(verdicts(&report), [Verdict::Pass, Verdict::Fail]);
    assert_eq!(report.steps[1].broke.as_deref(), Some("backlog 500, SLO < 100"));
}

#[test]
fn the_rule_that_ended_a_step_is_what_broke_it() {
    let report = judged(stepped(&[10, 100], &[]), |report| report.ended_early = Some(super::document::broken_rule()));
    assert_eq!(verdicts(&report), [Verdict::Pass, Verdict::Fail]);
    assert_eq!(report.steps[1].broke.as_deref(), Some("errors 10% (> 5%) for 1 s"));
    let interrupted = judged(stepped(&[10, 100], &[]), |report| report.ended_early = Some("interrupted".to_owned()));
    assert_eq!((verdicts(&interrupted)[1], interrupted.exit), (Verdict::Pass, 11));
}

#[test]
fn a_step_of_a_generator_that_fell_behind_says_nothing() {
    let report = judged(stepped(&[10, 100], &[]), |report| report.steps[1].late_starts = 0.12);
    assert_eq!(verdicts(&report), [Verdict::Pass, Verdict::Inconclusive]);
    let expected = "at 100 users: 12% of the requests started late, so the load was not as planned";
    assert_eq!(report.validity.reasons, [expected]);
}
