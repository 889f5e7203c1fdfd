use proptest::prelude::*;

use super::*;
use crate::plan::{Overrides, Preset, presets};

fn shares(of: u64) -> impl Iterator<Item = Share> {
    (1..=of).map(move |number| Share::new(number, of).unwrap())
}

proptest! {
    #[test]
    fn the_parts_are_the_whole(whole in 0_u64..5000, of in 1_u64..=MOST) {
        let mut places: Vec<u64> =
            shares(of).flat_map(|share| (0..share.of_many(whole)).map(move |own| share.place(own))).collect();
        places.sort_unstable();
        prop_assert_eq!(places, (0..whole).collect::<Vec<_>>());
    }

    #[test]
    fn a_share_is_read_as_it_is_written(number in 0_u64..200, of in 0_u64..200) {
        match Share::new(number, of) {
            Ok(share) => prop_assert_eq!(share.to_string().parse(), Ok(share)),
            Err(_) => prop_assert!(number == 0 || number > of || of > MOST),
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = text.parse::<Share>();
    }
}

#[test]
fn every_part_has_a_run_of_its_own_and_the_only_one_has_the_run_itself() {
    let run = RunId::new();
    let runs: std::collections::HashSet<_> = shares(MOST).map(|share| share.run(&run)).collect();
    assert_eq!(runs.len() as u64, MOST);
    assert!(!runs.contains(&run));
    assert_eq!(Share::WHOLE.run(&run), run);
    let barriers: Vec<_> = shares(3).map(|share| share.barrier_run(&run, 2).to_string()).collect();
    assert_eq!(barriers, vec![format!("{run}-barrier-2"); 3], "they meet in one place");
}

#[test]
fn a_rate_is_no_rule_for_a_part() {
    let rules = ["errors>5% for 10s", "accepted<100/s for 5s", "e2e.p95>10s for 3s", "backlog>50 for 1s"];
    let plan = Plan { abort_on: rules.iter().map(|rule| rule.parse().unwrap()).collect(), ..presets::custom() };
    let of = |share: Share| share.rules(&plan).iter().map(|rule| rule.text.clone()).collect::<Vec<_>>();
    assert_eq!(of(Share::WHOLE), rules);
    assert_eq!(of("1/2".parse().unwrap()), [rules[0], rules[2], rules[3]]);
}

#[test]
fn what_can_not_be_divided_says_why() {
    let run = RunId::new();
    let with = |changes: Overrides| presets::custom().with(changes).unwrap();
    let steps = with(Overrides { steps: Some(vec![2.0, 10.0]), ..Overrides::default() });
    let slow = with(Overrides { rate: Some(0.5), ..Overrides::default() });
    let long = with(Overrides { duration: Some(LONGEST), ..Overrides::default() });
    for (plan, generators, refused) in [
        (&presets::custom(), 50, None),
        (&presets::custom(), 51, Some("51 generators need at least as many users, and the plan has 50")),
        (&presets::custom(), 0, Some("must be 1 to 100 generators")),
        (&presets::custom(), 101, Some("must be 1 to 100 generators")),
        (&steps, 2, None),
        (&steps, 3, Some("3 generators need at least as many users, and the plan has 2")),
        (&slow, 8, None),
        (&long, 1, None),
        (&long, 2, Some("several generators can run for 12 hours at most")),
        (&Preset::Breakpoint.plan(), 1, None),
        (
            &Preset::Breakpoint.plan(),
            2,
            Some("a breakpoint search needs a single generator, because each step depends on the one before"),
        ),
    ] {
        let found = check(plan, &run, generators).err().map(|error| error.to_string());
        assert_eq!(found.as_deref(), refused, "{generators}");
    }
}
