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
