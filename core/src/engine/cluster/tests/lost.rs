//! Nothing in Redis is evidence that work is safe: any keys disappear, or come back from an old dump, at any stage, and
//! every task ends once all the same.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;

use super::deliveries::{comes_to_hold_nothing, connection};
use super::rows::shard_of;
use super::*;
use crate::engine::Claim;
use crate::engine::conformance::{REPLACEMENT, add_in, card, failed, replacement};
use crate::ids::UserId;
use crate::tasks::{Kind, Outcome};

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Deleted,
    /// As it was when all of the first tasks waited.
    AsWaiting,
    /// As it was when all of the first tasks were held.
    AsHeld,
}

const FATES: [Fate; 4] = [Fate::Kept, Fate::Deleted, Fate::AsWaiting, Fate::AsHeld];
/// Long enough for what a worker does here, short enough to wait for its end.
const LEASE: Duration = Duration::from_millis(1_500);
/// Tasks of each place, one for each stage.
const STAGES: usize = 6;

/// What a worker settles with: a card for a replacement.
fn outcome(claim: &Claim) -> Outcome {
    if claim.kind == REPLACEMENT { card(&claim.lease.task.to_string()) } else { done() }
}

type Dump = HashMap<String, Option<Vec<u8>>>;

/// The four keys of every place.
fn places(bed: &Bed) -> Vec<[String; 4]> {
    every_place(bed)
        .map(|place| [&place.stream, &place.waiting, &place.held, &place.leases].map(Clone::clone))
        .collect()
}

async fn dump(bed: &Bed, connection: &mut MultiplexedConnection) -> Dump {
    let mut dump = Dump::new();
    for key in places(bed).into_iter().flatten() {
        let value: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query_async(connection).await.unwrap();
        dump.insert(key, value);
    }
    dump
}

fn change(changes: &mut redis::Pipeline, key: &str, fate: Fate, waiting: &Dump, held: &Dump) {
    let dump = match fate {
        Fate::Kept => return,
        Fate::Deleted => None,
        Fate::AsWaiting => waiting[key].as_ref(),
        Fate::AsHeld => held[key].as_ref(),
    };
    match dump {
        None => changes.del(key).ignore(),
        Some(value) => changes.cmd("RESTORE").arg(key).arg(0).arg(value).arg("REPLACE").ignore(),
    };
}

/// So many tasks in every place.
async fn fill(bed: &Bed, run: &RunId, each: usize) {
    let mut tasks = Vec::new();
    for shard in 0..SHARDS {
        for number in 0..2 * each {
            let owner = std::iter::repeat_with(UserId::new).find(|owner| shard_of(Some(*owner)) == shard).unwrap();
            let new = if number.is_multiple_of(2) { replacement(owner) } else { add_in(run) };
            tasks.push(NewTask { owner: Some(owner), run: Some(run.clone()), ..new });
        }
    }
    accept_all(&bed.engine, tasks).await;
}

/// The first tasks in every stage that there is; answers those that a worker still has.
async fn advance(bed: &Bed, claims: Vec<Claim>) -> Vec<Claim> {
    let engine = &bed.engine;
    let mut stages = HashMap::<(usize, Kind), usize>::new();
    let mut kept = Vec::new();
    for claim in claims {
        let stage = stages.entry((shard_of(claim.owner), claim.kind)).or_default();
        let (lease, started) = (&claim.lease, claim.started_at);
        match *stage {
            0 => assert_eq!(engine.end(lease, started, End::Settle(outcome(&claim))).await.unwrap(), Settled::Applied),
            1 => assert_eq!(engine.end(lease, started, End::GiveUp(failed())).await.unwrap(), Settled::Applied),
            2 => {
                let due = engine.shared.clock.now().plus(Duration::from_millis(300));
                assert_eq!(
                    engine.end(lease, started, End::RetryAt { due, error: failed(), counts: true }).await.unwrap(),
                    Settled::Applied
                );
            }
            3 => kept.push(claim),
            // Nobody keeps it: its worker is dead.
            _ => {}
        }
        *stage += 1;
    }
    kept
}

/// Keeps leases for a while, as a worker does, and settles what is not lost.
async fn keep(engine: Arc<ClusterEngine>, mut claims: Vec<Claim>) {
    for _ in 0..6 {
        let leases: Vec<Lease> = claims.iter().map(|claim| claim.lease).collect();
        let lost = persist(|| engine.extend(&leases, LEASE)).await;
        claims.retain(|claim| !lost.contains(&claim.lease));
        sleep(LEASE / 5).await;
    }
    for claim in claims {
        let settled = persist(|| engine.end(&claim.lease, claim.started_at, End::Settle(outcome(&claim)))).await;
        assert!(matches!(settled, Settled::Applied | Settled::AlreadyFinal), "{settled:?}");
    }
}

/// Works until nothing of a run is open, and looks at the ledger: each task has one end, and what it means.
async fn drain(bed: &Bed, run: &RunId, what: &str) {
    let engine = &bed.engine;
    let worker = WorkerId::new();
    let mut left = Vec::new();
    let working = async {
        loop {
            let ask = ClaimRequest { max: 100, lease: LEASE, wait: Duration::from_millis(100), ..request(worker) };
            for claim in persist(|| engine.claim(&ask)).await {
                persist(|| engine.end(&claim.lease, claim.started_at, End::Settle(outcome(&claim)))).await;
            }
            let tasks = engine.effects(run, None, 10_000).await.unwrap().items;
            left = tasks.iter().filter(|task| !task.status.is_final()).map(|task| task.task).collect();
            if left.is_empty() {
                return tasks;
            }
        }
    };
    let Ok(tasks) = timeout(PATIENCE, working).await else { panic!("{what}: {} never ended", left.len()) };
    for task in tasks {
        assert_eq!(task.finals, 1, "{what}: {task:?}");
        assert_eq!(task.effects, u32::from(task.status != Status::Dead), "{what}: {task:?}");
    }
}

/// All fates of the four keys of a place of which the first has this one, each in a place of its own.
async fn whatever_becomes_of_the_others(first: Fate) {
    let bed = Bed::new().await;
    let mut connection = connection(&bed).await;
    let places = places(&bed);
    let fates: Vec<[Fate; 4]> = (0..64).map(|n| [first, FATES[n % 4], FATES[n / 4 % 4], FATES[n / 16]]).collect();
    for (round, fates) in fates.chunks(places.len()).enumerate() {
        let run = RunId::new();
        fill(&bed, &run, STAGES).await;
        let tasks = places.len() * STAGES;
        eventually("all are offered", async || {
            deliveries::holdings(&bed).await.iter().map(deliveries::Holdings::entries).sum::<usize>() == tasks
        })
        .await;
        let waiting = dump(&bed, &mut connection).await;
        let mut claims = Vec::new();
        while claims.len() < tasks {
            let ask = ClaimRequest { max: tasks, lease: LEASE, ..request(WorkerId::new()) };
            claims.extend(bed.engine.claim(&ask).await.unwrap());
        }
        let held = dump(&bed, &mut connection).await;
        let kept = advance(&bed, claims).await;
        // And one that waits in each.
        fill(&bed, &run, 1).await;
        let paused = round % 2 == 1;
        bed.engine.set_paused(paused).await.unwrap();
        let mut changes = redis::pipe();
        for (keys, fates) in places.iter().zip(fates) {
            for (key, fate) in keys.iter().zip(fates) {
                change(&mut changes, key, *fate, &waiting, &held);
            }
        }
        changes.exec_async(&mut connection).await.unwrap();
        let keeping = tokio::spawn(keep(Arc::clone(&bed.engine), kept));
        if paused {
            keeping.await.unwrap();
            bed.engine.set_paused(false).await.unwrap();
            drain(&bed, &run, &format!("{fates:?}")).await;
        } else {
            drain(&bed, &run, &format!("{fates:?}")).await;
            keeping.await.unwrap();
        }
        comes_to_hold_nothing(&bed).await;
    }
    assert_eq!(bed.engine.stats().await.unwrap().queue.ready, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_ends_once_whatever_is_lost_beside_the_stream() {
    whatever_becomes_of_the_others(Fate::Kept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_ends_once_when_the_stream_is_lost() {
    whatever_becomes_of_the_others(Fate::Deleted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_ends_once_when_the_stream_is_older_than_the_claims() {
    whatever_becomes_of_the_others(Fate::AsWaiting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_task_ends_once_when_the_stream_is_older_than_the_settles() {
    whatever_becomes_of_the_others(Fate::AsHeld).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_is_gone_or_points_anywhere_only_delays() {
    let bed = Bed::new().await;
    let mut connection = connection(&bed).await;
    let run = RunId::new();
    fill(&bed, &run, 4).await;
    let ask = ClaimRequest { max: 20, lease: LEASE, ..request(WorkerId::new()) };
    let kept = bed.engine.claim(&ask).await.unwrap();
    let mut changes = redis::pipe();
    for (number, [stream, ..]) in places(&bed).iter().enumerate() {
        match number % 4 {
            0 => changes.cmd("XGROUP").arg("DESTROY").arg(stream).arg("workers").ignore(),
            1 => changes.cmd("XGROUP").arg("SETID").arg(stream).arg("workers").arg("0").ignore(),
            2 => changes.cmd("XGROUP").arg("SETID").arg(stream).arg("workers").arg("$").ignore(),
            _ => changes.cmd("XGROUP").arg("SETID").arg(stream).arg("workers").arg("9999999999999-0").ignore(),
        };
    }
    changes.exec_async(&mut connection).await.unwrap();
    let keeping = tokio::spawn(keep(Arc::clone(&bed.engine), kept));
    drain(&bed, &run, "groups").await;
    keeping.await.unwrap();
    comes_to_hold_nothing(&bed).await;
    // And what comes later is found there as well.
    fill(&bed, &run, 2).await;
    drain(&bed, &run, "later").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_and_turns_of_a_clock_that_was_ahead_end_as_others_do() {
    let bed = Bed::new().await;
    let mut connection = connection(&bed).await;
    let run = RunId::new();
    fill(&bed, &run, 2).await;
    let mut claims = Vec::new();
    while claims.len() < 32 {
        let ask = ClaimRequest { max: 32, lease: LEASE, ..request(WorkerId::new()) };
        claims.extend(bed.engine.claim(&ask).await.unwrap());
    }
    let mut changes = redis::pipe();
    for [_, _, held, leases] in places(&bed) {
        let all: HashMap<Vec<u8>, String> =
            redis::cmd("HGETALL").arg(&held).query_async(&mut connection).await.unwrap();
        for (task, text) in all {
            let mut parts: Vec<String> = text.split(' ').map(str::to_owned).collect();
            let ends = parts[4].parse::<u64>().unwrap() + 86_400_000;
            parts[4] = ends.to_string();
            changes.hset(&held, &task, parts.join(" ")).ignore();
            changes.zadd(&leases, &task, ends).ignore();
        }
    }
    let sweeper = bed.engine.shared.delivery.keys.sweeper();
    changes.set(sweeper, "1 9999999999999").ignore();
    changes.exec_async(&mut connection).await.unwrap();
    drain(&bed, &run, "a clock that was ahead").await;
    comes_to_hold_nothing(&bed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_evicted_one_by_one_at_work_only_delay() {
    const TASKS: usize = 1_200;
    let bed = Bed::new().await;
    let mut connection = connection(&bed).await;
    let tally = Tally::default();
    let workers = [(); 2].map(|()| tokio::spawn(work(Arc::clone(&bed.engine), tally.clone(), TASKS)));
    let keys: Vec<String> = places(&bed).into_iter().flatten().collect();
    for part in 0..TASKS / 20 {
        accept_all(&bed.engine, (0..20).map(|_| replacement(UserId::new())).collect()).await;
        for step in 0..3 {
            let key = &keys[(part * 7 + step * 13) % keys.len()];
            redis::cmd("DEL").arg(key).exec_async(&mut connection).await.unwrap();
        }
    }
    for worker in workers {
        worker.await.unwrap();
    }
    let stats = bed.engine.stats().await.unwrap();
    assert_eq!((stats.settled_total, stats.queue.ready, stats.queue.dead), (TASKS as u64, 0, 0));
    comes_to_hold_nothing(&bed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_over_from_a_dump_takes_nobodys_room() {
    const LIMIT: usize = 40;
    let database = Database::create();
    let redis = database.redis().to_owned();
    let bed = start_with(database, redis, |settings| settings.delivery.limit = LIMIT).await;
    let mut connection = connection(&bed).await;
    let run = RunId::new();
    fill(&bed, &run, LIMIT).await;
    eventually("all are offered", async || {
        deliveries::holdings(&bed).await.iter().map(deliveries::Holdings::entries).sum::<usize>() == 16 * LIMIT
    })
    .await;
    let old = dump(&bed, &mut connection).await;
    drain(&bed, &run, "the first").await;
    comes_to_hold_nothing(&bed).await;
    bed.engine.set_paused(true).await.unwrap();
    let mut changes = redis::pipe();
    for key in old.keys() {
        change(&mut changes, key, Fate::AsWaiting, &old, &old);
    }
    changes.exec_async(&mut connection).await.unwrap();
    // Nobody claims, so nobody finds by claiming them that they are over.
    fill(&bed, &run, LIMIT).await;
    let open = |tasks: &[crate::engine::EffectCount]| tasks.iter().filter(|task| !task.status.is_final()).count();
    eventually("only what is open is there", async || {
        let shards = deliveries::holdings(&bed).await;
        let tasks = bed.engine.effects(&run, None, 10_000).await.unwrap().items;
        let offered = every_place(&bed);
        let mut names = std::collections::HashSet::new();
        for place in offered {
            let found: Vec<Vec<u8>> =
                redis::cmd("HKEYS").arg(&place.waiting).query_async(&mut connection.clone()).await.unwrap();
            names.extend(found);
        }
        let entries: usize = shards.iter().map(deliveries::Holdings::entries).sum();
        let all = tasks
            .iter()
            .filter(|task| !task.status.is_final())
            .all(|task| names.contains(task.task.uuid().as_bytes().as_slice()));
        all && entries == open(&tasks)
    })
    .await;
    bed.engine.set_paused(false).await.unwrap();
    drain(&bed, &run, "the others").await;
}

/// 1 MB holds some thousand tasks: the others wait for room, and are worked off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_full_is_worked_off_and_the_age_is_told() {
    const TASKS: usize = 6_000;
    let redis = crate::testing::Redis::start_with(&[("maxmemory", "3mb"), ("maxmemory-policy", "noeviction")]);
    let bed = start_with(Database::create(), redis.url(), |_| {}).await;
    for _ in 0..TASKS / 1_000 {
        accept_all(&bed.engine, (0..1_000).map(|_| replacement(UserId::new())).collect()).await;
    }
    let stats = bed.engine.stats().await.unwrap();
    assert!(stats.queue.oldest_age_ms > 0, "{:?}", stats.queue);
    let tally = Tally::default();
    work(Arc::clone(&bed.engine), tally, TASKS).await;
    assert_eq!(bed.engine.stats().await.unwrap().settled_total, TASKS as u64);
}

/// Somebody else fills the same Redis, which makes room by removing what is used least.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_that_has_our_keys_evicted_only_delays() {
    const TASKS: usize = 1_000;
    let redis = crate::testing::Redis::start_with(&[("maxmemory", "4mb"), ("maxmemory-policy", "allkeys-lru")]);
    let bed = start_with(Database::create(), redis.url(), |_| {}).await;
    bed.engine.set_paused(true).await.unwrap();
    accept_all(&bed.engine, (0..TASKS).map(|_| replacement(UserId::new())).collect()).await;
    let mut connection = connection(&bed).await;
    let asked = connection.clone();
    let evicted = async || {
        let said: String = redis::cmd("INFO").arg("stats").query_async(&mut asked.clone()).await.unwrap();
        let keys = said.lines().find_map(|line| line.strip_prefix("evicted_keys:"));
        keys.unwrap().trim().parse::<u64>().unwrap()
    };
    let mut others = 0;
    while evicted().await < 200 {
        let mut fill = redis::pipe();
        for _ in 0..100 {
            others += 1;
            fill.set(format!("neighbour:{others}"), "x".repeat(1_000)).ignore();
        }
        fill.exec_async(&mut connection).await.unwrap();
    }
    bed.engine.set_paused(false).await.unwrap();
    work(Arc::clone(&bed.engine), Tally::default(), TASKS).await;
    assert_eq!(bed.engine.stats().await.unwrap().settled_total, TASKS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_age_of_the_queue_is_that_of_what_waits_in_the_ledger() {
    let bed = Bed::new().await;
    let age = async || bed.engine.stats().await.unwrap().queue.oldest_age_ms;
    assert_eq!(age().await, 0);
    let held = conformance::accepted(&*bed.engine, replacement(UserId::new())).await;
    let claim = conformance::claim_one(&*bed.engine).await;
    assert_eq!(claim.lease.task, held.id);
    sleep(Duration::from_millis(50)).await;
    assert_eq!(age().await, 0, "nobody waits: it is being worked on");
    bed.engine.set_paused(true).await.unwrap();
    conformance::accepted(&*bed.engine, replacement(UserId::new())).await;
    let begun = tokio::time::Instant::now();
    // As long as it takes until Redis knows nothing: the age goes on all the same.
    for _ in 0..3 {
        bed.forget().await;
        bed.engine.extend(&[claim.lease], Duration::from_secs(60)).await.unwrap();
        eventually("it grows", async || age().await >= 20).await;
    }
    assert!(u128::from(age().await) <= begun.elapsed().as_millis() + 1_000, "the one that is worked on does not count");
}
