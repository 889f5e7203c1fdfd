use super::*;
use crate::compare::tests::slower;
use crate::compare::{Options, compare};
use crate::result::Verdict;
use card_client::latency::Percentiles;

#[test]
fn students_quantiles_are_those_of_the_tables() {
    for (freedom, expected) in [(7.0, 2.365), (9.0, 2.262), (14.0, 2.145), (30.0, 2.042), (1000.0, 1.962)] {
        assert!((student(freedom) - expected).abs() < 0.01, "{freedom}: {}", student(freedom));
    }
}

#[test]
fn blocks_are_at_least_two_seconds_and_leave_ten_where_they_can() {
    assert_eq!([0, 15, 16, 20, 30, 120, 1800].map(block), [2, 2, 2, 2, 3, 10, 42]);
}

#[test]
fn the_same_two_runs_have_the_same_noise() {
    let mut rng = StdRng::seed_from_u64(7);
    let (before, after) = (run(&mut rng, 30, QUEUE), run(&mut rng, 30, QUEUE));
    assert_eq!(noise(&before, &after), noise(&before, &after));
    assert!(noise(&before, &after).e2e.iter().all(Option::is_some));
}

/// How the seconds of a run hang together: of each so much is kept in the next, and so many begin a stall.
#[derive(Clone, Copy)]
struct Unrest {
    kept: f64,
    stalls: f64,
}

const CALM: Unrest = Unrest { kept: 0.0, stalls: 0.0 };
const QUEUE: Unrest = Unrest { kept: 0.6, stalls: 0.0 };
const STALLS: Unrest = Unrest { kept: 0.3, stalls: 0.02 };

/// The promise of the band, and what comes of it, tried out on pairs of runs between which nothing changed, and on pairs
/// between which everything became half as slow again.
#[test]
fn few_changes_by_chance_leave_the_band_and_few_regressions_stay_in_it() {
    for (name, unrest, seconds, most) in [
        ("calm, short", CALM, 30, Shares { outside: 0.1, alarms: 0.0, missed: 0.0 }),
        ("calm", CALM, 120, Shares { outside: 0.1, alarms: 0.0, missed: 0.0 }),
        ("a queue, short", QUEUE, 30, Shares { outside: 0.25, alarms: 0.15, missed: 0.1 }),
        ("a queue", QUEUE, 120, Shares { outside: 0.1, alarms: 0.0, missed: 0.0 }),
        // Stalls that come once in a minute make the p95, and are in half of the short runs: little can be told of it.
        ("stalls, short", STALLS, 30, Shares { outside: 0.4, alarms: 0.2, missed: 0.6 }),
        ("stalls", STALLS, 120, Shares { outside: 0.3, alarms: 0.15, missed: 0.9 }),
    ] {
        let found = tried(unrest, seconds);
        let held = found.outside <= most.outside && found.alarms <= most.alarms && found.missed <= most.missed;
        assert!(held, "{name}: {found:?} and not {most:?}");
    }
}

/// Of all pairs, by their e2e.p95.
#[derive(Debug, Default)]
struct Shares {
    /// Nothing changed, and the band was left.
    outside: f64,
    /// Nothing changed, and the verdict was a regression.
    alarms: f64,
    /// It was half as slow again, and the verdict was none.
    missed: f64,
}

fn tried(unrest: Unrest, seconds: usize) -> Shares {
    let mut shares = Shares::default();
    for (before, after) in pairs(unrest, seconds) {
        let e2e = |after: &Report| {
            let changes = compare(&before, after, &Options::default()).changes;
            changes.into_iter().find(|change| change.figure == "e2e.p95").unwrap()
        };
        let same = e2e(&after);
        shares.outside += share((same.after / same.before).ln().abs() > same.noise.unwrap().ln_1p());
        shares.alarms += share(same.verdict == Verdict::Fail);
        shares.missed += share(e2e(&slower(after, 1.5)).verdict != Verdict::Fail);
    }
    shares
}

const PAIRS: usize = 40;

fn pairs(unrest: Unrest, seconds: usize) -> impl Iterator<Item = (Report, Report)> {
    let mut rng = StdRng::seed_from_u64(1);
    (0..PAIRS).map(move |_| (run(&mut rng, seconds, unrest), run(&mut rng, seconds, unrest)))
}

fn share(one: bool) -> f64 {
    f64::from(u8::from(one)) / as_f64(PAIRS)
}

/// Seconds of 50 requests around 100 ms, of which each keeps so much of the one before; some stand still for 3 s.
fn run(rng: &mut StdRng, seconds: usize, Unrest { kept, stalls }: Unrest) -> Report {
    let (mut off, mut stalled) = (0.0, 0);
    let (mut all, mut timeline) = (Vec::new(), Vec::new());
    for _ in 0..seconds {
        off = kept * off + 0.1 * normal(rng);
        stalled = if rng.random_bool(stalls) { 3 } else { stalled - 1 };
        let middle = 4.6 + off + if stalled > 0 { 2.0 } else { 0.0 };
        let mut took: Vec<f64> = (0..50).map(|_| (middle + 0.4 * normal(rng)).exp()).collect();
        all.extend_from_slice(&took);
        let [e2e_p50, e2e_p95, e2e_p99] = percentiles(&mut took).map(Some);
        let phase = Phase::Steady;
        timeline.push(Sample {
            phase,
            target: 50.0,
            offered: 50.0,
            accepted: 50.0,
            completed: 50.0,
            e2e_p50,
            e2e_p95,
            e2e_p99,
            ..Sample::default()
        });
    }
    let [p50, p95, p99] = percentiles(&mut all);
    let e2e_intended_ms = Percentiles { n: 1, p50, p95, p99, ..Percentiles::default() };
    Report { timeline, e2e_intended_ms, ..super::super::tests::report() }
}

/// The sum of uniform numbers is near enough to a normal one.
fn normal(rng: &mut StdRng) -> f64 {
    (0..4).map(|_| rng.random_range(-1.0..1.0)).sum::<f64>() * 0.87
}

fn percentiles(took: &mut [f64]) -> [f64; 3] {
    took.sort_by(f64::total_cmp);
    [50, 95, 99].map(|percent| took[took.len() * percent / 100])
}
