//! Load tests of a real platform, small ones.

mod platform;
mod reads;
mod together;

use std::collections::HashSet;

use self::platform::{Mood, TestPlatform, Wire};
use super::*;
use crate::plan::{Growth, Mix, Stage as Stretch, Think, presets};
use crate::result::{Phase, Verdict};
use card_client::TaskQuery;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So much from the start, for so long; all of it measured.
fn plan(model: Model, size: f64, length: u64) -> Plan {
    Plan {
        model,
        stages: vec![Stretch { to: size, over: Duration::ZERO }, Stretch { to: size, over: millis(length) }],
        warm_up: Duration::ZERO,
        settle: millis(50),
        drain: Duration::from_secs(20),
        min_samples: 1,
        ..presets::custom()
    }
}

fn setup(client: Client, plan: Plan) -> Setup {
    Setup { client, target: "test".to_owned(), run: RunId::new(), seed: 7, plan, ledger: None }
}

async fn carried_out(setup: &Setup) -> Report {
    carry_out(setup, &watch::Sender::default(), &CancellationToken::new()).await.unwrap()
}

/// Runs until something can be seen; the rest is done meanwhile.
async fn once(moments: &watch::Sender<Moment>, mut seen: impl FnMut(&Moment) -> bool) {
    let mut moments = moments.subscribe();
    moments.wait_for(|moment| seen(moment)).await.unwrap();
}

/// The platform stands still for 0.8 s once it has accepted thirty.
async fn with_a_stall(wire: &Wire, plan: Plan) -> Report {
    let setup = setup(wire.client(), plan);
    let (moments, stop) = (watch::Sender::default(), CancellationToken::new());
    let stall = async {
        once(&moments, |moment| moment.accepted >= 30).await;
        wire.becomes(Mood::Stalls);
        tokio::time::sleep(millis(800)).await;
        wire.becomes(Mood::Carries);
    };
    let (report, ()) = tokio::join!(carry_out(&setup, &moments, &stop), stall);
    report.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_every_journey_are_unique_and_everything_adds_up() {
    let platform = TestPlatform::start().await;
    let plan = Plan {
        stages: vec![Stretch { to: 8.0, over: millis(300) }, Stretch { to: 8.0, over: millis(1200) }],
        warm_up: millis(300),
        journey: Mix::mixed(),
        think: Think { min: millis(1), max: millis(5) },
        ..plan(Model::Closed, 0.0, 0)
    };
    let setup = setup(platform.client(), plan);
    let report = carried_out(&setup).await;
    let audit = &report.correctness;
    assert_eq!((audit.verdict, audit.accepted), (Verdict::Pass, audit.succeeded), "{audit:?}");
    assert!(report.errors.by_code.is_empty(), "{:?}", report.errors);
    assert!(audit.accepted > report.accept_ms.n && report.accept_ms.n > 20, "the ramp is audited and not measured");
    assert_eq!(report.accept_ms.n, report.accept_intended_ms.n);
    assert!(report.status_ms.is_some_and(|status| status.n > 0), "submit-status looks");
    assert!(report.queue_wait_ms.n > 0 && report.work_ms.p50 > 0.0);
    assert_eq!(report.distribution.accept.iter().map(|(_, count)| count).sum::<u64>(), report.accept_ms.n);
    // The course: ramp, then steady, then drain, and no second in two of them.
    let phases: Vec<Phase> = report.timeline.iter().map(|sample| sample.phase).collect();
    assert!(phases.is_sorted_by_key(|phase| *phase as u8), "{phases:?}");
    assert!(phases.contains(&Phase::Ramp) && phases.contains(&Phase::Steady));
    assert!(report.timeline.is_sorted_by(|one, next| one.t < next.t));
    let counted: f64 = report.timeline.iter().map(|sample| sample.accepted * sample.lasted).sum();
    assert!((counted - audit.accepted as f64).abs() <= 8.0, "{counted} of {}", audit.accepted);
    // Eight users at once, every one with a name of its own.
    let tasks = setup.client.tasks(&TaskQuery { run: Some(setup.run.clone()), ..TaskQuery::default() }, None).await;
    let owners: HashSet<_> = tasks.unwrap().items.iter().map(|task| task.owner).collect();
    assert_eq!(owners.len(), 8);
    let cleaned = setup.client.clean(&setup.run).await.unwrap();
    assert_eq!((cleaned.users, cleaned.tasks), (8, audit.accepted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrivals_come_at_their_rate_whatever_the_platform_does() {
    let platform = TestPlatform::start().await;
    let wire = platform.wire().await;
    let report = with_a_stall(&wire, plan(Model::Open, 100.0, 2000)).await;
    assert_eq!(report.correctness.verdict, Verdict::Pass, "{:?}", report.correctness);
    assert_eq!((report.accept_ms.n, report.validity.offered_ratio), (200, Some(1.0)));
    // Some eighty arrivals fell into the stall, and each is charged with what was left of it.
    assert!(report.accept_intended_ms.p90 > 300.0, "{:?}", report.accept_intended_ms);
    assert!(report.accept_ms.p90 > 300.0, "nothing held them back: {:?}", report.accept_ms);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_limit_holds_back_is_counted_from_when_it_should_have_begun() {
    let platform = TestPlatform::start().await;
    let wire = platform.wire().await;
    let plan = Plan { max_in_flight: 4, journey: "add".parse().unwrap(), ..plan(Model::Open, 100.0, 2500) };
    let report = with_a_stall(&wire, plan).await;
    assert_eq!(report.correctness.verdict, Verdict::Pass, "{:?}", report.correctness);
    // Four saw the stall themselves; the others waited for those four, and only the intended start tells.
    assert!(report.accept_ms.p95 < 300.0, "{:?}", report.accept_ms);
    assert!(report.accept_intended_ms.p90 > 300.0, "{:?}", report.accept_intended_ms);
    assert!(report.validity.held_back >= 40 && report.validity.late_starts > 0.2, "{:?}", report.validity);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_load_is_audited_all_the_same() {
    let platform = TestPlatform::start().await;
    let setup = setup(platform.client(), plan(Model::Closed, 4.0, 60_000));
    let (moments, stop) = (watch::Sender::default(), CancellationToken::new());
    let interrupt = async {
        once(&moments, |moment| moment.accepted >= 20).await;
        stop.cancel();
    };
    let (report, ()) = tokio::join!(carry_out(&setup, &moments, &stop), interrupt);
    let report = report.unwrap();
    assert_eq!(report.ended_early.as_deref(), Some("interrupted"));
    assert!(report.correctness.accepted >= 20);
    assert_eq!(report.correctness.verdict, Verdict::Pass, "{:?}", report.correctness);
    assert_ne!(report.verdict, Verdict::Pass, "half a load test is none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_ends_the_load_before_its_time() {
    let platform = TestPlatform::start().await;
    let plan = Plan { abort_on: vec!["accepted>0/s for 1s".parse().unwrap()], ..plan(Model::Closed, 2.0, 60_000) };
    let report = carried_out(&setup(platform.client(), plan)).await;
    assert!(report.ended_early.as_deref().is_some_and(|why| why.starts_with("accepted")), "{:?}", report.ended_early);
    assert_eq!((report.verdict, report.exit), (Verdict::Fail, 7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_stands_still_is_all_errors_to_a_rule() {
    let platform = TestPlatform::start().await;
    let wire = platform.wire().await;
    let plan = Plan { abort_on: vec!["errors>5% for 2s".parse().unwrap()], ..plan(Model::Open, 20.0, 60_000) };
    let setup = setup(wire.client(), plan);
    let (moments, stop) = (watch::Sender::default(), CancellationToken::new());
    let stall = async {
        once(&moments, |moment| moment.accepted >= 10).await;
        wire.becomes(Mood::Stalls);
        once(&moments, |moment| moment.doing == Doing::Drain).await;
        wire.becomes(Mood::Carries);
    };
    let (report, ()) = tokio::join!(carry_out(&setup, &moments, &stop), stall);
    let report = report.unwrap();
    assert!(
        report.ended_early.as_deref().is_some_and(|why| why.starts_with("errors 100%")),
        "{:?}",
        report.ended_early
    );
    assert_eq!((report.correctness.verdict, report.exit), (Verdict::Pass, 7), "{:?}", report.correctness);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_has_figures_of_its_own() {
    let platform = TestPlatform::start().await;
    let plan = Plan { steps: vec![2.0, 6.0], ..plan(Model::Closed, 1.0, 700) };
    let report = carried_out(&setup(platform.client(), plan)).await;
    assert_eq!(report.steps.iter().map(|step| step.users).collect::<Vec<_>>(), [Some(2), Some(6)]);
    assert_eq!(report.steps.iter().map(|step| step.n).sum::<u64>(), report.accept_ms.n);
    assert!(report.steps.iter().all(|step| step.n > 10 && step.rates.accepted > 0.0 && step.accept_p95 > 0.0));
    assert!(report.steps[0].to_s <= report.steps[1].from_s);
    assert_eq!((report.steps[0].degradation, report.steps[1].degradation.is_some()), (None, true));
    assert_eq!(report.correctness.verdict, Verdict::Pass);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_tries_what_follows_from_what_held_and_names_the_two_sides_of_the_limit() {
    let platform = TestPlatform::start().await;
    let growth = Growth { from: 50.0, up_to: 1000.0, refinements: 1 };
    let plan =
        Plan { growth: Some(growth), slo: vec!["offered<140/s".parse().unwrap()], ..plan(Model::Open, 1.0, 600) };
    let report = carried_out(&setup(platform.client(), plan)).await;
    let steps: Vec<_> = report.steps.iter().map(|step| (step.rate.unwrap(), step.verdict)).collect();
    // What this machine can do at present decides what holds below 150; what follows from that does not depend on it.
    let mut search = search::Search::new(growth);
    let mut next = Some(growth.from);
    for (rate, verdict) in &steps {
        assert_eq!(Some(*rate), next, "{steps:?}");
        next = search.after(*rate, *verdict == Verdict::Pass);
    }
    assert_eq!(next, None, "{steps:?}");
    assert!(steps.iter().all(|(rate, verdict)| *rate < 150.0 || *verdict != Verdict::Pass), "{steps:?}");
    let limit = report.breakpoint.as_ref().unwrap();
    let rates = |verdict| steps.iter().filter(move |step| step.1 == verdict).map(|step| step.0);
    assert_eq!(limit.breaks, rates(Verdict::Fail).reduce(f64::min), "{limit:?}: {steps:?}");
    assert_eq!(limit.holds, rates(Verdict::Pass).reduce(f64::max), "{limit:?}: {steps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_is_gone_at_the_end_leaves_what_it_accepted_unverified() {
    let platform = TestPlatform::with(0).await;
    let wire = platform.wire().await;
    let plan = Plan { drain: millis(300), patience: millis(100), ..plan(Model::Closed, 3.0, 800) };
    let setup = setup(wire.client(), plan);
    let (moments, stop) = (watch::Sender::default(), CancellationToken::new());
    let cut = async {
        once(&moments, |moment| moment.doing == Doing::Drain && moment.accepted > 0).await;
        wire.becomes(Mood::Cut);
    };
    let (report, ()) = tokio::join!(carry_out(&setup, &moments, &stop), cut);
    let audit = report.unwrap().correctness;
    assert!(audit.unverified > 0 && audit.unverified == audit.accepted, "{audit:?}");
    assert_eq!((audit.lost, audit.stuck, audit.verdict), (0, 0, Verdict::Inconclusive));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_does_nothing_leaves_its_tasks_stuck() {
    let platform = TestPlatform::with(0).await;
    let plan = Plan { drain: millis(200), patience: millis(50), ..plan(Model::Closed, 2.0, 300) };
    let report = carried_out(&setup(platform.client(), plan)).await;
    assert!(report.correctness.stuck > 0, "{:?}", report.correctness);
    assert_eq!((report.verdict, report.exit), (Verdict::Fail, 9));
    assert!(platform.store.engine.stats().await.unwrap().queue.ready > 0);
}
