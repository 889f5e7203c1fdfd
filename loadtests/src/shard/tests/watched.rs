//! Several generators while they run.

use crate::moment::Doing;
use crate::plan::{Plan, presets};
use crate::result::{Phase, Sample};
use crate::shard::Watched;
use crate::shard::wire::Progress;

fn plan(rules: &[&str]) -> Plan {
    Plan { abort_on: rules.iter().map(|rule| rule.parse().unwrap()).collect(), ..presets::custom() }
}

fn says(generator: u64, t: f64, accepted: f64) -> Progress {
    let second = Sample { t, lasted: 1.0, phase: Phase::Steady, offered: 10.0, accepted, ..Sample::default() };
    Progress { generator, doing: Doing::Steady, second: Some(second), accepted: 5, ..Progress::default() }
}

#[test]
fn a_look_is_at_all_of_them() {
    let mut watched = Watched::new(&plan(&[]), 2);
    assert_eq!(watched.moment().doing, Doing::Preparing);
    assert_eq!(watched.take(says(1, 1.0, 4.0)), None);
    assert_eq!((watched.moment().doing, watched.present()), (Doing::Preparing, 1), "the other does not exist");
    assert_eq!(watched.take(says(2, 1.1, 6.0)), None);
    let moment = watched.moment();
    assert_eq!((moment.doing, moment.accepted), (Doing::Steady, 10));
    assert_eq!(moment.second.map(|second| (second.accepted, second.offered)), Some((10.0, 20.0)));
    // What all of them do is what the last does.
    watched.take(Progress { generator: 1, doing: Doing::Audit, ..Progress::default() });
    assert_eq!(watched.moment().doing, Doing::Steady);
    watched.gone(2);
    assert_eq!(watched.moment().doing, Doing::Audit);
}

#[test]
fn a_rate_is_held_against_the_sum() {
    let mut watched = Watched::new(&plan(&["accepted<8/s for 2s"]), 2);
    for t in 1..10 {
        assert_eq!(watched.take(says(1, f64::from(t), 5.0)), None, "each is below it");
        assert_eq!(watched.take(says(2, f64::from(t), 5.0)), None, "both are not");
    }
    watched.take(says(1, 10.0, 3.0));
    assert_eq!(watched.take(says(2, 10.0, 3.0)), None);
    watched.take(says(1, 11.0, 3.0));
    assert_eq!(watched.take(says(2, 11.0, 3.0)).as_deref(), Some("accepted 6/s (< 8/s) for 2 s"));
}

#[test]
fn a_rule_that_one_breaks_ends_the_load_of_all() {
    let mut watched = Watched::new(&plan(&["errors>5% for 1s"]), 2);
    let broken = Progress { broken: Some("errors 9% (> 5%) for 1 s".to_owned()), ..says(2, 1.0, 1.0) };
    assert_eq!(watched.take(broken).as_deref(), Some("errors 9% (> 5%) for 1 s (generator 2)"));
}

#[test]
fn one_that_says_nothing_does_not_hold_the_others_up() {
    let mut watched = Watched::new(&plan(&[]), 2);
    watched.take(Progress { generator: 2, doing: Doing::Steady, ..Progress::default() });
    for t in 1..=4 {
        watched.take(says(1, f64::from(t), 5.0));
    }
    assert_eq!(watched.moment().second.map(|second| second.t), Some(1.0));
    watched.gone(2);
    watched.take(says(1, 5.0, 5.0));
    assert_eq!(watched.moment().second.map(|second| second.t), Some(5.0));
}

#[test]
fn one_that_stands_still_breaks_no_rule_about_the_sum() {
    let mut watched = Watched::new(&plan(&["accepted<8/s for 2s"]), 2);
    for t in 1..=9 {
        assert_eq!(watched.take(says(1, f64::from(t), 5.0)), None);
        if t <= 2 {
            assert_eq!(watched.take(says(2, f64::from(t), 5.0)), None);
        }
    }
    // When it goes on, its first second is a long one.
    let mut back = says(2, 9.0, 1.0);
    back.second.as_mut().unwrap().stood_still = 6.0;
    assert_eq!(watched.take(back), None);
    // One that has ended is another matter.
    watched.gone(2);
    let rule = (10..=16).find_map(|t| watched.take(says(1, f64::from(t), 5.0)));
    assert_eq!(rule.as_deref(), Some("accepted 5/s (< 8/s) for 2 s"));
}

#[test]
fn numbers_that_nobody_has_are_ignored() {
    let mut watched = Watched::new(&plan(&[]), 2);
    for number in [0, 3, u64::MAX] {
        assert_eq!(watched.take(says(number, 1.0, 1.0)), None);
        watched.gone(number);
    }
    assert_eq!(watched.present(), 0);
}
