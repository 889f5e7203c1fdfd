use super::document::{broken_rule, judged, regression, sound, stepped, with_errors};
use crate::result::{Report, Verdict};

type Fault = fn(&mut Report);

fn ends(faults: &[Fault]) -> (u8, Verdict) {
    let report = judged(sound(&["e2e.p95<2s"]), |report| faults.iter().for_each(|fault| fault(report)));
    (report.exit, report.verdict)
}

const LOST: Fault = |report| report.correctness.lost = 1;
const SLOW: Fault = |report| report.e2e_intended_ms.p95 = 2310.0;
const WORSE: Fault = |report| report.regression = Some(regression(Verdict::Fail));
const UNVERIFIED: Fault = |report| report.correctness.unverified = 1;

#[test]
fn a_sound_run_passes() {
    assert_eq!(ends(&[]), (0, Verdict::Pass));
    assert_eq!(ends(&[|report| report.regression = Some(regression(Verdict::Pass))]), (0, Verdict::Pass));
}

#[test]
fn each_cause_has_its_code() {
    let causes: [(&str, Fault, u8); 19] = [
        ("lost", LOST, 9),
        ("duplicate", |report| report.correctness.duplicate = 1, 9),
        ("stuck", |report| report.correctness.stuck = 1, 9),
        ("a promise broken", SLOW, 7),
        ("too many died", |report| report.correctness.dead = 120, 7),
        ("a rule that ended it", |report| report.ended_early = Some(broken_rule()), 7),
        ("a regression", WORSE, 10),
        ("a baseline of another shape", |report| report.regression = Some(regression(Verdict::Inconclusive)), 11),
        ("unverified", UNVERIFIED, 11),
        ("nothing accepted", |report| report.correctness.accepted = 0, 11),
        ("no samples", |report| report.e2e_intended_ms.n = 0, 11),
        ("too few samples", |report| report.e2e_intended_ms.n = 19, 11),
        ("nothing measured", |report| report.accept_intended_ms.n = 0, 11),
        ("late starts", |report| report.validity.late_starts = 0.06, 11),
        ("the rate not reached", |report| report.validity.offered_ratio = Some(0.98), 11),
        ("the generator saturated", |report| report.timeline.iter_mut().for_each(|s| s.generator_cpu = 0.95), 11),
        ("the stream lost", |report| report.validity.stream_lost = Some("gone".to_owned()), 11),
        ("a gap in the stream", |report| report.validity.stream_gaps = 1, 11),
        ("an interruption", |report| report.ended_early = Some("interrupted".to_owned()), 11),
    ];
    for (name, cause, exit) in causes {
        let verdict = if exit == 11 { Verdict::Inconclusive } else { Verdict::Fail };
        assert_eq!(ends(&[cause]), (exit, verdict), "{name}");
    }
}

#[test]
fn of_several_the_weightiest_is_the_exit() {
    assert_eq!(ends(&[LOST, SLOW, WORSE, UNVERIFIED]).0, 9);
    for (two, exit) in [
        ([LOST, SLOW], 9),
        ([LOST, WORSE], 9),
        ([LOST, UNVERIFIED], 9),
        ([SLOW, WORSE], 7),
        ([SLOW, UNVERIFIED], 7),
        ([WORSE, UNVERIFIED], 10),
    ] {
        assert_eq!(ends(&two).0, exit);
        let [one, other] = two;
        assert_eq!(ends(&[other, one]).0, exit, "whatever comes first");
    }
}

#[test]
fn an_interruption_hides_no_failure() {
    let interruption: Fault = |report| report.ended_early = Some("interrupted by Ctrl-C".to_owned());
    assert_eq!(ends(&[interruption, LOST]), (9, Verdict::Fail));
    assert_eq!(ends(&[interruption, SLOW]), (7, Verdict::Fail));
}

#[test]
fn a_platform_that_accepts_nothing_has_missed_its_promise() {
    let report = judged(with_errors(&[]), |report| {
        report.errors.rate = 1.0;
        report.correctness.accepted = 0;
        (report.accept_ms.n, report.accept_intended_ms.n) = (0, 0);
    });
    assert_eq!((report.exit, report.correctness.verdict), (7, Verdict::Inconclusive));
}

#[test]
fn a_step_that_fails_is_a_promise_missed_and_one_that_says_nothing_is_inconclusive() {
    let steps = || stepped(&[10, 100], &["e2e.p95<2s"]);
    assert_eq!(judged(steps(), |_| {}).exit, 0);
    let slow = judged(steps(), |report| super::document::slow(&mut report.steps[1], None, Some(2500.0)));
    assert_eq!((slow.exit, slow.slo[0].verdict), (7, Verdict::Pass), "over all it is still kept");
    let late = judged(steps(), |report| report.steps[1].late_starts = 0.2);
    assert_eq!(late.exit, 11);
}
