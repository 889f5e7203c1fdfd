use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::plan::{Growth, Journey, Mix, Model, Stage, Think};
use crate::report::fixture;
use crate::result::{Audit, Errors, Phase, Rates, Sample, Step, Validity};
use card_client::latency::Percentiles;

/// A sound run of 30 measured seconds in which every second is like every other.
pub(crate) fn report() -> Report {
    let percentiles = |p50: f64| Percentiles {
        n: 3000,
        p50,
        p90: p50 * 2.0,
        p95: p50 * 3.0,
        p99: p50 * 5.0,
        max: p50 * 9.0,
        mean: p50,
    };
    let second = |t: u32| Sample {
        t: f64::from(t),
        phase: Phase::Steady,
        target: 50.0,
        offered: 101.0,
        accepted: 100.0,
        completed: 100.0,
        errors: 1.0,
        accept_p50: Some(4.0),
        accept_p95: Some(12.0),
        accept_p99: Some(20.0),
        e2e_p50: Some(40.0),
        e2e_p95: Some(120.0),
        e2e_p99: Some(200.0),
        ..Sample::default()
    };
    Report {
        correctness: Audit { verdict: Verdict::Pass, accepted: 3000, succeeded: 3000, ..Audit::default() },
        validity: Validity { verdict: Verdict::Pass, ..Validity::default() },
        accept_intended_ms: percentiles(4.0),
        e2e_intended_ms: percentiles(40.0),
        rates: Rates { offered: 101.0, accepted: 100.0, completed: 100.0 },
        errors: Errors { rate: 0.01, ..Errors::default() },
        timeline: (1..=30).map(second).collect(),
        ..fixture::empty()
    }
}

/// All latencies times `factor`, whole and by the second.
pub(super) fn slower(mut report: Report, factor: f64) -> Report {
    for latency in [&mut report.accept_intended_ms, &mut report.e2e_intended_ms] {
        for figure in [&mut latency.p50, &mut latency.p90, &mut latency.p95, &mut latency.p99, &mut latency.max] {
            *figure *= factor;
        }
    }
    for second in &mut report.timeline {
        let accept = [&mut second.accept_p50, &mut second.accept_p95, &mut second.accept_p99];
        let e2e = [&mut second.e2e_p50, &mut second.e2e_p95, &mut second.e2e_p99];
        accept.into_iter().chain(e2e).flatten().for_each(|figure| *figure *= factor);
    }
    report
}

fn against(before: &Report, after: &Report) -> Regression {
    compare(before, after, &Options::default())
}

fn change<'a>(regression: &'a Regression, figure: &str) -> &'a Change {
    regression.changes.iter().find(|change| change.figure == figure).unwrap()
}

#[test]
fn a_run_is_no_regression_against_itself() {
    let regression = against(&report(), &report());
    assert_eq!((regression.verdict, &regression.unlike, &regression.notes), (Verdict::Pass, &vec![], &vec![]));
    let figures: Vec<_> = regression.changes.iter().map(|change| change.figure.as_str()).collect();
    let expected = "accept.p50 accept.p95 accept.p99 e2e.p50 e2e.p95 e2e.p99 completed accepted errors";
    assert_eq!(figures, expected.split(' ').collect::<Vec<_>>());
    let counted = regression.changes.iter().filter(|change| change.counts).map(|change| change.figure.as_str());
    assert_eq!(counted.collect::<Vec<_>>(), ["accept.p95", "e2e.p95", "completed", "errors"]);
    assert_eq!((regression.baseline.as_str(), regression.baseline_run.as_deref()), ("7hq2m1", Some("7hq2m1")));
}

#[test]
fn twice_as_slow_fails() {
    let regression = against(&report(), &slower(report(), 2.0));
    assert_eq!(regression.verdict, Verdict::Fail);
    let e2e = change(&regression, "e2e.p95");
    assert_eq!((e2e.before, e2e.after, e2e.change, e2e.verdict), (120.0, 240.0, Some(1.0), Verdict::Fail));
    assert!(e2e.noise.unwrap() < 1e-9, "the same in every second: {:?}", e2e.noise);
}

#[test]
fn up_to_the_tolerance_passes_and_what_is_better_too() {
    for factor in [1.099, 0.9, 0.1] {
        assert_eq!(against(&report(), &slower(report(), factor)).verdict, Verdict::Pass, "{factor}");
    }
    assert_eq!(against(&report(), &slower(report(), 1.11)).verdict, Verdict::Fail);
    let tolerant = Options { tolerance: 0.2, ..Options::default() };
    assert_eq!(compare(&report(), &slower(report(), 1.11), &tolerant).verdict, Verdict::Pass);
}

#[test]
fn half_a_millisecond_is_no_regression() {
    let mut before = report();
    before.accept_intended_ms.p95 = 0.4;
    let mut after = before.clone();
    after.accept_intended_ms.p95 = 0.9;
    assert_eq!(against(&before, &after).verdict, Verdict::Pass);
    after.accept_intended_ms.p95 = 0.91;
    assert_eq!(against(&before, &after).verdict, Verdict::Fail);
}

#[test]
fn a_change_within_the_noise_is_inconclusive() {
    let restless = |shift: usize| {
        let mut report = report();
        for (index, second) in report.timeline.iter_mut().enumerate() {
            // Three good seconds, three bad ones; the other run the other way round.
            second.e2e_p95 = Some(if (index / 3 + shift).is_multiple_of(2) { 60.0 } else { 180.0 });
        }
        report
    };
    let (before, mut after) = (restless(0), restless(1));
    after.e2e_intended_ms.p95 *= 1.3;
    let regression = against(&before, &after);
    let e2e = change(&regression, "e2e.p95");
    assert_eq!((e2e.verdict, regression.verdict), (Verdict::Inconclusive, Verdict::Inconclusive));
    assert!(e2e.noise.unwrap() > 0.3);
    after.e2e_intended_ms.p95 *= 10.0;
    assert_eq!(against(&before, &after).verdict, Verdict::Fail);
}

#[test]
fn what_the_load_does_to_both_is_no_noise() {
    let mut before = report();
    for (index, second) in before.timeline.iter_mut().enumerate() {
        second.target = if index < 15 { 50.0 } else { 500.0 };
        second.e2e_p95 = Some(if index < 15 { 20.0 } else { 900.0 });
    }
    let regression = against(&before, &slower(before.clone(), 1.3));
    assert!(change(&regression, "e2e.p95").noise.unwrap() < 1e-9);
    assert_eq!(regression.verdict, Verdict::Fail);
}

#[test]
fn without_enough_seconds_the_tolerance_decides_alone_and_it_is_said() {
    let short = |factor| {
        let mut report = slower(report(), factor);
        report.timeline.truncate(15);
        report
    };
    let regression = against(&short(1.0), &short(1.2));
    assert_eq!(regression.verdict, Verdict::Fail);
    assert!(regression.changes.iter().all(|change| change.noise.is_none()));
    assert!(regression.notes[0].contains("16 s are needed"), "{:?}", regression.notes);
}

#[test]
fn errors_count_by_percentage_points() {
    let with = |rate| Report { errors: Errors { rate, ..Errors::default() }, ..report() };
    for (before, after, verdict) in [
        (0.0, 0.0099, Verdict::Pass),
        (0.001, 0.009, Verdict::Pass),
        (0.0, 0.02, Verdict::Fail),
        (0.5, 0.52, Verdict::Fail),
        (0.5, 0.1, Verdict::Pass),
    ] {
        let regression = against(&with(before), &with(after));
        assert_eq!(change(&regression, "errors").verdict, verdict, "{before} to {after}");
        assert_eq!(change(&regression, "errors").change.is_none(), before == 0.0);
    }
}

#[test]
fn less_done_a_second_fails_and_more_passes() {
    let with = |completed| Report { rates: Rates { completed, ..report().rates }, ..report() };
    for (after, verdict) in [(91.0, Verdict::Pass), (300.0, Verdict::Pass), (89.0, Verdict::Fail), (0.0, Verdict::Fail)]
    {
        assert_eq!(against(&report(), &with(after)).verdict, verdict, "{after}");
    }
    assert_eq!(against(&with(0.0), &report()).verdict, Verdict::Inconclusive);
}

#[test]
fn without_samples_nothing_is_green() {
    let unheard = Report { e2e_intended_ms: Percentiles::default(), ..report() };
    for (before, after) in [(report(), unheard.clone()), (unheard.clone(), report()), (unheard.clone(), unheard)] {
        let regression = against(&before, &after);
        assert_eq!(change(&regression, "e2e.p95").verdict, Verdict::Inconclusive);
        assert_eq!(regression.verdict, Verdict::Inconclusive);
    }
    let silent = Report { rates: Rates::default(), ..report() };
    assert_eq!(against(&silent, &silent).verdict, Verdict::Inconclusive);
}

#[test]
fn only_what_counts_decides() {
    let slow = slower(report(), 2.0);
    let only = |fail_on| compare(&report(), &slow, &Options { fail_on, ..Options::default() }).verdict;
    assert_eq!(only(vec![Figure::Throughput]), Verdict::Pass);
    assert_eq!(only(vec![Figure::P50]), Verdict::Fail);
    assert_eq!(only(vec![]), Verdict::Inconclusive);
}

#[test]
fn runs_of_another_shape_are_refused_with_each_difference() {
    let seconds = Duration::from_secs;
    let stage = |to, over| Stage { to, over: seconds(over) };
    let other = |change: &dyn Fn(&mut Report)| {
        let mut after = report();
        change(&mut after);
        let regression = against(&report(), &after);
        assert_eq!(regression.verdict, Verdict::Inconclusive);
        assert!(regression.changes.is_empty());
        regression.unlike.join("; ")
    };
    let growth = Growth { from: 10.0, up_to: 1000.0, refinements: 2 };
    assert_eq!(other(&|after| after.plan.stages = vec![stage(100.0, 5), stage(100.0, 30)]), "users 50, here 100");
    assert_eq!(
        other(&|after| after.plan.stages = vec![stage(50.0, 5), stage(50.0, 60)]),
        "the load profile 100% in 5s → 100% in 30s, here 100% in 5s → 100% in 1m"
    );
    assert_eq!(other(&|after| after.plan.warm_up = seconds(1)), "the warm-up 5s, here 1s");
    assert_eq!(
        other(&|after| after.plan.model = Model::Open),
        "the model closed, here open; the size 50 users, here 50 arrivals a second"
    );
    assert_eq!(other(&|after| after.plan.steps = vec![10.0, 100.0]), "the sizes 50, here 10,100");
    assert_eq!(
        other(&|after| after.plan.growth = Some(growth)),
        "the sizes 50, here 10, doubled up to 1000, with 2 refinements"
    );
    assert_eq!(
        other(&|after| after.plan.think = Think { min: Duration::from_millis(200), max: seconds(1) }),
        "the think time 0s..0s, here 200ms..1s"
    );
    assert_eq!(other(&|after| after.plan.journey = Mix::only(Journey::ADD)), "the journey submit, here add");
    assert_eq!(
        other(&|after| after.target = "http://127.0.0.1:8080".to_owned()),
        "the target embedded, here an address"
    );
    assert_eq!(other(&|after| after.ended_early = Some("interrupted".to_owned())), "this run ended early: interrupted");
    assert_eq!(
        other(&|after| after.correctness.verdict = Verdict::Fail),
        "this run lost, duplicated or left tasks, so its measurements are not meaningful"
    );
    assert_eq!(
        other(&|after| {
            after.validity.verdict = Verdict::Inconclusive;
            after.validity.reasons = vec!["the generator was busy".to_owned()];
        }),
        "the measurements of this run are not valid: the generator was busy"
    );
}

#[test]
fn two_searches_that_went_other_ways_are_refused() {
    let search = |sizes: &[u64]| {
        let mut report = report();
        report.plan.growth = Some(Growth { from: 10.0, up_to: 1000.0, refinements: 0 });
        report.steps = sizes.iter().map(|users| Step { users: Some(*users), ..Step::default() }).collect();
        report
    };
    let regression = against(&search(&[10, 20, 40]), &search(&[10, 20]));
    assert_eq!(regression.unlike, ["the sizes tested 10,20,40, here 10,20"]);
    assert_eq!(against(&search(&[10, 20]), &search(&[10, 20])).verdict, Verdict::Pass);
}

#[test]
fn what_is_wrong_with_the_baseline_is_said_of_the_baseline() {
    let before = Report { ended_early: Some("interrupted".to_owned()), ..report() };
    assert_eq!(against(&before, &report()).unlike, ["the baseline ended early: interrupted"]);
}

#[test]
fn another_machine_version_or_seed_is_noted_and_not_refused() {
    let mut after = report();
    after.platform.version = Some("0.2.0".to_owned());
    after.platform.workers = Some(8);
    after.generator.cores = 2;
    after.validity.machine_cpu = Some(0.99);
    after.seed = 7;
    let mut before = report();
    before.validity.machine_cpu = Some(0.619);
    let regression = against(&before, &after);
    assert_eq!(regression.verdict, Verdict::Pass);
    assert_eq!(
        regression.notes,
        [
            "the platform's version unknown, here 0.2.0",
            "workers unknown, here 8",
            "the generator's cores 8, here 2",
            "the machine 62% busy, here 99% busy",
            "the seed 4410, here 7"
        ]
    );
}

#[test]
fn a_baseline_that_is_not_there_is_no_green() {
    let options = Options { baseline: Some("last".to_owned()), ..Options::default() };
    let regression = missing("there is no earlier run", &options);
    assert_eq!(regression.verdict, Verdict::Inconclusive);
    assert_eq!((regression.baseline.as_str(), regression.unlike.len()), ("last", 1));
}

prop_compose! {
    fn second()(
        target in prop_oneof![Just(50.0), Just(500.0)],
        latency in proptest::array::uniform6(proptest::option::of(0.0..1e6f64)),
        rates in proptest::array::uniform4(0.0..1e5f64),
    ) -> Sample {
        let [accept_p50, accept_p95, accept_p99, e2e_p50, e2e_p95, e2e_p99] = latency;
        let [offered, accepted, completed, errors] = rates;
        Sample {
            phase: Phase::Steady, target, offered, accepted, completed, errors,
            accept_p50, accept_p95, accept_p99, e2e_p50, e2e_p95, e2e_p99, ..Sample::default()
        }
    }
}

prop_compose! {
    /// Any like-shaped run with samples.
    fn run()(
        figures in proptest::array::uniform6(1e-3..1e6f64),
        rates in proptest::array::uniform3(1e-3..1e5f64),
        rate in 0.0..=1.0f64,
        timeline in proptest::collection::vec(second(), 0..80),
    ) -> Report {
        let percentiles = |p50, p95, p99| Percentiles { n: 1, p50, p95, p99, ..Percentiles::default() };
        let [offered, accepted, completed] = rates;
        Report {
            accept_intended_ms: percentiles(figures[0], figures[1], figures[2]),
            e2e_intended_ms: percentiles(figures[3], figures[4], figures[5]),
            rates: Rates { offered, accepted, completed },
            errors: Errors { rate, ..Errors::default() },
            timeline,
            ..report()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_run_passes_against_itself(run in run()) {
        let options = Options { fail_on: Figure::ALL.to_vec(), ..Options::default() };
        prop_assert_eq!(compare(&run, &run, &options).verdict, Verdict::Pass);
    }

    #[test]
    fn without_noise_twice_as_slow_fails(factor in 2.0..1e3f64) {
        prop_assert_eq!(against(&report(), &slower(report(), factor)).verdict, Verdict::Fail);
    }

    /// One way or the other round: the same noise, and no figure is worse both ways.
    #[test]
    fn no_figure_is_worse_both_ways(one in run(), other in run()) {
        let (there, back) = (against(&one, &other), against(&other, &one));
        for (there, back) in there.changes.iter().zip(&back.changes) {
            prop_assert!(there.verdict != Verdict::Fail || back.verdict == Verdict::Pass, "{}", there.figure);
            prop_assert!(back.verdict != Verdict::Fail || there.verdict == Verdict::Pass, "{}", there.figure);
            match (there.noise, back.noise) {
                (Some(there), Some(back)) => prop_assert!((there - back).abs() <= 1e-6 * there.max(1e-6)),
                (there, back) => prop_assert_eq!(there, back),
            }
        }
    }

    /// Written as JSON, a number that is not finite would be lost.
    #[test]
    fn any_finite_figures_make_finite_changes(
        figures in proptest::array::uniform8(proptest::num::f64::NORMAL | proptest::num::f64::ZERO),
        tolerance in 0.0..10.0f64,
    ) {
        let strange = |figures: &[f64]| {
            let mut run = report();
            run.accept_intended_ms.p95 = figures[0];
            run.e2e_intended_ms.p50 = figures[1];
            run.rates.completed = figures[2];
            run.errors.rate = figures[3];
            for (second, figure) in run.timeline.iter_mut().zip(figures.iter().cycle()) {
                (second.accept_p95, second.completed, second.errors) = (Some(*figure), *figure, *figure);
            }
            run
        };
        let options = Options { tolerance, ..Options::default() };
        let regression = compare(&strange(&figures[..4]), &strange(&figures[4..]), &options);
        for change in &regression.changes {
            prop_assert!(change.change.is_none_or(f64::is_finite) && change.noise.is_none_or(f64::is_finite));
        }
    }
}
