use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules { min_calls: 4, failure_ratio: 0.5, window: Duration::from_secs(5) };

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn call(breaker: &mut Breaker, verdict: Verdict, now: Instant) {
    let pass = breaker.pass(now).unwrap();
    breaker.record(pass, verdict, now);
}

fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::new(RULES);
    (0..RULES.min_calls).for_each(|_| call(&mut breaker, Verdict::Failed, now));
    assert_eq!(breaker.admission(now), Admission::Closed { wait: RULES.window });
    breaker
}

#[test]
fn a_few_failures_are_not_an_outage() {
    let now = Instant::now();
    let mut breaker = Breaker::new(RULES);
    (1..RULES.min_calls).for_each(|_| call(&mut breaker, Verdict::Failed, now));
    assert!(breaker.is_closed());
    call(&mut breaker, Verdict::Failed, now);
    assert!(!breaker.is_closed());
}

#[test]
fn failures_that_left_the_window_do_not_count() {
    let now = Instant::now();
    let mut breaker = Breaker::new(RULES);
    for round in 0..100 {
        call(&mut breaker, Verdict::Failed, now + RULES.window.mul_f64(f64::from(round) / 2.5));
        assert!(breaker.is_closed(), "round {round}: three in a window are too few");
    }
}

#[test]
fn a_probe_decides_and_the_pause_grows_to_its_cap() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    let mut pauses = Vec::new();
    for _ in 0..5 {
        let Admission::Closed { wait } = breaker.admission(now) else { panic!() };
        pauses.push(wait.as_secs());
        now += wait;
        call(&mut breaker, Verdict::Failed, now);
    }
    assert_eq!(pauses, [5, 10, 20, 30, 30]);
    now += LONGEST_PAUSE;
    call(&mut breaker, Verdict::Worked, now);
    assert!(breaker.is_closed());
    (0..RULES.min_calls).for_each(|_| call(&mut breaker, Verdict::Failed, now));
    assert_eq!(breaker.admission(now), Admission::Closed { wait: RULES.window }, "the next outage begins anew");
}

#[test]
fn one_probe_at_a_time() {
    let now = Instant::now();
    let mut breaker = opened(now);
    let later = now + RULES.window;
    let probe = breaker.pass(later).unwrap();
    assert_eq!(breaker.admission(later), Admission::Probing);
    assert_eq!(breaker.pass(later), Err(PROBE_WAIT));
    breaker.record(probe, Verdict::Vanished, later);
    assert_eq!(breaker.admission(later), Admission::Probe, "a probe that vanished makes room for another");
}

#[test]
fn a_call_from_before_the_outage_does_not_end_it() {
    let now = Instant::now();
    let mut breaker = Breaker::new(RULES);
    let early = breaker.pass(now).unwrap();
    (0..RULES.min_calls).for_each(|_| call(&mut breaker, Verdict::Failed, now));
    breaker.record(early, Verdict::Worked, now + millis(1));
    assert!(!breaker.is_closed());
}

#[derive(Debug, Clone)]
enum Action {
    Wait(u64),
    Begin,
    End(prop::sample::Index, Verdict),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let verdict = prop::sample::select(vec![Verdict::Worked, Verdict::Failed, Verdict::Failed, Verdict::Vanished]);
    let action = prop_oneof![
        (0_u64..8000).prop_map(Action::Wait),
        Just(Action::Begin),
        (any::<prop::sample::Index>(), verdict).prop_map(|(which, verdict)| Action::End(which, verdict)),
    ];
    prop::collection::vec(action, 1..300)
}

proptest! {
    #[test]
    fn whatever_happens_it_lets_at_most_one_probe_through_and_never_locks_up(actions in actions()) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(RULES);
        let mut under_way: Vec<(Pass, bool)> = Vec::new();
        for action in actions {
            match action {
                Action::Wait(wait) => now += millis(wait),
                Action::Begin => {
                    let admission = breaker.admission(now);
                    match breaker.pass(now) {
                        Ok(pass) => {
                            prop_assert!(matches!(admission, Admission::Free | Admission::Probe));
                            under_way.push((pass, admission == Admission::Probe));
                        }
                        Err(wait) => {
                            let shut = matches!(admission, Admission::Probing | Admission::Closed { .. });
                            prop_assert!(shut, "{admission:?}");
                            prop_assert!(wait > Duration::ZERO && wait <= LONGEST_PAUSE);
                        }
                    }
                    prop_assert!(under_way.iter().filter(|(_, probe)| *probe).count() <= 1);
                }
                Action::End(which, verdict) => {
                    if !under_way.is_empty() {
                        let (pass, _) = under_way.swap_remove(which.index(under_way.len()));
                        breaker.record(pass, verdict, now);
                    }
                }
            }
            if let Admission::Closed { wait } = breaker.admission(now) {
                prop_assert!(wait <= LONGEST_PAUSE);
            }
        }
        // Once everything under way has ended and the longest pause is over, one good call closes it.
        under_way.into_iter().for_each(|(pass, _)| breaker.record(pass, Verdict::Vanished, now));
        now += LONGEST_PAUSE;
        call(&mut breaker, Verdict::Worked, now);
        prop_assert!(breaker.is_closed());
    }

    #[test]
    fn good_calls_never_open_it(waits in prop::collection::vec(0_u64..3000, 1..200)) {
        let mut now = Instant::now();
        let mut breaker = Breaker::new(RULES);
        for wait in waits {
            now += millis(wait);
            call(&mut breaker, Verdict::Worked, now);
            prop_assert!(breaker.is_closed());
        }
    }
}
