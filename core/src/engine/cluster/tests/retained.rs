//! The log by days: what retention drops, and what outlives it.

use super::*;
use crate::engine::Retried;
use crate::engine::conformance::{accepted, add, add_in, claim_one, failed};
use crate::tasks::{Idempotency, TaskFilter};

const DAY: i64 = 86_400_000_000;

/// Days since 1970 that the log has a place for, from today.
async fn days(bed: &Bed) -> Vec<i64> {
    let days: Vec<i32> = sqlx::query_scalar(
        "SELECT to_date(right(c.relname, 8), 'YYYYMMDD') - date '1970-01-01'
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events'::regclass ORDER BY 1",
    )
    .fetch_all(&bed.engine.shared.pool)
    .await
    .unwrap();
    let today = bed.engine.shared.clock.now().micros() / DAY;
    days.into_iter().map(|day| i64::from(day) - today).collect()
}

/// Makes all that happened so far happen so many days earlier. In one transaction: the engine's own upkeep may look at any
/// moment, and must not find the days made and nothing in them yet.
async fn age(bed: &Bed, days: i64) {
    let mut transaction = bed.engine.shared.pool.begin().await.unwrap();
    for statement in [
        "SELECT ensure_days((ledger_now() / 86400000000)::integer - $1::integer - 1, (ledger_now() / 86400000000)::integer - $1::integer)",
        "UPDATE events SET at = at - $1::bigint * 86400000000, accepted_at = accepted_at - $1::bigint * 86400000000",
        "UPDATE idempotency SET accepted_at = accepted_at - $1::bigint * 86400000000",
        "UPDATE task_options SET accepted_at = accepted_at - $1::bigint * 86400000000",
        "UPDATE tasks SET accepted_at = accepted_at - $1::bigint * 86400000000, ended_at = ended_at - $1::bigint * 86400000000",
    ] {
        sqlx::query(statement).bind(days).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

async fn keep_up(bed: &Bed) {
    retention::Upkeep::new(bed.settings.ledger.event_retention).round(&bed.engine.shared).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_for_the_next_days_are_made_ahead() {
    let bed = Bed::new().await;
    assert_eq!(days(&bed).await, (-1..=7).collect::<Vec<_>>());
    let pool = &bed.engine.shared.pool;
    let day: i32 =
        sqlx::query_scalar("SELECT (ledger_now() / 86400000000)::integer + 3").fetch_one(pool).await.unwrap();
    // Whether it is gone afterwards can't be looked up: the engine's own upkeep may have been quicker.
    let dropped: bool = sqlx::query_scalar("SELECT drop_day($1)").bind(day).fetch_one(pool).await.unwrap();
    assert!(dropped, "there was a place for it");
    keep_up(&bed).await;
    assert_eq!(days(&bed).await, (-1..=7).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_dropped_resets_readers_and_takes_nothing_that_is_open_or_dead() {
    let bed = Bed::new().await;
    let engine = &*bed.engine;
    let settled = accepted(engine, add()).await.id;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    let dead = accepted(engine, add()).await.id;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap();
    let open = accepted(engine, add()).await.id;
    let old = engine.last_event().await.unwrap();
    age(&bed, 10).await;
    let recent = accepted(engine, add_in(&RunId::new())).await.id;
    keep_up(&bed).await;
    assert_eq!(days(&bed).await, (-1..=7).collect::<Vec<_>>(), "days that are over are gone");

    // A reader from before is told, and goes on with what is left; one who had read it all is not.
    let page = engine.events_after(&EventFilter::default(), 0, 100).await.unwrap();
    assert!(page.reset);
    assert_eq!(page.events.iter().map(|event| event.task.id).collect::<Vec<_>>(), [recent]);
    let page = engine.events_after(&EventFilter::default(), old, 100).await.unwrap();
    assert!(!page.reset);
    assert_eq!(page.events.len(), 1);

    assert!(engine.get(settled).await.unwrap().is_none(), "what was final is history");
    let shown = engine.get(dead).await.unwrap().unwrap();
    assert_eq!((shown.status, shown.attempts, shown.error), (Status::Dead, 1, Some(failed())));
    let listed =
        engine.list(&TaskFilter { status: Some(Status::Dead), ..TaskFilter::default() }, None, 10).await.unwrap();
    assert_eq!(
        listed.items.iter().map(|task| (task.id, task.error.clone())).collect::<Vec<_>>(),
        [(dead, Some(failed()))]
    );
    assert_eq!(engine.get(open).await.unwrap().unwrap().status, Status::Queued);
    let stats = engine.stats().await.unwrap();
    assert_eq!((stats.queue.ready, stats.queue.dead), (2, 1));

    // All three can be worked on.
    assert!(matches!(engine.retry_dead(dead).await.unwrap(), Retried::Queued(_)));
    let handed = work(Arc::clone(&bed.engine), Tally::default(), 3).await;
    assert_eq!(handed.len(), 3);
    for task in [dead, open, recent] {
        assert_eq!(engine.get(task).await.unwrap().unwrap().status, Status::Succeeded);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_whose_history_is_gone_can_be_discarded() {
    let bed = Bed::new().await;
    let dead = accepted(&*bed.engine, add()).await.id;
    let claim = claim_one(&*bed.engine).await;
    bed.engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap();
    age(&bed, 10).await;
    keep_up(&bed).await;
    assert!(bed.engine.discard(dead, "a test".into()).await.unwrap());
    assert!(!bed.engine.discard(dead, "a test".into()).await.unwrap());
    assert_eq!(bed.engine.stats().await.unwrap().queue.dead, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_are_dropped_while_others_write_and_read() {
    let bed = Bed::new().await;
    accept_all(&bed.engine, (0..50).map(|_| add()).collect()).await;
    age(&bed, 12).await;
    let tally = Tally::default();
    let worker = tokio::spawn(work(Arc::clone(&bed.engine), tally.clone(), 650));
    let writer = tokio::spawn({
        let engine = Arc::clone(&bed.engine);
        async move {
            for _ in 0..30 {
                accept_all(&engine, (0..20).map(|_| add()).collect()).await;
            }
        }
    });
    eventually("the days are dropped", async || {
        keep_up(&bed).await;
        bed.engine.events_after(&EventFilter::default(), 0, 10).await.unwrap().reset
    })
    .await;
    writer.await.unwrap();
    worker.await.unwrap();
    assert_eq!(bed.engine.stats().await.unwrap().settled_total, 650);
}

/// The rule of docs/reference/api.md: as long as its task, and at least seven days.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_remembered_as_long_as_its_task_and_at_least_seven_days() {
    let mut bed = Bed::new().await;
    bed.settings.ledger.event_retention = Duration::from_secs(3600);
    let with =
        |key: &str| NewTask { idempotency: Some(Idempotency { key: key.to_owned(), fingerprint: [7; 32] }), ..add() };
    let again = async |bed: &Bed, key: &str| match bed.engine.accept(with(key)).await.unwrap() {
        Accepted::New(..) => "new",
        Accepted::Replay(_) => "replay",
        other => panic!("{other:?}"),
    };
    assert_eq!(again(&bed, "settled").await, "new");
    let claim = claim_one(&*bed.engine).await;
    bed.engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    assert_eq!(again(&bed, "open").await, "new");
    assert_eq!(again(&bed, "late").await, "new");
    age(&bed, 6).await;
    keep_up(&bed).await;
    assert!(bed.engine.get(claim.lease.task).await.unwrap().is_none(), "its history is gone already");
    for key in ["settled", "open", "late"] {
        assert_eq!(again(&bed, key).await, "replay", "{key}, after six days");
    }
    age(&bed, 2).await;
    keep_up(&bed).await;
    assert_eq!(again(&bed, "settled").await, "new", "after eight days, without a task");
    for key in ["open", "late"] {
        assert_eq!(again(&bed, key).await, "replay", "{key}: its task is there");
    }
    // Final now, accepted long ago: it is there until the log has forgotten it.
    let late = match bed.engine.accept(with("late")).await.unwrap() {
        Accepted::Replay(task) => task.id,
        other => panic!("{other:?}"),
    };
    let claims = bed.engine.claim(&request(WorkerId::new())).await.unwrap();
    let claim = claims.iter().find(|claim| claim.lease.task == late).expect("it is due");
    bed.engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    keep_up(&bed).await;
    assert!(bed.engine.get(late).await.unwrap().is_some());
    assert_eq!(again(&bed, "late").await, "replay");
}

/// A task for next year outlives the days of the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_of_a_task_is_kept_as_long_as_the_task() {
    let mut bed = Bed::new().await;
    bed.settings.ledger.event_retention = Duration::from_secs(3600);
    let due = Instant::now().plus(Duration::from_secs(360 * 86_400));
    let task = accepted(&*bed.engine, NewTask { due_at: Some(due), priority: Priority::High, ..add() }).await;
    let kept = async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM task_options");
        count.fetch_one(&bed.engine.shared.pool).await.unwrap()
    };
    age(&bed, 30).await;
    keep_up(&bed).await;
    let shown = bed.engine.get(task.id).await.unwrap().unwrap();
    assert_eq!((shown.status, shown.due_at, shown.priority), (Status::Queued, Some(due), Priority::High));
    assert_eq!((kept().await, bed.engine.stats().await.unwrap().queue.scheduled), (1, 1));
    bed.engine.cancel(task.id, "a test".into()).await.unwrap();
    let shown = bed.engine.get(task.id).await.unwrap().unwrap();
    assert_eq!((shown.status, shown.due_at, shown.priority), (Status::Cancelled, Some(due), Priority::High));
    age(&bed, 30).await;
    keep_up(&bed).await;
    assert!(bed.engine.get(task.id).await.unwrap().is_none());
    assert_eq!(kept().await, 0);
}
