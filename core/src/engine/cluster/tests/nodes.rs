//! More than one Redis: a Redis Cluster, and a master that sentinels replace.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::engine::Signal;
use crate::engine::conformance::{accepted, add, claim_one, replacement};
use crate::ids::UserId;
use crate::testing::{RedisCluster, Sentinels};

/// The shards by the nodes that hold keys of them: shard to the numbers of nodes.
fn placement(cluster: &RedisCluster, prefix: &str) -> HashMap<String, HashSet<usize>> {
    let mut places = HashMap::<String, HashSet<usize>>::new();
    for (number, url) in cluster.node_urls().into_iter().enumerate() {
        let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{{{prefix}:*")).query(&mut connection).unwrap();
        for key in keys {
            let shard = key.split_once('}').unwrap().0.to_owned();
            places.entry(shard).or_default().insert(number);
        }
    }
    places
}

async fn all_settled(bed: &Bed, tasks: usize) {
    let stats = bed.engine.stats().await.unwrap();
    assert_eq!((stats.settled_total, stats.accepted_total), (tasks as u64, tasks as u64));
    assert_eq!((stats.queue.ready, stats.queue.dead), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_does_the_same_and_a_node_that_comes_back_empty_only_delays() {
    const TASKS: usize = 400;
    let cluster = RedisCluster::start(3);
    let bed = start_with(Database::create(), cluster.url(), |_| {}).await;
    let other = bed.beside().await;
    accept_all(&bed.engine, (0..TASKS).map(|_| replacement(UserId::new())).collect()).await;
    eventually("all shards have tasks", async || placement(&cluster, bed.database.prefix()).len() == 8).await;
    let places = placement(&cluster, bed.database.prefix());
    assert!(places.values().all(|nodes| nodes.len() == 1), "all keys of a shard are on one node: {places:?}");
    let nodes: HashSet<_> = places.values().flatten().collect();
    assert!(nodes.len() > 1, "shards are on several nodes: {places:?}");

    let tally = Tally::default();
    let workers = [&bed.engine, &other].map(|engine| tokio::spawn(work(Arc::clone(engine), tally.clone(), TASKS)));
    for worker in workers {
        worker.await.unwrap();
    }
    all_settled(&bed, TASKS).await;

    // Whichever nodes the two listen to, they hear each other.
    let wakeups = bed.engine.wakeups(&EventFilter::default());
    let mut begun = Vec::new();
    eventually("a task that runs elsewhere is announced", async || {
        accepted(&*other, add()).await;
        begun.push(claim_one(&*other).await);
        let hearing = async {
            loop {
                if let Signal::Transient(_) = wakeups.signal().await {
                    break;
                }
            }
        };
        timeout(Duration::from_millis(300), hearing).await.is_ok()
    })
    .await;
    for claim in &begun {
        assert_eq!(
            bed.engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap(),
            Settled::Applied
        );
    }

    let before = TASKS + begun.len();
    accept_all(&bed.engine, (0..TASKS / 2).map(|_| replacement(UserId::new())).collect()).await;
    cluster.kill_node(1);
    accept_all(&bed.engine, (0..TASKS / 2).map(|_| replacement(UserId::new())).collect()).await;
    cluster.start_node_again(1);
    work(Arc::clone(&other), Tally::default(), TASKS).await;
    all_settled(&bed, before + TASKS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_dies_at_work_is_replaced_and_everything_settles() {
    const TASKS: usize = 900;
    let sentinels = Sentinels::start();
    let bed = start_with(Database::create(), sentinels.url(), |_| {}).await;
    let other = bed.beside().await;
    let tally = Tally::default();
    let workers = [&bed.engine, &other].map(|engine| tokio::spawn(work(Arc::clone(engine), tally.clone(), TASKS)));
    accept_all(&bed.engine, (0..TASKS / 3).map(|_| replacement(UserId::new())).collect()).await;
    let dead = sentinels.kill_master();
    accept_all(&bed.engine, (0..TASKS / 3).map(|_| replacement(UserId::new())).collect()).await;
    let master = sentinels.wait_for_another_master(dead);
    assert_ne!(master, dead);
    accept_all(&other, (0..TASKS / 3).map(|_| add()).collect()).await;
    for worker in workers {
        worker.await.unwrap();
    }
    all_settled(&bed, TASKS).await;
}
