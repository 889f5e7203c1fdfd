//! Redis: what it loses, what it holds, and what happens without it.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::engine::ErrorKind;
use crate::engine::conformance::{accepted, add, claim_nothing, claim_one, replacement};
use crate::ids::UserId;
use crate::testing::{Proxy, Redis};

/// What one shard holds, by kind: entries, and what is beside them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Holdings {
    entries: Vec<usize>,
    waiting: usize,
    held: usize,
    leases: usize,
}

impl Holdings {
    pub(super) fn entries(&self) -> usize {
        self.entries.iter().sum()
    }
}

pub(super) async fn connection(bed: &Bed) -> redis::aio::MultiplexedConnection {
    redis::Client::open(bed.address.redis.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

pub(super) async fn holdings(bed: &Bed) -> Vec<Holdings> {
    let mut connection = connection(bed).await;
    let mut all = Vec::new();
    for shard in 0..SHARDS {
        let mut ask = redis::pipe();
        ask.atomic();
        for known in &KINDS[..2] {
            let place = bed.engine.shared.delivery.keys.place(shard, QueueId::new(known.code, Priority::Normal));
            ask.xlen(&place.stream).hlen(&place.waiting).hlen(&place.held).zcard(&place.leases);
        }
        let sizes: Vec<usize> = ask.query_async(&mut connection).await.unwrap();
        let sum = |at: usize| sizes[at..].iter().step_by(4).sum();
        let entries = sizes.iter().step_by(4).copied().collect();
        all.push(Holdings { entries, waiting: sum(1), held: sum(2), leases: sum(3) });
    }
    all
}

pub(super) async fn comes_to_hold_nothing(bed: &Bed) {
    eventually("Redis holds nothing", async || holdings(bed).await.iter().all(|shard| *shard == nothing())).await;
}

fn nothing() -> Holdings {
    Holdings { entries: vec![0; 2], ..Holdings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_tasks_are_taken_in_again_when_redis_has_lost_everything() {
    let bed = Bed::new().await;
    accept_all(&bed.engine, (0..20).map(|_| replacement(UserId::new())).collect()).await;
    let mut claims = Vec::new();
    while claims.len() < 20 {
        claims.extend(bed.engine.claim(&request(WorkerId::new())).await.unwrap());
    }
    let leases: Vec<_> = claims.iter().map(|claim| claim.lease).collect();
    bed.forget().await;
    let minute = Duration::from_secs(60);
    assert_eq!(bed.engine.extend(&leases, minute).await.unwrap(), []);
    // Longer than the sweep gives those who hold tasks.
    claim_nothing(&*bed.engine, Duration::from_secs(3)).await;
    assert_eq!(bed.engine.extend(&leases, minute).await.unwrap(), []);
    assert_eq!(bed.engine.stats().await.unwrap().queue.running, 20);
    for claim in claims {
        assert_eq!(
            bed.engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap(),
            Settled::Applied
        );
    }
    comes_to_hold_nothing(&bed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_taken_in_again_runs_out_like_any_other() {
    let bed = Bed::new().await;
    let task = accepted(&*bed.engine, add()).await;
    let claim = claim_one(&*bed.engine).await;
    bed.forget().await;
    assert_eq!(bed.engine.extend(&[claim.lease], Duration::from_millis(50)).await.unwrap(), []);
    let second = claim_one(&*bed.engine).await;
    assert_eq!(second.lease.task, task.id);
    assert_eq!(bed.engine.extend(&[claim.lease], Duration::from_secs(1)).await.unwrap(), [claim.lease]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_from_the_start_only_delays() {
    const TASKS: usize = 200;
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address());
    proxy.refuse(true);
    let bed = start_with(Database::create(), Redis::url_at(proxy.address()), |_| {}).await;
    let tasks = accept_all(&bed.engine, (0..TASKS).map(|_| add()).collect()).await;
    assert_eq!(bed.engine.get(tasks[0]).await.unwrap().unwrap().status, Status::Queued);
    let stats = bed.engine.stats().await.unwrap();
    assert_eq!((stats.queue.ready, stats.accepted_total), (TASKS as u64, TASKS as u64));
    bed.engine.ping().await.unwrap();
    let error = bed.engine.claim(&request(WorkerId::new())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    proxy.refuse(false);
    let handed = work(Arc::clone(&bed.engine), Tally::default(), TASKS).await;
    assert_eq!(handed.into_iter().collect::<HashSet<_>>(), tasks.into_iter().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_dies_at_work_and_comes_back_empty_only_delays() {
    const TASKS: usize = 1_500;
    let redis = Redis::start();
    let bed = start_with(Database::create(), redis.url(), |_| {}).await;
    let other = bed.beside().await;
    let tally = Tally::default();
    let workers = [&bed.engine, &other].map(|engine| tokio::spawn(work(Arc::clone(engine), tally.clone(), TASKS)));
    accept_all(&bed.engine, (0..TASKS / 2).map(|_| replacement(UserId::new())).collect()).await;
    redis.kill();
    accept_all(&other, (0..TASKS / 2).map(|_| add()).collect()).await;
    redis.start_again_empty();
    for worker in workers {
        worker.await.unwrap();
    }
    let stats = bed.engine.stats().await.unwrap();
    assert_eq!((stats.settled_total, stats.queue.ready, stats.queue.dead), (TASKS as u64, 0, 0));
    comes_to_hold_nothing(&bed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_again_and_again_only_delays() {
    const TASKS: usize = 600;
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address());
    let bed = start_with(Database::create(), Redis::url_at(proxy.address()), |_| {}).await;
    let tally = Tally::default();
    let worker = tokio::spawn(work(Arc::clone(&bed.engine), tally.clone(), TASKS));
    for _ in 0..TASKS / 20 {
        accept_all(&bed.engine, (0..20).map(|_| replacement(UserId::new())).collect()).await;
        proxy.cut_all();
    }
    worker.await.unwrap();
    assert_eq!(bed.engine.stats().await.unwrap().settled_total, TASKS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_bounds_what_redis_holds_and_everything_is_handed_out() {
    const TASKS: usize = 3_000;
    const LIMIT: usize = 50;
    let database = Database::create();
    let redis = database.redis().to_owned();
    let bed = start_with(database, redis, |settings| settings.delivery.limit = LIMIT).await;
    let new = |number: usize| NewTask {
        owner: Some(UserId::new()),
        ..if number.is_multiple_of(2) { add() } else { replacement(UserId::new()) }
    };
    let tasks = accept_all(&bed.engine, (0..TASKS).map(new).collect()).await;
    eventually("Redis is full", async || holdings(&bed).await.iter().any(|shard| shard.entries.contains(&LIMIT))).await;
    let tally = Tally::default();
    let worker = tokio::spawn(work(Arc::clone(&bed.engine), tally.clone(), TASKS));
    eventually("everything is settled", async || {
        for shard in holdings(&bed).await {
            assert!(shard.entries.iter().all(|entries| *entries <= LIMIT), "{shard:?}");
            assert!(shard.waiting <= LIMIT * 2, "{shard:?}");
        }
        tally.reached(TASKS)
    })
    .await;
    let handed = worker.await.unwrap();
    assert_eq!(handed.len(), TASKS, "each once");
    assert_eq!(handed.into_iter().collect::<HashSet<_>>(), tasks.into_iter().collect());
    comes_to_hold_nothing(&bed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_that_were_lost_one_by_one_come_back() {
    let bed = Bed::new().await;
    let tasks = accept_all(&bed.engine, (0..30).map(|_| add()).collect()).await;
    let place = bed.engine.shared.delivery.keys.place(0, QueueId::new(1, Priority::Normal));
    eventually("all are offered", async || holdings(&bed).await[0].entries[1] == 30).await;
    let mut connection = connection(&bed).await;
    let entries: HashMap<Vec<u8>, String> =
        redis::cmd("HGETALL").arg(&place.waiting).query_async(&mut connection).await.unwrap();
    for (number, (task, entry)) in entries.into_iter().enumerate() {
        let mut lose = redis::pipe();
        lose.atomic();
        if number % 3 != 0 {
            lose.hdel(&place.waiting, task);
        }
        if number % 3 != 1 {
            lose.xdel(&place.stream, &[entry]);
        }
        lose.exec_async(&mut connection).await.unwrap();
    }
    let handed = work(Arc::clone(&bed.engine), Tally::default(), 30).await;
    assert_eq!(handed.len(), 30, "each once");
    assert_eq!(handed.into_iter().collect::<HashSet<_>>(), tasks.into_iter().collect());
    comes_to_hold_nothing(&bed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_left_over_from_a_final_task_is_not_handed_out() {
    let bed = Bed::new().await;
    accepted(&*bed.engine, add()).await;
    let claim = claim_one(&*bed.engine).await;
    bed.forget().await;
    eventually("the sweep has offered it again", async || holdings(&bed).await[0].entries[1] == 1).await;
    assert_eq!(bed.engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap(), Settled::Applied);
    eventually("it is let go, with its entry", async || holdings(&bed).await[0] == nothing()).await;
    claim_nothing(&*bed.engine, Duration::from_secs(1)).await;
    comes_to_hold_nothing(&bed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_come_and_go_leave_nothing_behind() {
    let bed = Bed::new().await;
    for _ in 0..20 {
        accepted(&*bed.engine, add()).await;
        let claim = claim_one(&*bed.engine).await;
        bed.engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    }
    comes_to_hold_nothing(&bed).await;
    let stream = &bed.engine.shared.delivery.keys.place(0, QueueId::new(1, Priority::Normal)).stream;
    let mut ask = redis::cmd("XINFO");
    ask.arg("CONSUMERS").arg(stream).arg("workers");
    let consumers: Vec<redis::Value> = ask.query_async(&mut connection(&bed).await).await.unwrap();
    assert_eq!(consumers.len(), 1);
}
