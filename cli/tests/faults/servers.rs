//! Servers die, also between the commit and the wake-up.

use std::time::Duration;

use futures::future::join_all;

use crate::platform::Platform;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_accepted_and_never_rang_for_is_found() {
    let platform = Platform::start(Duration::from_millis(20)).await;
    let server = platform.server("server").await;
    // Redis takes no wake-up: the answers don't depend on it.
    platform.redis.pause();
    let sent = platform.submit(300, &["--concurrency", "16"]).ends().await;
    assert_eq!((sent.code, &sent.document["accepted"]), (Some(0), &300.into()), "{}", platform.logs());
    server.kill().await;
    platform.redis.resume();
    // Whatever was under way to Redis has come in when this is answered, and no one is left who could offer.
    let known = platform.known();
    assert!(known < 300, "the server has offered all {known}, so nothing was broken");
    let mut parts = vec![platform.server("server").await];
    parts.push(platform.worker("worker").await);
    let watched = platform.cardctl(&["watch", "--run", sent.run(), "--timeout", "60s", "-o", "jsonl"]).output().await;
    assert_eq!(watched.unwrap().status.code(), Some(0), "{}", platform.logs());
    platform.prove_tasks(sent.run(), &sent.tasks(), parts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_and_four_workers_one_of_each_may_die() {
    let platform = Platform::start(Duration::from_millis(200)).await;
    let (first, second) = (platform.server("server-1").await, platform.server("server-2").await);
    let mut workers =
        join_all(["worker-1", "worker-2", "worker-3", "worker-4"].map(|name| platform.worker(name))).await;
    let load = platform.load(1_000, 100);
    platform.until_accepted(200).await;
    first.kill().await;
    platform.until_accepted(350).await;
    workers.remove(0).kill().await;
    platform.until_accepted(500).await;
    let third = platform.server("server-3").await;
    platform.until_accepted(650).await;
    second.kill().await;
    workers.push(third);
    platform.prove(1_000, load.ends().await, workers).await;
}
