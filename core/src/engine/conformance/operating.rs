//! Pause, figures, clean-up, accounts, the end.

use super::accounts::user;
use super::*;
use crate::engine::{ErrorKind, Settled};
use crate::ids::SessionId;
use crate::tasks::{Scaling, Status, TaskFilter};
use crate::time::Instant;

pub(crate) async fn a_paused_queue_accepts_and_hands_out_nothing(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    engine.set_paused(true).await.unwrap();
    accepted(engine, add()).await;
    claim_nothing(engine, Duration::from_millis(300)).await;
    assert!(engine.stats().await.unwrap().queue.paused);
    let waiting = bed.store().engine.clone();
    let claim = tokio::spawn(async move { claim_one(&*waiting).await });
    engine.set_paused(false).await.unwrap();
    claim.await.unwrap();
}

pub(crate) async fn a_pause_survives_a_restart(bed: impl Testbed) {
    bed.store().engine.set_paused(true).await.unwrap();
    let bed = bed.restart().await;
    accepted(&*bed.store().engine, add()).await;
    claim_nothing(&*bed.store().engine, Duration::from_millis(100)).await;
}

pub(crate) async fn stats_count_what_is_there(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    for _ in 0..6 {
        accepted(engine, add()).await;
    }
    let worker = WorkerId::new();
    let mut claims = Vec::new();
    while claims.len() < 3 {
        // A claim waits for the first, not for as many as it may take.
        let more = engine.claim(&ClaimRequest { max: 3 - claims.len(), ..request(worker) }).await.unwrap();
        assert!(!more.is_empty(), "{} of 3 after ten seconds", claims.len());
        claims.extend(more);
    }
    engine.end(&claims[0].lease, claims[0].started_at, End::Settle(done())).await.unwrap();
    let far = Instant::now().plus(Duration::from_secs(600));
    engine
        .end(&claims[1].lease, claims[1].started_at, End::RetryAt { due: far, error: failed(), counts: true })
        .await
        .unwrap();
    let stats = engine.stats().await.unwrap();
    let queue = &stats.queue;
    assert_eq!((queue.ready, queue.running, queue.retrying, queue.dead), (3, 1, 1, 0));
    assert_eq!((stats.accepted_total, stats.settled_total), (6, 1));
    let seen = stats.workers.iter().find(|seen| seen.id == worker).unwrap();
    assert_eq!((seen.host.as_str(), seen.inflight), ("here", 1));
    let bed = bed.restart().await;
    let stats = bed.store().engine.stats().await.unwrap();
    assert_eq!((stats.queue.ready, stats.queue.running, stats.queue.retrying), (4, 0, 1));
    assert_eq!((stats.accepted_total, stats.settled_total), (6, 1));
}

async fn scaling(engine: &dyn Engine) -> Scaling {
    engine.stats().await.unwrap().into()
}

pub(crate) async fn the_scaling_signal_follows_the_backlog(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    assert_eq!(scaling(engine).await.backlog, 0);
    let first = accepted(engine, add()).await;
    accepted(engine, replacement(UserId::new())).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    let scaling = loop {
        let scaling = scaling(engine).await;
        if scaling.oldest_age_ms > 0 || tokio::time::Instant::now() > deadline {
            break scaling;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(scaling.backlog, 2);
    assert!(scaling.oldest_age_ms <= Instant::now().since(first.accepted_at).as_millis() as u64);
    assert_eq!((scaling.by_kind[&ADD].backlog, scaling.by_kind[&REPLACEMENT].backlog), (1, 1));
    let oldest = scaling.by_kind.values().map(|kind| kind.oldest_age_ms).max();
    assert_eq!(oldest, Some(scaling.oldest_age_ms), "the first one's");
    assert!(scaling.by_kind[&ADD].oldest_age_ms >= scaling.by_kind[&REPLACEMENT].oldest_age_ms);
}

pub(crate) async fn a_cleaned_run_leaves_nothing_and_the_rest_untouched(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let run = RunId::new();
    let made: Vec<_> = (0..3).map(|number| user(&format!("gen-{number}"))).collect();
    bed.store().accounts.register_synthetic(run.clone(), made.clone()).await.unwrap();
    let kept = accepted(engine, add()).await.id;
    for made in &made {
        accepted(engine, NewTask { run: Some(run.clone()), ..replacement(made.id) }).await;
    }
    let claims = engine.claim(&request(WorkerId::new())).await.unwrap();
    for claim in claims.iter().filter(|claim| claim.owner.is_some()).take(2) {
        engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    }
    let cleaned = engine.clean_run(&run).await.unwrap();
    assert_eq!((cleaned.users, cleaned.tasks), (3, 3));
    assert_eq!(engine.clean_run(&run).await.unwrap().tasks, 0, "twice is once");
    let filter = EventFilter { run: Some(run.clone()), ..EventFilter::default() };
    assert!(all_events(engine, &filter, 0, 100).await.is_empty());
    let listed = engine.list(&TaskFilter::default(), None, 100).await.unwrap();
    assert_eq!(listed.items.iter().map(|task| task.id).collect::<Vec<_>>(), [kept]);
    assert!(bed.store().accounts.user(made[0].id).await.unwrap().is_none());
    assert!(bed.store().accounts.is_revoked(made[0].id, SessionId::new()).await.unwrap());
    let before = engine.last_event().await.unwrap();
    accepted(engine, add()).await;
    assert!(engine.last_event().await.unwrap() > before, "places in the log are never used again");
}

pub(crate) async fn a_clean_up_leaves_people_alone(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let (run, person, made) = (RunId::new(), user("ada"), user("gen-1"));
    bed.store().accounts.register(person.clone(), "hash".into()).await.unwrap();
    bed.store().accounts.register_synthetic(run.clone(), vec![made.clone()]).await.unwrap();
    let kept = accepted(engine, NewTask { run: Some(run.clone()), ..replacement(person.id) }).await.id;
    let elsewhere = accepted(engine, replacement(made.id)).await.id;
    let cleaned = engine.clean_run(&run).await.unwrap();
    assert_eq!((cleaned.users, cleaned.tasks), (1, 1));
    assert!(engine.get(kept).await.unwrap().is_some(), "any caller can send the name of a run");
    assert!(engine.get(elsewhere).await.unwrap().is_none(), "what a generated user owns goes with it");
    assert!(bed.store().accounts.user(person.id).await.unwrap().is_some());
}

pub(crate) async fn what_a_person_ordered_under_a_run_stays_when_both_are_gone(bed: impl Testbed) {
    let (engine, accounts) = (&*bed.store().engine, &*bed.store().accounts);
    let (run, person, made) = (RunId::new(), user("ada"), user("gen-1"));
    accounts.register(person.clone(), "hash".into()).await.unwrap();
    accounts.register_synthetic(run.clone(), vec![made.clone()]).await.unwrap();
    let in_run = |new| NewTask { run: Some(run.clone()), ..new };
    let ordered = accepted(engine, in_run(replacement(person.id))).await.id;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::Settle(card("4242"))).await.unwrap();
    let open = accepted(engine, in_run(replacement(person.id))).await.id;
    let theirs = accepted(engine, in_run(replacement(made.id))).await.id;
    let nobodys = accepted(engine, add_in(&run)).await.id;
    // Both leave before the run is cleaned up, so nobody can be asked any more who they were.
    assert!(accounts.delete_user(person.id).await.unwrap());
    assert!(accounts.delete_user(made.id).await.unwrap());
    let cleaned = engine.clean_run(&run).await.unwrap();
    assert_eq!(cleaned.tasks, 2, "of the generated user and of nobody");
    for kept in [ordered, open] {
        assert!(engine.get(kept).await.unwrap().is_some());
    }
    for gone in [theirs, nobodys] {
        assert!(engine.get(gone).await.unwrap().is_none());
    }
    assert_eq!(cards(engine, person.id).await.len(), 1);
}

pub(crate) async fn a_settle_of_a_cleaned_task_is_told(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let run = RunId::new();
    accepted(engine, add_in(&run)).await;
    let claim = claim_one(engine).await;
    engine.clean_run(&run).await.unwrap();
    assert_eq!(engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap(), Settled::Gone);
    let stats = engine.stats().await.unwrap();
    assert_eq!((stats.queue.ready, stats.queue.running), (0, 0));
}

pub(crate) async fn the_audit_counts_effects(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let run = RunId::new();
    for _ in 0..5 {
        accepted(engine, add_in(&run)).await;
    }
    for _ in 0..2 {
        let claim = claim_one(engine).await;
        engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    }
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap();
    engine.retry_dead(claim.lease.task).await.unwrap();
    let (mut counts, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = engine.effects(&run, cursor.as_deref(), 2).await.unwrap();
        counts.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let shown: Vec<_> = counts.iter().map(|count| (count.status, count.effects, count.finals)).collect();
    let (done, open) = ((Status::Succeeded, 1, 1), (Status::Queued, 0, 0));
    assert_eq!(shown, [done, done, open, open, open]);
}

pub(crate) async fn a_closed_engine_refuses_politely(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    engine.close().await;
    engine.close().await;
    assert_eq!(engine.accept(add()).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(engine.get(TaskId::new()).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(engine.claim(&request(WorkerId::new())).await.unwrap_err().kind(), ErrorKind::Closed);
}

pub(crate) async fn the_engine_answers_a_ping(bed: impl Testbed) {
    bed.store().engine.ping().await.unwrap();
}
