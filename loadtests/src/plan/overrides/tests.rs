use proptest::prelude::*;

use super::*;
use crate::plan::{Growth, Journey, Preset, presets};

fn changed(plan: Plan, changes: Overrides) -> Plan {
    plan.with(changes).unwrap()
}

fn refusal(plan: Plan, changes: Overrides) -> String {
    plan.with(changes).unwrap_err().to_string()
}

fn stages(plan: &Plan) -> Vec<(f64, u64)> {
    plan.stages.iter().map(|stage| (stage.to, stage.over.as_secs())).collect()
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn think(min: u64, max: u64) -> Option<Think> {
    Some(Think { min: Duration::from_millis(min), max: Duration::from_millis(max) })
}

#[test]
fn users_duration_and_ramp_change_a_level_load() {
    let changes = Overrides { users: Some(500), duration: seconds(60), ramp: seconds(3), ..Overrides::default() };
    let plan = changed(presets::custom(), changes);
    assert_eq!((stages(&plan), plan.warm_up), (vec![(500.0, 3), (500.0, 60)], Duration::from_secs(3)));
    assert_eq!(plan.model, Model::Closed);
}

#[test]
fn a_spike_keeps_its_shape() {
    let changes = Overrides { users: Some(1000), duration: seconds(40), ..Overrides::default() };
    let plan = changed(presets::spike(), changes);
    assert_eq!(stages(&plan), [(100.0, 5), (100.0, 10), (1000.0, 0), (1000.0, 10), (100.0, 0), (100.0, 20)]);
    let small = changed(presets::spike(), Overrides { users: Some(3), ..Overrides::default() });
    assert_eq!(stages(&small)[0].0, 1.0, "a user is a whole one");
}

#[test]
fn no_part_of_a_spike_is_too_short_to_be() {
    let plan =
        changed(presets::spike(), Overrides { duration: Some(Duration::from_millis(1)), ..Overrides::default() });
    let millis: Vec<u128> = plan.stages.iter().map(|stage| stage.over.as_millis()).collect();
    assert_eq!(millis, [5000, 1, 0, 1, 0, 1]);
}

#[test]
fn what_a_ramp_measures_stays_measured() {
    let plan = changed(presets::ramp(), Overrides { ramp: seconds(60), duration: seconds(10), ..Overrides::default() });
    assert_eq!((stages(&plan), plan.warm_up), (vec![(200.0, 60), (200.0, 10)], Duration::ZERO));
}

#[test]
fn a_ramp_of_nothing_is_a_jump() {
    let plan = changed(presets::custom(), Overrides { ramp: seconds(0), ..Overrides::default() });
    assert_eq!((stages(&plan), plan.warm_up), (vec![(50.0, 0), (50.0, 30)], Duration::ZERO));
}

#[test]
fn a_rate_means_the_open_model_where_nobody_thinks() {
    let plan = changed(presets::baseline(), Overrides { rate: Some(200.5), ..Overrides::default() });
    assert_eq!(
        (plan.model, plan.think, stages(&plan)),
        (Model::Open, Think::default(), vec![(200.5, 10), (200.5, 120)])
    );
}

#[test]
fn a_size_is_the_upper_end_of_a_search() {
    let growth = |changes| changed(presets::breakpoint(), changes).growth.unwrap();
    let up_to = |from, up_to| Growth { from, up_to, refinements: 3 };
    assert_eq!(growth(Overrides { rate: Some(800.0), ..Overrides::default() }), up_to(50.0, 800.0));
    assert_eq!(growth(Overrides { rate: Some(20.0), ..Overrides::default() }), up_to(20.0, 20.0));
    let closed = Overrides { model: Some(Model::Closed), users: Some(400), ..Overrides::default() };
    assert_eq!(growth(closed), up_to(50.0, 400.0));
}

#[test]
fn steps_make_the_course_a_factor() {
    let steps = Some(vec![10.0, 1000.0, 100.0]);
    let plan = changed(presets::baseline(), Overrides { steps: steps.clone(), ..Overrides::default() });
    assert_eq!((&plan.steps, stages(&plan)), (steps.as_ref().unwrap(), vec![(1.0, 10), (1.0, 120)]));
    let open = changed(presets::custom(), Overrides { model: Some(Model::Open), steps, ..Overrides::default() });
    assert_eq!((open.model, open.peak(1000.0)), (Model::Open, 1000.0));
}

#[test]
fn a_typed_promise_replaces_its_rival_and_joins_the_others() {
    let slo = |text: &str| text.parse::<Slo>().unwrap();
    let typed = vec![slo("errors<=5%"), slo("e2e.p95<2s"), slo("e2e.p99<3s"), slo("errors>0.1%")];
    let plan = changed(presets::breakpoint(), Overrides { slo: typed, ..Overrides::default() });
    let texts: Vec<&str> = plan.slo.iter().map(|slo| slo.text.as_str()).collect();
    assert_eq!(texts, ["accept.p95<500ms", "dead<1%", "errors<=5%", "e2e.p95<2s", "e2e.p99<3s", "errors>0.1%"]);
}

#[test]
fn the_rest_is_taken_as_it_is() {
    let rule: AbortRule = "errors>5% for 10s".parse().unwrap();
    let changes = Overrides {
        think: think(200, 1000),
        journey: Some(Mix::only(Journey::ADD)),
        abort_on: vec![rule.clone()],
        min_samples: Some(100),
        steps: Some(vec![1.0, 2.0]),
        max_degradation: Some(0.1),
        drain: seconds(5),
        ..Overrides::default()
    };
    let plan = changed(presets::custom(), changes);
    assert_eq!((Some(plan.think), plan.journey), (think(200, 1000), Mix::only(Journey::ADD)));
    assert_eq!((plan.abort_on, plan.min_samples, plan.max_degradation), (vec![rule], 100, Some(0.1)));
    assert_eq!(Some(plan.drain), seconds(5));
}

#[test]
fn what_nobody_could_carry_out_is_refused_with_a_reason() {
    let none = Overrides::default;
    let steps = |steps: &[f64]| Overrides { steps: Some(steps.to_vec()), ..none() };
    let open = || Some(Model::Open);
    for (plan, changes, wrong) in [
        (presets::custom(), Overrides { users: Some(0), ..none() }, "at least one user"),
        (presets::custom(), Overrides { users: Some(100_001), ..none() }, "more than 100,000 users"),
        (presets::custom(), Overrides { rate: Some(0.0), ..none() }, "a rate must be more than 0"),
        (presets::custom(), Overrides { rate: Some(-1.0), ..none() }, "a rate must be more than 0"),
        (presets::custom(), Overrides { rate: Some(f64::NAN), ..none() }, "a rate must be more than 0"),
        (presets::custom(), Overrides { rate: Some(f64::INFINITY), ..none() }, "a rate must be more than 0"),
        (presets::custom(), Overrides { rate: Some(1e7), ..none() }, "more than 1,000,000/s"),
        (
            presets::custom(),
            Overrides { rate: Some(5.0), users: Some(5), ..none() },
            "users belong to the closed model",
        ),
        (presets::breakpoint(), Overrides { users: Some(5), ..none() }, "users belong to the closed model"),
        (
            presets::custom(),
            Overrides { rate: Some(5.0), model: Some(Model::Closed), ..none() },
            "a rate needs the open",
        ),
        (presets::custom(), Overrides { model: open(), ..none() }, "the open model needs a rate"),
        (
            presets::custom(),
            Overrides { rate: Some(5.0), think: think(1, 2), ..none() },
            "to think belongs to the closed",
        ),
        (presets::custom(), Overrides { think: think(2, 1), ..none() }, "the shortest time to think"),
        (presets::custom(), Overrides { duration: seconds(0), ..none() }, "a load needs a duration"),
        (presets::custom(), steps(&[]), "at least one step"),
        (presets::custom(), steps(&[10.0, 0.0]), "at least one user"),
        (presets::custom(), steps(&[10.5]), "a whole number is needed"),
        (presets::custom(), steps(&[100_001.0]), "more than 100,000 users"),
        (presets::custom(), Overrides { users: Some(5), ..steps(&[5.0]) }, "the steps are the sizes"),
        (presets::custom(), Overrides { rate: Some(5.0), ..steps(&[5.0]) }, "the steps are the sizes"),
        (Preset::Spike.plan(), steps(&[5.0]), "spike has sizes of its own"),
        (Preset::Ramp.plan(), steps(&[5.0]), "ramp has sizes of its own"),
        (Preset::Breakpoint.plan(), steps(&[5.0]), "breakpoint finds its sizes by itself"),
        (presets::custom(), Overrides { max_degradation: Some(0.1), ..none() }, "at least two steps"),
        (presets::custom(), Overrides { max_degradation: Some(0.1), ..steps(&[5.0]) }, "at least two steps"),
        (presets::custom(), Overrides { max_degradation: Some(-0.1), ..steps(&[5.0, 6.0]) }, "a bound on degradation"),
    ] {
        let message = refusal(plan, changes.clone());
        assert!(message.contains(wrong), "{changes:?}: {message}");
    }
}

proptest! {
    #[test]
    fn a_changed_plan_survives_its_document(
        preset in 0..Preset::ALL.len(),
        size in 1_u64..100_000,
        millis in 1_u64..10_000_000,
        open in any::<bool>(),
    ) {
        let plan = Preset::ALL[preset].plan();
        let open = open || plan.model == Model::Open;
        let changes = Overrides {
            users: (!open).then_some(size),
            rate: open.then_some(size as f64),
            duration: Some(Duration::from_millis(millis)),
            ..Overrides::default()
        };
        let plan = changed(plan, changes);
        let json = serde_json::to_string(&plan).unwrap();
        prop_assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan.clone());
        if plan.growth.is_none() {
            prop_assert_eq!(plan.peak(1.0), size as f64);
        }
        let measured = (plan.course() - plan.stages[0].over).as_millis() as i128;
        prop_assert!((measured - i128::from(millis)).abs() <= 5, "{} is not {}", measured, millis);
    }
}
