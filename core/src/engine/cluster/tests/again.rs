//! Writes whose connection is cut, and calls that are made again because nobody knows what became of them.

use std::collections::HashMap;

use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;
use uuid::{Timestamp, Uuid};

use super::*;
use crate::engine::conformance::{accepted, add, add_in, all_events, claim_one, failed, replacement};
use crate::engine::{EffectCount, ErrorKind};
use crate::ids::UserId;
use crate::tasks::Idempotency;

/// Ends every session of the engines on a database, again and again, until it is told to stop. Counts them.
async fn cut_sessions(database: String, stop: CancellationToken, cut: Arc<AtomicUsize>) {
    let mut connection = PgConnection::connect(&database).await.unwrap();
    while stop.run_until_cancelled(sleep(Duration::from_millis(150))).await.is_some() {
        let ended = sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'cardctl%'",
        );
        let ended = ended.execute(&mut connection).await.unwrap().rows_affected();
        cut.fetch_add(ended as usize, Ordering::AcqRel);
    }
}

/// Works until so many tasks are final: the first attempt of each fails, the second settles it. The goal may still move.
async fn fail_once_then_settle(engine: Arc<ClusterEngine>, tally: Tally, goal: Arc<AtomicUsize>) {
    let worker = WorkerId::new();
    let ask = ClaimRequest { max: 100, wait: Duration::from_millis(200), ..request(worker) };
    while !tally.reached(goal.load(Ordering::Acquire)) {
        let claims = persist(|| engine.claim(&ask)).await;
        let ends = claims.iter().map(async |claim| {
            let (lease, started_at) = (&claim.lease, claim.started_at);
            if claim.attempt == 1 {
                let due = engine.shared.clock.now();
                persist(|| engine.end(lease, started_at, End::RetryAt { due, error: failed(), counts: true })).await;
                return 0;
            }
            let settled = persist(|| engine.end(lease, started_at, End::Settle(done()))).await;
            // An answer that was lost is no second settle: nobody else had the task.
            usize::from(matches!(settled, Settled::Applied | Settled::AlreadyFinal))
        });
        tally.0.fetch_add(join_all(ends).await.into_iter().sum::<usize>(), Ordering::AcqRel);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_cut_while_64_callers_write_lose_and_double_nothing() {
    const CALLERS: usize = 64;
    const EACH: usize = 6;
    const CUTS: usize = 12;
    let bed = Bed::new().await;
    let run = RunId::new();
    let stop = CancellationToken::new();
    let cut = Arc::new(AtomicUsize::new(0));
    let cutting = tokio::spawn(cut_sessions(bed.database.url().to_owned(), stop.clone(), Arc::clone(&cut)));
    let (tally, goal) = (Tally::default(), Arc::new(AtomicUsize::new(usize::MAX)));
    let working = tokio::spawn(fail_once_then_settle(Arc::clone(&bed.engine), tally.clone(), Arc::clone(&goal)));
    let callers = (0..CALLERS).map(|_| {
        let (engine, run, cut) = (Arc::clone(&bed.engine), run.clone(), Arc::clone(&cut));
        tokio::spawn(async move {
            let mut told = Vec::new();
            // One after the other, so that there are accepts as long as connections are cut; however quick they are, some
            // are cut.
            while told.len() < EACH || cut.load(Ordering::Acquire) < CUTS {
                told.extend(accept_all(&engine, vec![add_in(&run)]).await);
            }
            told
        })
    });
    let mut told = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        told.extend(caller.await.unwrap());
    }
    let tasks = told.len();
    goal.store(tasks, Ordering::Release);
    timeout(PATIENCE, working).await.expect("everything is worked on").unwrap();
    stop.cancel();
    cutting.await.unwrap();

    let page = bed.engine.effects(&run, None, 100_000).await.unwrap();
    let counts: HashMap<TaskId, &EffectCount> = page.items.iter().map(|count| (count.task, count)).collect();
    assert_eq!((page.items.len(), counts.len()), (tasks, tasks), "each task once");
    for id in told {
        let count = counts.get(&id).expect("what was answered is there");
        assert_eq!((count.status, count.effects, count.finals), (Status::Succeeded, 1, 1), "{id}");
        let attempts = bed.engine.attempts(id).await.unwrap();
        let ended: Vec<_> = attempts.iter().map(|attempt| attempt.status).collect();
        assert_eq!(ended, [Status::Retrying, Status::Succeeded], "{id}");
    }
    let filter = EventFilter { run: Some(run), ..EventFilter::default() };
    assert_eq!(all_events(&*bed.engine, &filter, 0, 500).await.len(), 3 * tasks);
    let stats = bed.engine.stats().await.unwrap();
    assert_eq!((stats.accepted_total, stats.settled_total), (tasks as u64, tasks as u64));
    assert_eq!((stats.queue.ready, stats.queue.retrying, stats.queue.dead), (0, 0, 0));
}

/// A task whose id was made some time ago: a call that is made again has its first behind it.
fn made_before(new: NewTask) -> NewTask {
    let now = Uuid::now_v7().get_timestamp().unwrap().to_unix();
    let id = Uuid::new_v7(Timestamp::from_unix(uuid::NoContext, now.0 - 20, now.1));
    NewTask { id: TaskId::from_uuid(id), ..new }
}

#[tokio::test]
async fn an_accept_that_is_made_again_is_answered_as_the_first_time() {
    let bed = Bed::new().await;
    let keyed = NewTask { idempotency: Some(Idempotency { key: "k".into(), fingerprint: [1; 32] }), ..add() };
    for new in [add(), replacement(UserId::new()), keyed] {
        let new = made_before(new);
        let first = accepted(&*bed.engine, new.clone()).await;
        let before = bed.engine.stats().await.unwrap();
        let again = accepted(&*bed.engine, new.clone()).await;
        assert_eq!((again.id, again.accepted_at), (first.id, first.accepted_at));
        let claim = claim_one(&*bed.engine).await;
        assert_eq!(claim.lease.task, new.id);
        bed.engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
        // Its row is gone from the open ones; the log knows.
        let again = accepted(&*bed.engine, new.clone()).await;
        assert_eq!((again.id, again.accepted_at), (first.id, first.accepted_at));
        assert_eq!(bed.engine.get(new.id).await.unwrap().unwrap().status, Status::Succeeded);
        let after = bed.engine.stats().await.unwrap();
        assert_eq!(after.accepted_total, before.accepted_total);
        assert_eq!(after.settled_total, before.settled_total + 1);
    }
}

#[tokio::test]
async fn the_end_of_an_attempt_that_is_told_again_counts_once() {
    let bed = Bed::new().await;
    let task = accepted(&*bed.engine, add()).await.id;
    let claim = claim_one(&*bed.engine).await;
    let far = Instant::now().plus(Duration::from_secs(600));
    for _ in 0..3 {
        let told = bed
            .engine
            .end(&claim.lease, claim.started_at, End::RetryAt { due: far, error: failed(), counts: true })
            .await
            .unwrap();
        assert_eq!(told, Settled::Applied);
    }
    assert_eq!(bed.engine.attempts(task).await.unwrap().len(), 1);
    assert_eq!(bed.engine.get(task).await.unwrap().unwrap().attempts, 1);

    let task = accepted(&*bed.engine, add()).await.id;
    let claim = claim_one(&*bed.engine).await;
    assert_eq!(claim.lease.task, task);
    assert_eq!(bed.engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap(), Settled::Applied);
    bed.engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap();
    assert_eq!(bed.engine.attempts(task).await.unwrap().len(), 1);
    assert_eq!(bed.engine.stats().await.unwrap().queue.dead, 1);
}

#[tokio::test]
async fn a_write_that_postgres_refuses_does_not_fail_its_neighbours() {
    let bed = Bed::new().await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$";
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON tasks FOR EACH ROW WHEN (NEW.exclusive = 'seven') EXECUTE FUNCTION refuse()";
    execute(bed.database.url(), &[refuse, trigger]).await;
    let new = |number: usize| match number {
        7 => NewTask { exclusive: Some("seven".into()), ..add() },
        _ => add(),
    };
    let answers = join_all((0..64).map(|number| bed.engine.accept(new(number)))).await;
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(Accepted::New(..)) if number != 7 => {}
            Err(error) if number == 7 => {
                assert_eq!(error.kind(), ErrorKind::Internal);
                assert!(!error.is_retryable());
            }
            other => panic!("{number}: {other:?}"),
        }
    }
    assert_eq!(bed.engine.stats().await.unwrap().accepted_total, 63);
}
