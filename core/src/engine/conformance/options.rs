//! What can be asked of a task besides what it does: not before a time, before or after others, and not at all any more.

use std::collections::HashSet;

use super::*;
use crate::engine::{CANCELLED, Cancelled, Settled};
use crate::tasks::{Status, TaskFilter};
use crate::time::Instant;

async fn cancelled(engine: &dyn Engine, id: TaskId) -> Task {
    match engine.cancel(id, "not needed any more".into()).await.unwrap() {
        Cancelled::Done(task) => task,
        other => panic!("not cancelled: {other:?}"),
    }
}

/// Queued, running, waiting for another attempt, and waiting for its time.
pub(crate) async fn a_cancelled_task_is_final_whatever_it_was_and_has_no_effect(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let (run, owner) = (RunId::new(), UserId::new());
    let in_run = |new: NewTask| NewTask { run: Some(run.clone()), ..new };
    let far = Instant::now().plus(Duration::from_secs(3600));
    let retrying = accepted(engine, in_run(add())).await.id;
    let retry = claim_one(engine).await;
    let later = End::RetryAt { due: far, error: failed(), counts: true };
    engine.end(&retry.lease, retry.started_at, later).await.unwrap();
    let running = accepted(engine, in_run(replacement(owner))).await.id;
    let claim = claim_one(engine).await;
    assert_eq!(claim.lease.task, running);
    let queued = accepted(engine, in_run(NewTask { priority: Priority::High, ..add() })).await.id;
    let scheduled = accepted(engine, in_run(NewTask { due_at: Some(far), ..add() })).await.id;
    let all = [queued, running, retrying, scheduled];
    let before = engine.stats().await.unwrap();
    assert_eq!((before.queue.retrying, before.queue.scheduled, before.settled_total), (1, 1, 0));

    for (id, attempts) in all.into_iter().zip([0, 0, 1, 0]) {
        let task = cancelled(engine, id).await;
        let error = task.error.clone().unwrap();
        assert_eq!((task.status, task.attempts), (Status::Cancelled, attempts));
        assert_eq!((error.code.as_str(), error.message.as_str()), (CANCELLED, "not needed any more"));
        assert!(task.settled_at.is_some() && task.result.is_none());
        assert_eq!(engine.get(id).await.unwrap().unwrap().status, Status::Cancelled);
        // Called off twice is called off once.
        let again = engine.cancel(id, "another reason".into()).await.unwrap();
        assert!(matches!(&again, Cancelled::Final(task) if task.error.as_ref() == Some(&error)), "{again:?}");
        assert!(matches!(engine.retry_dead(id).await.unwrap(), Retried::NotDead));
        assert_eq!(engine.attempts(id).await.unwrap().len(), attempts as usize, "no attempt");
    }
    assert!(matches!(engine.cancel(TaskId::new(), String::new()).await.unwrap(), Cancelled::NotFound));

    // Whoever works on one finds out, and changes nothing any more.
    assert_eq!(engine.extend(&[claim.lease], Duration::from_secs(30)).await.unwrap(), [claim.lease]);
    assert_eq!(
        engine.end(&claim.lease, claim.started_at, End::Settle(card("1"))).await.unwrap(),
        Settled::AlreadyFinal
    );
    assert!(cards(engine, owner).await.is_empty());
    accepted(engine, replacement(owner)).await;

    let stats = engine.stats().await.unwrap();
    let queue = &stats.queue;
    assert_eq!((queue.retrying, queue.scheduled, queue.dead, stats.settled_total), (0, 0, 0, 4));
    assert_eq!(stats.by_kind[&ADD].backlog, 0);
    let audit = engine.effects(&run, None, 10).await.unwrap().items;
    assert!(audit.iter().all(|one| (one.status, one.effects, one.finals) == (Status::Cancelled, 0, 1)), "{audit:?}");
    let of_run = EventFilter { run: Some(run.clone()), ..EventFilter::default() };
    let events = all_events(engine, &of_run, 0, 3).await;
    for id in all {
        let last = events.iter().rfind(|event| event.task.id == id).unwrap();
        assert_eq!(last.task.status, Status::Cancelled);
    }
    let filter = TaskFilter { status: Some(Status::Cancelled), ..TaskFilter::default() };
    let listed: HashSet<_> = engine.list(&filter, None, 10).await.unwrap().items.iter().map(|task| task.id).collect();
    assert_eq!(listed, HashSet::from(all));

    let bed = bed.restart().await;
    let engine = &*bed.store().engine;
    assert_eq!(claim_one(engine).await.kind, REPLACEMENT, "the one that is left");
    claim_nothing(engine, Duration::from_millis(500)).await;
    assert_eq!(engine.stats().await.unwrap().settled_total, 4);
}

pub(crate) async fn what_is_final_is_not_cancelled(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    for end in [End::Settle(done()), End::Settle(Outcome::Declined { error: failed() }), End::GiveUp(failed())] {
        let id = accepted(engine, add()).await.id;
        let claim = claim_one(engine).await;
        engine.end(&claim.lease, claim.started_at, end).await.unwrap();
        let before = engine.get(id).await.unwrap().unwrap();
        let last = engine.last_event().await.unwrap();
        let answer = engine.cancel(id, "too late".into()).await.unwrap();
        assert!(matches!(&answer, Cancelled::Final(task) if task.status == before.status), "{answer:?}");
        assert_eq!(engine.last_event().await.unwrap(), last);
    }
    assert_eq!(engine.stats().await.unwrap().queue.dead, 1);
}

/// Of many workers and an operator at once each task has one outcome, and an effect only if that is a success.
pub(crate) async fn of_a_cancel_and_a_settle_at_once_one_takes_effect(bed: impl Testbed) {
    let run = RunId::new();
    let engine = &*bed.store().engine;
    let mut ids = Vec::new();
    for _ in 0..60 {
        ids.push(accepted(engine, NewTask { run: Some(run.clone()), ..replacement(UserId::new()) }).await.id);
    }
    let working = {
        let engine = bed.store().engine.clone();
        tokio::spawn(async move {
            let mut settled = 0;
            loop {
                let asked = ClaimRequest { max: 5, wait: Duration::from_millis(500), ..request(WorkerId::new()) };
                let claims = engine.claim(&asked).await.unwrap();
                if claims.is_empty() {
                    return settled;
                }
                for claim in claims {
                    let end = engine.end(&claim.lease, claim.started_at, End::Settle(card("1"))).await.unwrap();
                    settled += usize::from(end == Settled::Applied);
                }
            }
        })
    };
    let mut called_off = 0;
    for id in ids.iter().rev() {
        match engine.cancel(*id, "at once".into()).await.unwrap() {
            Cancelled::Done(_) => called_off += 1,
            Cancelled::Final(task) => assert_eq!(task.status, Status::Succeeded),
            Cancelled::NotFound => panic!("{id} is gone"),
        }
    }
    let settled = working.await.unwrap();
    assert_eq!(settled + called_off, ids.len());
    for one in engine.effects(&run, None, 100).await.unwrap().items {
        assert_eq!((one.effects, one.finals), (u32::from(one.status == Status::Succeeded), 1), "{one:?}");
    }
}

pub(crate) async fn what_is_due_later_waits_for_its_time_and_survives_a_restart(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let due = Instant::now().plus(Duration::from_secs(2));
    let key = Idempotency { key: "once".into(), fingerprint: [7; 32] };
    let new = || NewTask { due_at: Some(due), priority: Priority::Low, idempotency: Some(key.clone()), ..add() };
    let task = accepted(engine, new()).await;
    assert_eq!((task.status, task.due_at, task.priority), (Status::Queued, Some(due), Priority::Low));
    let Accepted::Replay(again) = engine.accept(new()).await.unwrap() else { panic!("a replay") };
    assert_eq!((again.id, again.due_at, again.priority), (task.id, Some(due), Priority::Low));
    let past = accepted(engine, NewTask { due_at: Some(Instant::from_micros(1)), ..add() }).await;
    assert_eq!(past.due_at, Some(Instant::from_micros(1)), "as it was asked for");
    assert_eq!(claim_one(engine).await.lease.task, past.id, "what is past is due at once");
    let stats = engine.stats().await.unwrap();
    assert_eq!((stats.queue.scheduled, stats.queue.ready, stats.by_kind[&ADD].backlog), (1, 0, 1));

    let bed = bed.restart().await;
    let engine = &*bed.store().engine;
    let mut begun = Vec::new();
    while begun.len() < 2 {
        begun.push(claim_one(engine).await);
    }
    let claim = begun.iter().find(|claim| claim.lease.task == task.id).unwrap();
    assert!(claim.started_at >= due, "{} before {due}", claim.started_at);
    let shown = engine.get(task.id).await.unwrap().unwrap();
    assert_eq!((shown.status, shown.due_at, shown.priority), (Status::Running, Some(due), Priority::Low));
    // What was asked stays, whatever becomes of it.
    let again = End::RetryAt { due: Instant::now(), error: failed(), counts: true };
    engine.end(&claim.lease, claim.started_at, again).await.unwrap();
    let retried = claim_one(engine).await;
    engine.end(&retried.lease, retried.started_at, End::Settle(done())).await.unwrap();
    let events = all_events(engine, &EventFilter { tasks: vec![task.id], ..EventFilter::default() }, 0, 10).await;
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| (event.task.due_at, event.task.priority) == (Some(due), Priority::Low)));
}

/// As at midnight.
pub(crate) async fn many_that_are_due_at_the_very_same_time_are_all_handed_out(bed: impl Testbed) {
    const TASKS: usize = 2_500;
    let due = Instant::now().plus(Duration::from_secs(3));
    let accepts = (0..TASKS).map(|_| {
        let engine = bed.store().engine.clone();
        tokio::spawn(async move { accepted(&*engine, NewTask { due_at: Some(due), ..add() }).await.id })
    });
    let mut ids = HashSet::new();
    for accept in accepts.collect::<Vec<_>>() {
        ids.insert(accept.await.unwrap());
    }
    assert_eq!(bed.store().engine.stats().await.unwrap().queue.scheduled, TASKS as u64);
    // What is lost on the way is found again.
    bed.forget().await;
    let mut seen = HashSet::new();
    while seen.len() < TASKS {
        let claims = bed.store().engine.claim(&request(WorkerId::new())).await.unwrap();
        assert!(!claims.is_empty(), "{} of {TASKS} after ten seconds of nothing", seen.len());
        for claim in claims {
            assert!(claim.started_at >= due);
            seen.insert(claim.lease.task);
        }
    }
    assert_eq!(seen, ids);
}

pub(crate) async fn of_what_waits_each_priority_has_its_share(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    engine.set_paused(true).await.unwrap();
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        for _ in 0..60 {
            accepted(engine, NewTask { priority, ..add() }).await;
        }
    }
    engine.set_paused(false).await.unwrap();
    // All are offered by now, or their wake-ups are still on the way: each pick begins with what is known.
    let mut begun = Vec::new();
    while begun.len() < 63 {
        let task = claim_one(engine).await.lease.task;
        begun.push(engine.get(task).await.unwrap().unwrap().priority);
    }
    let of = |priority| begun.iter().filter(|one| **one == priority).count();
    let [high, normal, low] = Priority::ALL.map(of);
    assert!(high >= 36 && normal >= 8 && low >= 2, "{high} high, {normal} normal, {low} low: {begun:?}");
    // And nothing is left behind.
    let mut left = 180 - begun.len();
    while left > 0 {
        left -= engine.claim(&request(WorkerId::new())).await.unwrap().len();
    }
}

/// With users in every shard, and a delivery that has forgotten all of it.
pub(crate) async fn a_priority_survives_what_delivery_forgets(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    engine.set_paused(true).await.unwrap();
    for at in 0..90 {
        let priority = Priority::ALL[at % 3];
        accepted(engine, NewTask { priority, ..replacement(UserId::new()) }).await;
    }
    let bed = bed.restart().await;
    let engine = &*bed.store().engine;
    engine.set_paused(false).await.unwrap();
    let mut counts = [0; 3];
    while counts.iter().sum::<usize>() < 90 {
        let claims = engine.claim(&request(WorkerId::new())).await.unwrap();
        assert!(!claims.is_empty(), "{counts:?} of 30 each after ten seconds of nothing");
        for claim in claims {
            let task = engine.get(claim.lease.task).await.unwrap().unwrap();
            assert_eq!(task.status, Status::Running);
            counts[task.priority as usize] += 1;
        }
    }
    assert_eq!(counts, [30; 3]);
}
