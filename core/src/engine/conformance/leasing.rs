//! Claim, leases, and what the sweep brings back.

use std::collections::HashSet;

use super::*;
use crate::engine::Settled;

pub(crate) async fn a_claim_hands_out_the_oldest_first(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(accepted(engine, add()).await.id);
    }
    for id in ids {
        assert_eq!(claim_one(engine).await.lease.task, id);
    }
}

pub(crate) async fn a_claim_hands_each_task_to_one_worker(bed: impl Testbed) {
    let run = RunId::new();
    for _ in 0..200 {
        accepted(&*bed.store().engine, add_in(&run)).await;
    }
    let workers = (0..8).map(|_| {
        let engine = bed.store().engine.clone();
        tokio::spawn(async move {
            let request = ClaimRequest { max: 7, wait: Duration::from_millis(300), ..request(WorkerId::new()) };
            let mut mine = Vec::new();
            loop {
                let claims = engine.claim(&request).await.unwrap();
                if claims.is_empty() {
                    return mine;
                }
                mine.extend(claims.into_iter().map(|claim| claim.lease.task));
            }
        })
    });
    let mut all = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        all.extend(worker.await.unwrap());
    }
    assert_eq!(all.len(), 200);
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 200);
}

pub(crate) async fn a_claim_takes_only_the_kinds_it_asks_for(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let wanted = accepted(engine, replacement(UserId::new())).await;
    let only = ClaimRequest { kinds: vec![REPLACEMENT], ..request(WorkerId::new()) };
    let claims = engine.claim(&only).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.lease.task).collect::<Vec<_>>(), [wanted.id]);
}

pub(crate) async fn a_waiting_claim_wakes_when_work_arrives(bed: impl Testbed) {
    let engine = bed.store().engine.clone();
    let claim = tokio::spawn(async move { claim_one(&*engine).await });
    tokio::task::yield_now().await;
    let task = accepted(&*bed.store().engine, add()).await;
    let claim = claim.await.unwrap();
    assert_eq!((claim.lease.task, claim.attempt, claim.payload.get()), (task.id, 1, r#"{"x":2,"y":3}"#));
}

pub(crate) async fn an_expired_lease_is_handed_out_again(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let first = claim_for(engine, Duration::from_millis(50)).await;
    let second = claim_one(engine).await;
    assert_eq!(first.lease.task, second.lease.task);
    assert_ne!(first.lease, second.lease);
    // Nobody reported the first attempt's end: it does not count.
    assert_eq!(second.attempt, 1);
}

pub(crate) async fn an_extended_lease_is_not(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let claim = claim_for(engine, Duration::from_secs(1)).await;
    for _ in 0..6 {
        assert!(engine.extend(&[claim.lease], Duration::from_secs(1)).await.unwrap().is_empty());
        claim_nothing(engine, Duration::from_millis(400)).await;
    }
}

pub(crate) async fn an_expired_lease_that_was_taken_is_lost(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    accepted(engine, add()).await;
    let first = claim_for(engine, Duration::from_millis(50)).await;
    let second = claim_one(engine).await;
    let lost = engine.extend(&[first.lease, second.lease], Duration::from_secs(30)).await.unwrap();
    assert_eq!(lost, [first.lease]);
}

pub(crate) async fn a_claimed_task_comes_back_after_a_restart(bed: impl Testbed) {
    let task = accepted(&*bed.store().engine, add()).await;
    claim_one(&*bed.store().engine).await;
    let bed = bed.restart().await;
    assert_eq!(claim_one(&*bed.store().engine).await.lease.task, task.id);
}

pub(crate) async fn what_the_delivery_forgot_comes_back(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let ready = accepted(engine, add()).await.id;
    let held = accepted(engine, add()).await.id;
    let claim = claim_one(engine).await;
    assert_eq!(claim.lease.task, ready);
    bed.forget().await;
    let mut back = HashSet::new();
    while back.len() < 2 {
        back.insert(claim_one(engine).await.lease.task);
    }
    assert_eq!(back, HashSet::from([ready, held]));
}

async fn accept_many(bed: &impl Testbed, count: usize, new: fn() -> NewTask) {
    let accepts = (0..8).map(|_| {
        let engine = bed.store().engine.clone();
        tokio::spawn(async move {
            for _ in 0..count / 8 / 50 {
                let mut batch = tokio::task::JoinSet::new();
                for _ in 0..50 {
                    let engine = engine.clone();
                    batch.spawn(async move { engine.accept(new()).await.unwrap() });
                }
                batch.join_all().await;
            }
        })
    });
    for accept in accepts.collect::<Vec<_>>() {
        accept.await.unwrap();
    }
}

pub(crate) async fn a_kind_that_nobody_claims_holds_no_other_up(bed: impl Testbed) {
    accept_many(&bed, 20_000, || replacement(UserId::new())).await;
    let wanted = accepted(&*bed.store().engine, add()).await;
    let only = ClaimRequest { kinds: vec![ADD], ..request(WorkerId::new()) };
    let claims = bed.store().engine.claim(&only).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.lease.task).collect::<Vec<_>>(), [wanted.id]);
}

pub(crate) async fn every_waiting_claimer_hears_of_its_kind(bed: impl Testbed) {
    let claimers = [ADD, REPLACEMENT].map(|kind| {
        let engine = bed.store().engine.clone();
        tokio::spawn(async move {
            let only = ClaimRequest { kinds: vec![kind], max: 1, ..request(WorkerId::new()) };
            engine.claim(&only).await.unwrap()
        })
    });
    tokio::task::yield_now().await;
    accepted(&*bed.store().engine, add()).await;
    accepted(&*bed.store().engine, replacement(UserId::new())).await;
    for claimer in claimers {
        assert_eq!(claimer.await.unwrap().len(), 1);
    }
}

pub(crate) async fn more_than_the_delivery_holds_is_handed_out_in_full(bed: impl Testbed) {
    const TASKS: usize = 40_000;
    accept_many(&bed, TASKS, add).await;
    let engine = bed.store().engine.clone();
    let mut seen = HashSet::new();
    while seen.len() < TASKS {
        let claims = engine.claim(&ClaimRequest { max: 500, ..request(WorkerId::new()) }).await.unwrap();
        assert!(!claims.is_empty(), "{} of {TASKS} after ten seconds of nothing", seen.len());
        let settles = claims.into_iter().map(|claim| {
            assert!(seen.insert(claim.lease.task), "twice");
            let engine = engine.clone();
            tokio::spawn(async move { engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap() })
        });
        for settle in settles.collect::<Vec<_>>() {
            assert_eq!(settle.await.unwrap(), Settled::Applied);
        }
    }
    let stats = engine.stats().await.unwrap();
    assert_eq!((stats.settled_total, stats.queue.ready, stats.queue.running), (TASKS as u64, 0, 0));
}

/// As when a slow kind has its share already.
pub(crate) async fn a_claim_takes_of_a_kind_no_more_than_there_is_room_for(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    for _ in 0..100 {
        accepted(engine, replacement(UserId::new())).await;
    }
    for _ in 0..20 {
        accepted(engine, add()).await;
    }
    let most = [(REPLACEMENT, 8)].into();
    let asked = ClaimRequest { max: 60, most, ..request(WorkerId::new()) };
    let (mut slow, mut others) = (0, 0);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    // In several calls: what is taken may be known in several places at once.
    while others < 20 && tokio::time::Instant::now() < deadline {
        let claims = engine.claim(&ClaimRequest { wait: Duration::from_millis(100), ..asked.clone() }).await.unwrap();
        let mine = claims.iter().filter(|claim| claim.kind == REPLACEMENT).count();
        assert!(mine <= 8, "{mine} in one call");
        slow += mine;
        others += claims.len() - mine;
    }
    assert_eq!(others, 20, "beside {slow}");
    assert!(slow > 0);
    // Fewer than there are places to look: one after the other is found all the same.
    for room in [1, 2, 3] {
        let claims = engine.claim(&ClaimRequest { most: [(REPLACEMENT, room)].into(), ..asked.clone() }).await.unwrap();
        assert_eq!(claims.len(), room);
        slow += room;
    }
    // With room for all of them all are taken.
    let mut rest = 100 - slow;
    while rest > 0 && tokio::time::Instant::now() < deadline {
        rest -= engine.claim(&request(WorkerId::new())).await.unwrap().len();
    }
    assert_eq!(rest, 0);
}

pub(crate) async fn a_wait_ends_when_the_worker_would_ask_for_something_else(bed: impl Testbed) {
    let enough = tokio_util::sync::CancellationToken::new();
    let engine = bed.store().engine.clone();
    let asked =
        ClaimRequest { wait: Duration::from_secs(3600), enough: Some(enough.clone()), ..request(WorkerId::new()) };
    let waiting = tokio::spawn(async move { engine.claim(&asked).await.unwrap().len() });
    tokio::task::yield_now().await;
    enough.cancel();
    assert_eq!(waiting.await.unwrap(), 0);
}
