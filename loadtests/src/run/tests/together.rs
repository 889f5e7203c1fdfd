//! Several generators in one process, against one platform. (Goose can do one attack at a time, so the closed model is
//! tested with processes, in the command line's tests.)

use std::collections::HashSet;

use super::*;
use crate::shard::merge;

async fn together(setup: &Setup, of: u64, stop: &CancellationToken) -> Vec<Result<Shard, RunError>> {
    let shares = (1..=of).map(|number| Share::new(number, of).unwrap());
    let carried = shares.map(|share| {
        let (setup, stop) = (setup.clone(), stop.clone());
        tokio::spawn(async move { carry_share(&setup, share, &watch::Sender::default(), &stop).await })
    });
    futures::future::join_all(carried).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_generators_make_the_load_of_one() {
    let platform = TestPlatform::start().await;
    let setup = setup(platform.client(), plan(Model::Open, 61.0, 2000));
    let shards = together(&setup, 3, &CancellationToken::new()).await;
    let mut report = merge(shards.into_iter().map(Result::unwrap).collect(), &[], None).unwrap();
    judge::judge(&mut report);
    assert_eq!(report.correctness.verdict, Verdict::Pass, "{:?}", report.correctness);
    assert_eq!((report.correctness.accepted, report.accept_ms.n, report.validity.offered_ratio), (122, 122, Some(1.0)));
    // Everybody began when everybody did.
    assert!(
        report.generators.iter().all(|part| part.late_ms.is_some_and(|late| late < 500.0)),
        "{:?}",
        report.generators
    );
    let seconds = report.timeline.iter().filter(|second| second.phase == Phase::Steady);
    let counted: f64 = seconds.map(|second| second.offered * second.lasted).sum();
    assert!((counted - 122.0).abs() < 8.0, "{counted}");
    // The requests are those of one generator, and no two users are one.
    let (mut owners, mut tasks) = (HashSet::new(), 0);
    for part in &report.generators {
        let run: RunId = part.run.parse().unwrap();
        let query = TaskQuery { run: Some(run.clone()), limit: Some(1000), ..TaskQuery::default() };
        let page = setup.client.tasks(&query, None).await.unwrap().items;
        assert_eq!(
            (Some(page.len() as u64), part.accepted.is_some_and(|n| (40..=41).contains(&n))),
            (part.accepted, true)
        );
        tasks += page.len();
        let own: HashSet<_> = page.iter().map(|task| task.owner).collect();
        assert!(own.is_disjoint(&owners), "a user of two generators");
        owners.extend(own);
        setup.client.clean(&run).await.unwrap();
    }
    assert_eq!(tasks, 122);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_begins_for_all_of_them_at_once() {
    let platform = TestPlatform::start().await;
    let setup = setup(platform.client(), Plan { steps: vec![20.0, 40.0], ..plan(Model::Open, 1.0, 800) });
    let shards: Vec<_> = together(&setup, 2, &CancellationToken::new()).await.into_iter().map(Result::unwrap).collect();
    for step in 0..2 {
        let begun: Vec<_> = shards.iter().map(|shard| shard.courses[step].begun_at.unwrap()).collect();
        let apart = begun[0].since(begun[1]).max(begun[1].since(begun[0]));
        assert!(apart < millis(500), "{apart:?}");
    }
    let report = merge(shards, &[], None).unwrap();
    let steps: Vec<_> = report.steps.iter().map(|step| (step.rate, step.n, step.offered_ratio)).collect();
    assert_eq!(steps, [(Some(20.0), 16, Some(1.0)), (Some(40.0), 32, Some(1.0))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_before_the_others_are_there_sends_nothing() {
    let platform = TestPlatform::start().await;
    let setup = setup(platform.client(), plan(Model::Open, 50.0, 2000));
    let stop = CancellationToken::new();
    let stopping = async {
        let sign =
            TaskQuery { run: Some(Share::new(1, 2).unwrap().barrier_run(&setup.run, 1)), ..TaskQuery::default() };
        while setup.client.tasks(&sign, None).await.unwrap().items.is_empty() {
            tokio::time::sleep(millis(20)).await;
        }
        stop.cancel();
    };
    let share = Share::new(1, 2).unwrap();
    let moments = watch::Sender::default();
    let (shard, ()) = tokio::join!(carry_share(&setup, share, &moments, &stop), stopping);
    let shard = shard.unwrap();
    assert_eq!((shard.ended_early.as_deref(), shard.correctness.accepted), (Some("interrupted"), 0));
    let mut report = merge(vec![shard], &[], None).unwrap();
    judge::judge(&mut report);
    assert_eq!(report.exit, 11, "nothing was proved");
}
