//! Shards that are added up, and handed over.

mod handed_over;
mod observed;
mod watched;

use proptest::prelude::*;

use self::observed::{Request, plan, requests, shard, with_a_loss};
use super::*;
use crate::judge::judge;
use crate::result::{Report, Verdict};

fn parts(requests: &[Request], of: u64) -> Vec<Shard> {
    (1..=of).map(|number| shard(requests, Share::new(number, of).unwrap(), 0.7 * number as f64)).collect()
}

fn merged(shards: Vec<Shard>) -> Report {
    merge(shards, &[], None).unwrap()
}

/// Enough of each second for each of four.
fn many() -> Vec<Request> {
    (0..600)
        .map(|n| Request { by: n / 6, second: n % 6, accept: 900 + n as u64, e2e: 9_000, refused: false, late: false })
        .collect()
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-6 * (1.0 + other.abs())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_parts_of_several_are_the_document_of_the_whole(requests in requests(), of in 2_u64..7) {
        let whole = merged(vec![shard(&requests, Share::WHOLE, 0.0)]);
        let sum = merged(parts(&requests, of));
        prop_assert_eq!(sum.generators.len() as u64, of);
        let timeline = &sum.timeline;
        prop_assert_eq!(timeline.len(), whole.timeline.len());
        for (one, other) in timeline.iter().zip(&whole.timeline) {
            prop_assert!(near(one.offered, other.offered) && near(one.accepted, other.accepted));
            prop_assert!(near(one.completed, other.completed) && near(one.errors, other.errors));
            prop_assert_eq!((one.phase, one.backlog, one.workers), (other.phase, other.backlog, other.workers));
            for (one, other) in [(one.accept_p50, other.accept_p50), (one.accept_p99, other.accept_p99), (one.e2e_p95, other.e2e_p95)] {
                prop_assert_eq!(one.is_some(), other.is_some());
                let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
                prop_assert!((one - other).abs() <= other * 0.011 + 0.001, "{} is not {}", one, other);
            }
        }
        prop_assert!(near(sum.rates.offered, whole.rates.offered) && near(sum.rates.completed, whole.rates.completed));
        // All else is the same to the last digit.
        let blank = |report: Report| Report {
            timeline: Vec::new(),
            generators: Vec::new(),
            rates: Default::default(),
            correctness: Audit { drain_ms: 0, verdict: Verdict::Pass, ..report.correctness },
            validity: crate::result::Validity { generator_cpu: 0.0, generator_cpu_max: 0.0, ..report.validity },
            ..report
        };
        prop_assert_eq!(blank(sum), blank(whole));
    }

    #[test]
    fn seconds_that_do_not_lie_on_each_other_keep_their_counts(requests in requests(), of in 2_u64..5, off in 0.0_f64..1.0) {
        let mut shards = parts(&requests, of);
        for (number, shard) in shards.iter_mut().enumerate() {
            shard.timeline.iter_mut().for_each(|taken| taken.sample.t += off * number as f64 / of as f64);
        }
        let sum = merged(shards);
        let counted = |of: fn(&Sample) -> f64| sum.timeline.iter().map(|second| of(second) * second.lasted).sum::<f64>();
        let refused = requests.iter().filter(|request| request.refused).count() as f64;
        prop_assert!(near(counted(|second| second.offered), requests.len() as f64));
        prop_assert!(near(counted(|second| second.errors), refused));
    }
}

#[test]
fn one_alone_is_its_own_document() {
    let only = shard(&many(), Share::WHOLE, 0.4);
    let report = merged(vec![only.clone()]);
    assert_eq!(report.timeline, only.timeline.iter().map(|taken| taken.sample.clone()).collect::<Vec<_>>());
    assert_eq!((report.correctness, report.generators.len()), (only.correctness, 0));
    assert_eq!(report.accept_ms, only.courses[0].steady.accept.percentiles());
}

#[test]
fn several_that_are_sound_pass_and_it_is_said_how_many_they_were() {
    let mut report = merged(parts(&many(), 4));
    judge(&mut report);
    assert_eq!((report.verdict, report.exit), (Verdict::Pass, 0), "{:?}", report.validity);
    assert_eq!(report.generators.iter().map(|part| part.accepted).sum::<Option<u64>>(), Some(600));
    let note = "the load came from 4 generators; they started together by the platform's clock; their own clocks differ by 0.0 ms (±0.5 ms)";
    assert_eq!(report.validity.notes, [note]);
    // Four on one machine of four cores, a fifth of it each.
    assert!(near(report.validity.generator_cpu, 0.8), "{}", report.validity.generator_cpu);
    assert_eq!(report.generator.cores, 4);
}

#[test]
fn the_worst_generator_decides_whether_the_figures_can_be_believed() {
    let mut shards = parts(&many(), 4);
    // Three of a hundred in all, and 12 of a hundred of its own.
    shards[2].courses[0].steady.late = 15;
    shards[1].stream.lost = Some("gone for 60 s".to_owned());
    shards[3].courses[0].late_ms = 4200.0;
    let mut report = merged(shards);
    judge(&mut report);
    assert_eq!((report.verdict, report.exit), (Verdict::Inconclusive, 11));
    assert_eq!(
        report.validity.reasons,
        [
            "the event stream was lost, so completions are missing: generator 2: gone for 60 s",
            "generator 3: 12% of the requests started late, so the load was not as planned",
            "generator 4 started 4.2 s after the others",
        ]
    );
}

#[test]
fn a_saturated_generator_is_not_hidden_by_idle_ones() {
    let mut shards = parts(&many(), 4);
    for (shard, machine) in shards.iter_mut().zip(["one", "two", "three", "four"]) {
        shard.machine = Some(machine.to_owned());
    }
    shards[0].timeline.iter_mut().for_each(|taken| taken.sample.generator_cpu = 0.97);
    let mut report = merged(shards);
    judge(&mut report);
    assert_eq!((report.exit, report.generator.cores), (11, 16));
    assert!(report.validity.reasons[0].starts_with("the generator was saturated"), "{:?}", report.validity.reasons);
}

#[test]
fn a_missing_generator_is_never_green_and_hides_no_loss() {
    let gone = Missing { number: 2, why: "it was killed (OOMKilled)".to_owned(), last_lines: vec!["…".to_owned()] };
    let without = |shards: Vec<Shard>| {
        let there = shards.into_iter().filter(|shard| shard.share.number() != 2).collect();
        let mut report = merge(there, std::slice::from_ref(&gone), None).unwrap();
        judge(&mut report);
        report
    };
    let report = without(parts(&many(), 3));
    assert_eq!((report.exit, report.correctness.verdict), (11, Verdict::Inconclusive));
    assert_eq!(report.validity.reasons, ["generator 2 of 3 is missing: it was killed (OOMKilled)"]);
    assert_eq!((report.generators[1].run.as_str(), report.generators[1].last_lines.len()), ("run_whole-2", 1));
    let mut shards = parts(&many(), 3);
    shards[2] = with_a_loss(shards[2].clone(), "tsk_1");
    let report = without(shards);
    assert_eq!((report.exit, report.correctness.lost), (9, 1));
    assert_eq!(report.correctness.findings[0].task, "tsk_1");
}

#[test]
fn a_promise_is_judged_by_all_of_them() {
    // Of two generators one is slow: a mean of their p50s would break the promise, the p50 of all keeps it.
    let requests: Vec<_> =
        many().into_iter().map(|r| Request { accept: if r.by % 5 == 0 { 90_000 } else { 1_000 }, ..r }).collect();
    let mut shards = parts(&requests, 2);
    for shard in &mut shards {
        shard.plan.slo = vec!["accept.p50<2ms".parse().unwrap(), "accept.p95<50ms".parse().unwrap()];
    }
    let mut report = merged(shards);
    judge(&mut report);
    let verdicts: Vec<_> = report.slo.iter().map(|slo| (slo.verdict, slo.n)).collect();
    assert_eq!((verdicts, report.exit), (vec![(Verdict::Pass, 500), (Verdict::Fail, 500)], 7));
}

#[test]
fn a_broken_rule_of_one_is_why_all_ended() {
    let mut shards = parts(&many(), 3);
    for shard in &mut shards {
        shard.ended_early = Some("interrupted".to_owned());
    }
    let ended = |shards: &[Shard], cause| merge(shards.to_vec(), &[], cause).unwrap().ended_early;
    assert_eq!(ended(&shards, None).as_deref(), Some("interrupted"));
    assert_eq!(ended(&shards, Some("accepted 3/s (< 9/s) for 2 s")).as_deref(), Some("accepted 3/s (< 9/s) for 2 s"));
    shards[1].ended_early = Some("errors 9% (> 5%) for 1 s".to_owned());
    assert_eq!(ended(&shards, Some("interrupted")).as_deref(), Some("errors 9% (> 5%) for 1 s (generator 2)"));
}

#[test]
fn an_interruption_is_a_reason_once_with_the_one_that_began_it() {
    let mut shards = parts(&many(), 3);
    for shard in &mut shards {
        shard.ended_early = Some("interrupted".to_owned());
    }
    let mut report = merge(shards, &[], Some("interrupted: generator 2 exited early")).unwrap();
    judge(&mut report);
    assert_eq!(report.exit, 11, "no rule was broken");
    let told = "the measurements only cover the time until the interruption (generator 2 exited early)";
    assert_eq!(report.validity.reasons, [told]);
}

#[test]
fn one_that_never_began_does_not_hide_the_others() {
    let mut shards = parts(&many(), 2);
    shards[0].courses.clear();
    shards[0].timeline.clear();
    let report = merged(shards);
    assert_eq!((report.timeline.len(), report.accept_ms.n), (6, 250));
}

#[test]
fn what_does_not_belong_together_is_not_added_up() {
    let two = || parts(&many(), 2);
    let with = |change: fn(&mut Shard)| {
        let mut shards = two();
        change(&mut shards[1]);
        merge(shards, &[], None).unwrap_err().to_string()
    };
    assert_eq!(with(|shard| shard.v = 9), "generator 2 speaks version 9 of the format, this program 1");
    assert_eq!(with(|shard| shard.seed += 1), "the seed of generator 2 differs from that of the others");
    assert_eq!(with(|shard| shard.plan.min_samples += 1), "the plan of generator 2 differs from that of the others");
    assert_eq!(with(|shard| shard.share = Share::new(1, 2).unwrap()), "generator 1 reported twice");
    assert_eq!(merge(Vec::new(), &[], None).unwrap_err(), MergeError::Nothing);
    assert!(plan().slo.len() > 1);
}
