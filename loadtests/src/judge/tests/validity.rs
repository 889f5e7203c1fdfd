use super::document::{judged, sound};
use crate::plan::Model;
use crate::result::{Report, Verdict};

fn reasons(fault: impl FnOnce(&mut Report)) -> Vec<String> {
    let report = judged(sound(&[]), fault);
    let expected = if report.validity.reasons.is_empty() { Verdict::Pass } else { Verdict::Inconclusive };
    assert_eq!(report.validity.verdict, expected);
    report.validity.reasons
}

#[test]
fn a_sound_run_has_no_reasons_and_no_notes() {
    let report = judged(sound(&[]), |_| {});
    assert_eq!((report.validity.reasons, report.validity.notes), (Vec::new(), Vec::new()));
}

#[test]
fn a_rate_that_was_not_reached_says_by_how_much_and_why() {
    let open = |ratio, held_back, cpu: f64| {
        reasons(|report| {
            report.plan.model = Model::Open;
            (report.validity.offered_ratio, report.validity.held_back) = (Some(ratio), held_back);
            report.timeline.iter_mut().for_each(|second| second.generator_cpu = cpu);
        })
    };
    assert_eq!(open(0.99, 0, 0.2), Vec::<String>::new());
    assert_eq!(open(0.873, 0, 0.2), ["the rate was not reached: 87.3% of the planned arrivals were sent"]);
    let held = "the rate was not reached: 87.3% of the planned arrivals were sent; the limit of 20,000 requests at once \
                held 1,200 back";
    assert_eq!(open(0.873, 1200, 0.2), [held]);
    let saturated = open(0.873, 0, 0.95);
    assert!(saturated[0].ends_with("; the generator had no processor left"), "{saturated:?}");
    assert!(saturated[1].starts_with("the generator was saturated"), "{saturated:?}");
}

#[test]
fn a_few_late_starts_are_allowed() {
    let late = |share| reasons(|report| report.validity.late_starts = share).len();
    assert_eq!((late(0.05), late(0.051)), (0, 1));
}

#[test]
fn a_generator_is_saturated_in_a_tenth_of_the_seconds() {
    let with = |seconds: usize, cpu: f64| {
        reasons(|report| report.timeline[..seconds].iter_mut().for_each(|second| second.generator_cpu = cpu))
    };
    assert_eq!((with(2, 1.0).len(), with(3, 0.899).len()), (0, 0));
    assert_eq!(reasons(|report| report.timeline.clear()), Vec::<String>::new(), "of no seconds nothing is known");
    assert_eq!(with(3, 0.9), ["the generator was saturated: it used 90% or more of all cores in 3 of 30 s"]);
}

#[test]
fn what_was_not_heard_when_it_happened_was_not_measured() {
    let lost = reasons(|report| report.validity.stream_lost = Some("connection refused".to_owned()));
    assert!(lost[0].contains("was lost") && lost[0].ends_with("connection refused"), "{lost:?}");
    let gaps = |count| reasons(|report| report.validity.stream_gaps = count).remove(0);
    assert!(gaps(1).contains("had a gap once") && gaps(2).contains("had a gap 2 times"));
}

#[test]
fn nothing_measured_is_a_reason() {
    assert!(reasons(|report| report.accept_intended_ms.n = 0)[0].starts_with("there are no samples"));
}

#[test]
fn an_interruption_is_a_reason_and_a_broken_rule_is_none() {
    assert!(reasons(|report| report.ended_early = Some("interrupted".to_owned()))[0].contains("it was interrupted"));
    assert_eq!(
        reasons(|report| report.ended_early = Some("errors 7% (> 5%) for 3 s".to_owned())),
        Vec::<String>::new()
    );
}

#[test]
fn what_should_be_known_is_a_note_and_no_reason() {
    let report = judged(sound(&[]), |report| {
        report.validity.machine_cpu = Some(0.97);
        (report.validity.stream_reconnects, report.correctness.unanswered) = (2, 3);
    });
    let expected = [
        "generator and platform share a machine that was 97% busy: each slows the other down",
        "the event stream broke off 2 times and came back without a gap",
        "requests without an answer: 3; nobody knows whether they were accepted",
    ];
    assert_eq!((report.validity.notes.as_slice(), report.exit), (expected.map(str::to_owned).as_slice(), 0));
    let alone = judged(sound(&[]), |report| {
        (report.validity.machine_cpu, report.generator.shared) = (Some(0.97), false);
    });
    assert_eq!(alone.validity.notes, Vec::<String>::new());
}
