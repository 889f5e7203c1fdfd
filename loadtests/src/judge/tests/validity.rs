use super::document::{judged, sound, with_errors};
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
    assert!(saturated[0].ends_with("; the generator's CPU was saturated"), "{saturated:?}");
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
fn what_a_gateway_answered_is_a_note_if_it_is_little_and_a_reason_if_it_is_not() {
    let with = |refused| {
        judged(sound(&[]), |report| {
            report.errors.by_gateway = [("http-429".to_owned(), refused), ("http-502".to_owned(), 1)].into();
            report.errors.by_code = [("http-429".to_owned(), refused)].into();
        })
    };
    let few = with(100);
    assert_eq!((few.validity.reasons.len(), few.exit), (0, 0));
    assert!(few.validity.notes[0].contains("0.835% of the answers came from a proxy in front"), "{:?}", few.validity);
    let many = with(1332);
    let told = "10% of the answers came from a proxy in front of the platform, mostly as http-429";
    assert_eq!((many.validity.reasons, many.exit), (vec![told.to_owned()], 11));
}

#[test]
fn what_had_to_be_sent_again_often_is_a_reason() {
    let with = |repeated| judged(sound(&[]), |report| (report.errors.repeated, report.errors.resent) = (repeated, 900));
    assert_eq!(
        with(600).validity.notes,
        ["requests resent because the platform did not answer: 600, 900 times in all"]
    );
    let reasons = with(601).validity.reasons;
    assert_eq!(reasons, ["5.01% of the requests had to be resent, so the load was not as planned"]);
}

#[test]
fn a_request_that_this_machine_could_not_send_is_a_reason_and_no_error() {
    let report = judged(sound(&["accepted>=500/s"]), |report| {
        report.validity.unsent = 1;
        report.validity.by_lack = [("local-ports".to_owned(), 1)].into();
    });
    assert!(report.validity.reasons[0].starts_with("this machine could not send 1 request: no free local port; "));
    // What it did not send it can't have had accepted: the promise is not broken by the platform.
    assert_eq!((report.slo.last().unwrap().verdict, report.exit), (Verdict::Inconclusive, 11));
}

#[test]
fn a_generator_that_stood_still_breaks_no_promise_about_time() {
    let still = |seconds: f64, slo: &str| judged(sound(&[slo]), |report| report.timeline[3].stood_still = seconds);
    for slo in ["e2e.p95<1ms", "accept.max<1ms", "work.p50<1ms", "accepted>=500/s"] {
        let report = still(2.5, slo);
        assert_eq!(report.validity.reasons.len(), 1, "{slo}");
        assert!(report.validity.reasons[0].starts_with("the generator was stalled for 2.5 s of 30 s"), "{slo}");
        assert_eq!((report.slo.last().unwrap().verdict, report.exit), (Verdict::Inconclusive, 11), "{slo}");
    }
    // What was refused was refused, and a promise that is kept is kept.
    assert_eq!(still(2.5, "dead<0.1%").exit, 11);
    let refused = judged(with_errors(&["errors<2%"]), |report| report.timeline[3].stood_still = 2.5);
    assert_eq!(refused.exit, 7);
    // A short one is known, and moves only what a few requests move.
    let short = still(0.6, "e2e.p95<1ms");
    assert_eq!((short.validity.reasons.len(), short.exit), (0, 7));
    assert_eq!(short.validity.notes, ["the generator was stalled for 600 ms, 2% of the measured time"]);
    assert_eq!(still(0.6, "e2e.max<1ms").exit, 11);
    assert_eq!(still(0.4, "e2e.max<1ms").exit, 7);
}

#[test]
fn a_host_that_takes_the_processor_away_is_a_reason() {
    let with = |stolen| reasons(|report| report.timeline.iter_mut().for_each(|second| second.stolen = Some(stolen)));
    assert_eq!(with(0.09), Vec::<String>::new());
    assert_eq!(with(0.25), ["the host gave 25% of this machine's CPU to others during the measurement"]);
    // What was late because of that was not the platform.
    let late = judged(sound(&["e2e.p95<1ms"]), |report| {
        report.timeline.iter_mut().for_each(|second| second.stolen = Some(0.25));
    });
    assert_eq!((late.slo.last().unwrap().verdict, late.exit), (Verdict::Inconclusive, 11));
}

#[test]
fn a_generator_whose_quota_ran_out_again_and_again_says_so_and_breaks_no_promise_about_time() {
    let with = |throttled: f64, slo: &str| {
        judged(sound(&[slo]), |report| {
            report.timeline.iter_mut().for_each(|second| second.throttled = Some(throttled));
        })
    };
    let told = "the generator was throttled in 30% of its CPU quota periods";
    for slo in ["e2e.p95<1ms", "accept.max<1ms", "accepted>=500/s"] {
        let report = with(0.3, slo);
        assert_eq!(report.validity.reasons, [told], "{slo}");
        assert_eq!((report.slo.last().unwrap().verdict, report.exit), (Verdict::Inconclusive, 11), "{slo}");
    }
    let little = with(0.04, "e2e.p95<1ms");
    assert_eq!((little.validity.reasons.len(), little.exit), (0, 7));
}

#[test]
fn ends_that_were_not_heard_are_a_reason() {
    let unheard = reasons(|report| (report.e2e_ms.n, report.e2e_intended_ms.n) = (11_997, 11_997));
    let told =
        "completions of 11,997 of 12,000 accepted requests were observed, so the end-to-end times are incomplete";
    assert_eq!(unheard, [told]);
}

#[test]
fn a_time_in_which_no_rate_was_taken_is_a_reason() {
    let none = reasons(|report| (report.rates.accepted, report.timeline) = (0.0, Vec::new()));
    assert_eq!(none, ["the measured time was too short to compute rates"]);
}

#[test]
fn a_weaker_promise_than_the_built_in_one_is_a_note() {
    let report = judged(sound(&["errors<5%", "dead<0.1%"]), |_| {});
    let told = "errors<5% (< 5%) replaced the default errors<1%, which is stricter";
    assert_eq!((report.validity.notes, report.exit), (vec![told.to_owned()], 0));
}

#[test]
fn nothing_measured_is_a_reason() {
    assert!(reasons(|report| report.accept_intended_ms.n = 0)[0].starts_with("there are no samples"));
}

#[test]
fn an_interruption_is_a_reason_and_a_broken_rule_is_none() {
    assert!(
        reasons(|report| report.ended_early = Some("interrupted".to_owned()))[0].contains("until the interruption")
    );
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
        "generator and platform share a machine that was 97% busy, and slow each other down",
        "the event stream was interrupted 2 times and resumed without a gap",
        "requests without an answer: 3; it is unknown whether they were accepted",
    ];
    assert_eq!((report.validity.notes.as_slice(), report.exit), (expected.map(str::to_owned).as_slice(), 0));
    let alone = judged(sound(&[]), |report| {
        (report.validity.machine_cpu, report.generator.shared) = (Some(0.97), false);
    });
    assert_eq!(alone.validity.notes, Vec::<String>::new());
}
