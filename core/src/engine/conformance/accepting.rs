//! Accept: durable, idempotent, exclusive.

use super::*;
use crate::engine::ErrorKind;
use crate::tasks::{Idempotency, Status};

fn keyed(owner: Option<UserId>, key: &str, fingerprint: u8) -> NewTask {
    let idempotency = Idempotency { key: key.into(), fingerprint: [fingerprint; 32] };
    NewTask { owner, idempotency: Some(idempotency), ..add() }
}

pub(crate) async fn an_accepted_task_survives_a_restart(bed: impl Testbed) {
    let task = accepted(&*bed.store().engine, add()).await;
    let bed = bed.restart().await;
    let found = bed.store().engine.get(task.id).await.unwrap().unwrap();
    assert_eq!((found.id, found.status, found.attempts), (task.id, Status::Queued, 0));
    assert_eq!(found.accepted_at, task.accepted_at);
}

pub(crate) async fn the_same_key_and_request_get_the_first_answer(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = Some(UserId::new());
    let first = accepted(engine, keyed(owner, "k", 1)).await;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    let Accepted::Replay(again) = engine.accept(keyed(owner, "k", 1)).await.unwrap() else { panic!("not a replay") };
    // The answer as it was then, although the task is final now.
    assert_eq!((again.id, again.status), (first.id, Status::Queued));
    claim_nothing(engine, Duration::from_millis(50)).await;
}

pub(crate) async fn the_same_key_with_another_request_is_refused(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, keyed(None, "k", 1)).await;
    assert!(matches!(engine.accept(keyed(None, "k", 2)).await.unwrap(), Accepted::IdempotencyMismatch));
    assert_eq!(engine.stats().await.unwrap().accepted_total, 1);
}

pub(crate) async fn a_key_belongs_to_its_owner(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, keyed(Some(UserId::new()), "k", 1)).await;
    accepted(engine, keyed(Some(UserId::new()), "k", 2)).await;
    accepted(engine, keyed(None, "k", 3)).await;
}

pub(crate) async fn concurrent_accepts_with_one_key_make_one_task(bed: impl Testbed) {
    let owner = Some(UserId::new());
    let accepts = (0..64).map(|_| {
        let engine = bed.store().engine.clone();
        tokio::spawn(async move { engine.accept(keyed(owner, "k", 1)).await.unwrap() })
    });
    let mut ids = std::collections::HashSet::new();
    let mut new = 0;
    for accept in accepts.collect::<Vec<_>>() {
        match accept.await.unwrap() {
            Accepted::New(task, _) => {
                new += 1;
                ids.insert(task.id);
            }
            Accepted::Replay(task) => {
                ids.insert(task.id);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((new, ids.len()), (1, 1));
}

pub(crate) async fn of_64_concurrent_exclusive_accepts_one_wins(bed: impl Testbed) {
    let owner = UserId::new();
    let accepts = (0..64).map(|_| {
        let engine = bed.store().engine.clone();
        tokio::spawn(async move { engine.accept(replacement(owner)).await.unwrap() })
    });
    let (mut won, mut named) = (Vec::new(), Vec::new());
    for accept in accepts.collect::<Vec<_>>() {
        match accept.await.unwrap() {
            Accepted::New(task, _) => won.push(task.id),
            Accepted::Exclusive { open } => named.push(open),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((won.len(), named.len()), (1, 63));
    assert!(named.iter().all(|open| *open == won[0]));
}

pub(crate) async fn exclusivity_ends_when_the_task_is_final(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = UserId::new();
    for _ in 0..2 {
        accepted(engine, replacement(owner)).await;
        let claim = claim_one(engine).await;
        let Accepted::Exclusive { open } = engine.accept(replacement(owner)).await.unwrap() else { panic!() };
        assert_eq!(open, claim.lease.task);
        engine.end(&claim.lease, claim.started_at, End::Settle(Outcome::Declined { error: failed() })).await.unwrap();
    }
    accepted(engine, replacement(owner)).await;
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::GiveUp(failed())).await.unwrap();
    accepted(engine, replacement(owner)).await;
}

pub(crate) async fn an_idempotent_replay_comes_before_exclusivity(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let owner = UserId::new();
    let new = || NewTask {
        idempotency: Some(Idempotency { key: "k".into(), fingerprint: [7; 32] }),
        id: TaskId::new(),
        ..replacement(owner)
    };
    let first = accepted(engine, new()).await;
    let Accepted::Replay(again) = engine.accept(new()).await.unwrap() else {
        panic!("the caller's own retry is no conflict")
    };
    assert_eq!(again.id, first.id);
}

pub(crate) async fn a_dropped_accept_leaves_no_half(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let run = RunId::new();
    for _ in 0..50 {
        let engine = bed.store().engine.clone();
        let new = add_in(&run);
        let accept = tokio::spawn(async move { engine.accept(new).await });
        accept.abort();
        let _ = accept.await;
    }
    // Writes keep their order: with this one on disk, what is written of those before it is as well.
    accepted(engine, add_in(&run)).await;
    // Whatever was written is whole: each has its event and can be worked on.
    let tasks = engine.stats().await.unwrap().accepted_total;
    let filter = EventFilter { run: Some(run), ..EventFilter::default() };
    assert_eq!(all_events(engine, &filter, 0, 100).await.len() as u64, tasks);
    for _ in 0..tasks {
        let claim = claim_one(engine).await;
        engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    }
}

pub(crate) async fn a_key_that_no_store_could_hold_is_refused(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    for wrong in ["a\0b".to_owned(), "\0".to_owned(), "k".repeat(1_001)] {
        let key = Idempotency { key: wrong.clone(), fingerprint: [1; 32] };
        for new in [NewTask { idempotency: Some(key), ..add() }, NewTask { exclusive: Some(wrong), ..add() }] {
            assert_eq!(engine.accept(new).await.unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
    assert_eq!(engine.stats().await.unwrap().accepted_total, 0);
    // As long as one may be, of letters that are hard to pack.
    let longest: String = (0..500).map(|n: u32| char::from_u32(0xa1 + n * 7 % 1_000).unwrap()).collect();
    let key = Idempotency { key: longest.clone(), fingerprint: [1; 32] };
    accepted(engine, NewTask { idempotency: Some(key), exclusive: Some(longest), ..add() }).await;
}
