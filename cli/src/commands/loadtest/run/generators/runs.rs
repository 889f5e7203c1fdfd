//! The runs that a load test tags what it makes with: one, or one for each generator.

use card_core::ids::RunId;
use card_loadtests::plan::Plan;
use card_loadtests::share::Share;

/// All of them.
pub(in super::super) struct Runs {
    /// Those of users and tasks: evidence.
    pub(in super::super) own: Vec<RunId>,
    /// Those in which generators met before they began: of no use to anybody afterwards.
    pub(in super::super) barriers: Vec<RunId>,
}

impl Runs {
    /// Of a load test.
    pub(in super::super) fn of(run: &RunId, plan: &Plan, generators: u64) -> Self {
        let share = |number| Share::new(number, generators).ok();
        let own = (1..=generators).filter_map(share).map(|share| share.run(run)).collect();
        let courses = if generators > 1 { plan.steps.len().max(1) } else { 0 };
        let barriers = (1..=courses).filter_map(|course| Some(share(1)?.barrier_run(run, course))).collect();
        Self { own, barriers }
    }
}

#[cfg(test)]
mod tests {
    use card_loadtests::plan::{Overrides, presets};

    use super::*;

    #[test]
    fn one_generator_has_the_run_itself_and_several_have_one_each() {
        let run: RunId = "r".parse().unwrap();
        let steps = Overrides { steps: Some(vec![4.0, 8.0]), ..Overrides::default() };
        let plan = presets::custom().with(steps).unwrap();
        let names = |generators| {
            let runs = Runs::of(&run, &plan, generators);
            [runs.own, runs.barriers].map(|runs| runs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(names(1), ["r", ""]);
        assert_eq!(names(2), ["r-1 r-2", "r-barrier-1 r-barrier-2"]);
    }
}
