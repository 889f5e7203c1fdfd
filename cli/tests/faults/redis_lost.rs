//! Redis forgets, dies, or says nothing.

use std::time::Duration;

use crate::platform::Platform;

const CALL: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_emptied_again_and_again_loses_nothing() {
    let platform = Platform::start(CALL).await;
    let parts = [platform.server("server").await, platform.worker("worker-1").await, platform.worker("worker-2").await];
    let load = platform.load(1_000, 100);
    for flush in 1..=8 {
        platform.until_accepted(flush * 100).await;
        platform.redis.flush_all();
    }
    platform.prove(1_000, load.ends().await, parts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_and_comes_back_empty_loses_nothing() {
    let platform = Platform::start(CALL).await;
    let parts = [platform.server("server").await, platform.worker("worker-1").await, platform.worker("worker-2").await];
    let load = platform.load(1_000, 100);
    for round in 0..2 {
        platform.until_accepted(150 + round * 400).await;
        platform.redis.kill();
        // Accepts go on without it.
        platform.until_accepted(300 + round * 400).await;
        platform.redis.start_again_empty();
    }
    platform.prove(1_000, load.ends().await, parts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_says_nothing_for_10_s_only_delays() {
    let platform = Platform::start(CALL).await;
    let parts = [platform.server("server").await, platform.worker("worker-1").await, platform.worker("worker-2").await];
    let load = platform.load(1_000, 70);
    let before = platform.until_accepted(150).await;
    platform.redis.pause();
    // How long the fault lasts, and no wait for anything.
    tokio::time::sleep(Duration::from_secs(10)).await;
    // Accepts go on without it.
    platform.until_accepted(before.accepted_total + 400).await;
    platform.redis.resume();
    platform.prove(1_000, load.ends().await, parts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_whose_keys_are_evicted_while_it_waits_is_done_all_the_same() {
    let platform = Platform::start(CALL).await;
    let parts = [platform.server("server").await, platform.worker("worker-1").await];
    assert!(platform.cardctl(&["queue", "pause"]).status().await.unwrap().success());
    let load = platform.submit(200, &["-w", "--timeout", "120s"]);
    platform.until_accepted(200).await;
    let waiting = || {
        let keys: Vec<String> = platform.redis.command(&["KEYS", "*:tasks:0"]);
        keys.into_iter().filter(|key| platform.redis.command::<u64>(&["XLEN", key]) > 0).collect::<Vec<_>>()
    };
    platform
        .until("all of them wait in Redis", |_| {
            waiting().iter().map(|key| platform.redis.command::<u64>(&["XLEN", key])).sum::<u64>() == 200
        })
        .await;
    // As an eviction does: these go, and everything that knows of them stays.
    for key in &waiting()[..2] {
        assert_eq!(platform.redis.command::<u64>(&["DEL", key]), 1);
    }
    // The ledger tells how long they wait, whatever Redis knows.
    platform.until("the age goes on", |stats| stats.queue.oldest_age_ms > 1_000).await;
    assert!(platform.cardctl(&["queue", "resume"]).status().await.unwrap().success());
    platform.prove(200, load.ends().await, parts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_demoted_is_away_and_that_is_said_once() {
    let platform = Platform::start(CALL).await;
    let parts = [platform.server("server").await, platform.worker("worker-1").await];
    let load = platform.load(400, 100);
    platform.until_accepted(100).await;
    platform.redis.command::<String>(&["REPLICAOF", "127.0.0.1", "1"]);
    platform.redis.command::<i64>(&["CLIENT", "KILL", "TYPE", "normal"]);
    // Accepts go on without it.
    platform.until_accepted(400).await;
    // How long the fault lasts, and no wait for anything.
    tokio::time::sleep(Duration::from_secs(5)).await;
    platform.redis.command::<String>(&["REPLICAOF", "NO", "ONE"]);
    let load = load.ends().await;
    for name in ["server", "worker-1"] {
        let log = std::fs::read_to_string(platform.log(name)).unwrap();
        let said = |what: &str| log.lines().filter(|line| line.contains(what)).count();
        assert!(said("Redis is unreachable") <= 1 && said("Redis is back") <= 1, "{log}");
        assert!(said("Redis is unreachable") == said("Redis is back"), "{log}");
        assert!(log.lines().count() < 100, "{log}");
    }
    platform.prove(400, load, parts).await;
}
