use card_core::settings::Settings;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Target 100 tasks a worker, 2 s, a window of 30 s.
fn settings() -> Autoscale {
    Autoscale {
        target_backlog: 100,
        target_age: 2 * SECOND,
        stabilization: 30 * SECOND,
        metric: AutoscaleMetric::Backlog,
        target_cpu: 0.5,
    }
}

fn rule(min: usize, max: usize) -> Rule {
    Rule::new(Bounds { min, max }, settings())
}

fn sample(second: u64, workers: usize, backlog: u64) -> Sample {
    Sample {
        at: Duration::from_secs(second),
        workers,
        backlog: Some(backlog),
        oldest_age: Some(Duration::ZERO),
        cpu: Vec::new(),
    }
}

/// Carries every decision out, a sample a second.
fn follow(rule: &mut Rule, mut workers: usize, seconds: std::ops::Range<u64>, backlog: u64) -> usize {
    for second in seconds {
        workers = rule.decide(&sample(second, workers, backlog)).workers;
    }
    workers
}

#[test]
fn a_backlog_wants_as_many_as_it_takes() {
    for (backlog, workers) in [(0, 1), (1, 1), (200, 2), (250, 3), (300, 3), (301, 4), (u64::MAX, 5)] {
        assert_eq!(rule(1, 64).decide(&sample(0, 1, backlog)).workers, workers, "{backlog}");
    }
}

#[test]
fn near_the_target_nothing_changes() {
    for (backlog, workers) in [(1_099, 10), (1_101, 12), (901, 10), (899, 10)] {
        assert_eq!(rule(1, 64).decide(&sample(0, 10, backlog)).workers, workers, "{backlog}");
    }
}

#[test]
fn the_largest_metric_wins() {
    let old = Sample { oldest_age: Some(3 * SECOND), ..sample(0, 2, 10) };
    let decision = rule(1, 64).decide(&old);
    assert_eq!(decision.workers, 3);
    assert!(decision.reason.starts_with("oldest waiting 3s, 2s at most"), "{decision:?}");
    assert_eq!(rule(1, 64).decide(&Sample { backlog: Some(500), ..old }).workers, 5);
}

#[test]
fn what_is_missing_takes_nobody_away_and_does_not_keep_from_adding() {
    let mut rule = rule(1, 64);
    for second in 0..100 {
        let blind = Sample { backlog: None, oldest_age: None, ..sample(second, 4, 0) };
        assert_eq!(rule.decide(&blind).workers, 4);
        let half = Sample { oldest_age: None, ..sample(second, 4, 0) };
        assert_eq!(rule.decide(&half).workers, 4);
    }
    let half = Sample { oldest_age: None, ..sample(101, 4, 700) };
    assert_eq!(rule.decide(&half).workers, 7);
}

#[test]
fn down_waits_for_the_window() {
    let mut rule = rule(1, 64);
    assert_eq!(rule.decide(&sample(0, 5, 500)).workers, 5);
    let kept = rule.decide(&sample(1, 5, 200));
    assert_eq!((kept.workers, kept.recommended), (5, 2));
    assert!(kept.reason.ends_with("5 were wanted within 30 s"), "{kept:?}");
    assert_eq!(follow(&mut rule, 5, 2..30, 200), 5);
    assert_eq!(follow(&mut rule, 5, 30..31, 0), 2, "the highest of the window, not the last");
    assert_eq!(follow(&mut rule, 2, 31..59, 0), 2);
    assert_eq!(follow(&mut rule, 2, 59..60, 0), 1, "never below the bound");
}

#[test]
fn a_short_lull_takes_nobody_away() {
    let mut rule = rule(1, 64);
    assert_eq!(follow(&mut rule, 5, 0..10, 500), 5);
    assert_eq!(follow(&mut rule, 5, 10..35, 0), 5);
    assert_eq!(follow(&mut rule, 5, 35..40, 500), 5);
    assert_eq!(follow(&mut rule, 5, 40..69, 0), 5);
}

#[test]
fn a_start_takes_nobody_away_before_the_window() {
    let mut rule = rule(1, 64);
    assert_eq!(follow(&mut rule, 6, 0..30, 0), 6);
    assert_eq!(follow(&mut rule, 6, 30..31, 0), 1);
}

#[test]
fn up_is_at_most_four_more_or_twice_as_many_in_fifteen_seconds() {
    let mut rule = rule(1, 64);
    let first = rule.decide(&sample(0, 1, 1_000_000));
    assert_eq!(first.workers, 5, "four more");
    assert!(first.reason.contains("no more than 5 within 15 s"), "{first:?}");
    assert_eq!(follow(&mut rule, 5, 1..15, 1_000_000), 5);
    assert_eq!(follow(&mut rule, 5, 15..30, 1_000_000), 10, "twice as many");
    assert_eq!(follow(&mut rule, 10, 30..31, 1_000_000), 20);
}

#[test]
fn what_was_taken_away_within_the_period_may_come_back() {
    let mut rule = rule(1, 64);
    assert_eq!(follow(&mut rule, 12, 0..31, 0), 1);
    assert_eq!(follow(&mut rule, 1, 31..32, 1_200), 12);
}

#[test]
fn cpu_is_the_mean_of_the_workers() {
    let mut rule = Rule::new(Bounds { min: 1, max: 64 }, Autoscale { metric: AutoscaleMetric::Cpu, ..settings() });
    let mut of = |second, cpu: &[Option<f64>]| {
        rule.decide(&Sample { cpu: cpu.to_vec(), ..sample(second, cpu.len(), 1_000_000) }).recommended
    };
    assert_eq!(of(0, &[Some(1.0), Some(0.5)]), 3, "2 × 0.75 / 0.5");
    assert_eq!(of(1, &[Some(0.1), Some(0.1)]), 1, "whatever the backlog");
    assert_eq!(of(2, &[Some(0.52), Some(0.5)]), 2, "near the target");
    assert_eq!(of(3, &[Some(0.1), None, None]), 3, "the unknown count as on target: (0.1 + 1.0) / 1.5 = 0.73, 3 of 3");
    assert_eq!(of(4, &[Some(0.9), None]), 2, "the unknown count as idle: 0.9 would add, 0.45 would take away");
    assert_eq!(of(5, &[None, None]), 2);
}

#[test]
fn what_is_built_in_can_be_used() {
    let mut rule = Rule::new(Bounds { min: 1, max: 8 }, Settings::default().autoscale);
    assert!(!rule.follows_cpu());
    assert_eq!(rule.decide(&sample(0, 1, 1_000)).workers, 5);
}

proptest! {
    #[test]
    fn it_stays_within_its_bounds_and_its_pace(
        backlogs in prop::collection::vec((prop::option::of(0_u64..100_000), 0_u64..10_000), 1..120),
        min in 1_usize..5,
        extra in 0_usize..60,
    ) {
        let bounds = Bounds { min, max: min + extra };
        let mut rule = Rule::new(bounds, settings());
        let mut counts = vec![min];
        for (second, (backlog, age)) in (0_u64..).zip(backlogs) {
            let workers = counts[counts.len() - 1];
            let age = Some(Duration::from_millis(age));
            let decision = rule.decide(&Sample { backlog, oldest_age: age, ..sample(second, workers, 0) });
            prop_assert!((bounds.min..=bounds.max).contains(&decision.workers), "{decision:?}");
            prop_assert!(backlog.is_some() || decision.workers >= workers, "{decision:?}");
            counts.push(decision.workers);
            let before = counts[usize::try_from(second.saturating_sub(14)).unwrap()];
            prop_assert!(decision.workers <= (before + STEP).max(before * FACTOR).max(workers), "{decision:?}");
        }
    }

    #[test]
    fn more_work_never_wants_fewer(workers in 1_usize..20, less in 0_u64..50_000, more in 0_u64..50_000) {
        let few = rule(1, 64).decide(&sample(0, workers, less)).recommended;
        let many = rule(1, 64).decide(&sample(0, workers, less + more)).recommended;
        prop_assert!(few <= many || many == workers, "{few} {many}");
    }
}
