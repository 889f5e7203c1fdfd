//! Postgres crashes, its disk stays.

use std::time::Duration;

use card_core::problem::Code;
use card_core::tasks::Add;
use card_core::testing::Shutdown;
use card_loadtests::client::{Accept, Caller, Order};
use tokio::time::{Instant, sleep};

use crate::platform::{PATIENCE, Platform};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_crashes_and_comes_back_loses_nothing_and_refuses_meanwhile() {
    let platform = Platform::start(Duration::from_millis(20)).await;
    let parts = [platform.server("server").await, platform.worker("worker-1").await, platform.worker("worker-2").await];
    let load = platform.load(1_200, 100);
    // Quick ones, which nobody needs to be told of.
    for crash in 1..=3 {
        platform.until_accepted(crash * 150).await;
        platform.postgres.restart(Shutdown::Immediate);
    }
    // And one that lasts.
    platform.until_accepted(600).await;
    platform.postgres.stop(Shutdown::Immediate);
    until_refused(&platform).await;
    platform.postgres.start_again();
    platform.prove(load.ends().await, parts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_whose_processes_are_killed_loses_nothing() {
    let platform = Platform::start(Duration::from_millis(20)).await;
    let parts = [platform.server("server").await, platform.worker("worker-1").await, platform.worker("worker-2").await];
    let load = platform.load(800, 100);
    for crash in 1..=3 {
        platform.until_accepted(crash * 150).await;
        platform.postgres.kill();
        platform.postgres.start_again();
    }
    platform.prove(load.ends().await, parts).await;
}

/// An accept is answered with 503, in time, and says when to come again.
async fn until_refused(platform: &Platform) {
    let deadline = Instant::now() + PATIENCE;
    let order = Order::Add(Add { x: 1, y: 1 });
    while Instant::now() < deadline {
        let sent = platform.client.accept(&order, Accept { caller: Caller::Operator, key: None, run: None }).await;
        let error = sent.expect_err("Postgres is away, so nothing can be accepted");
        if error.code() == Some(Code::Unavailable) && error.retry_after().is_some() {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("accepts are not refused\n{}", platform.logs());
}
