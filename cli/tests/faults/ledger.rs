//! Postgres crashes, its disk stays.

use std::time::Duration;

use card_client::{Accept, Caller, Order};
use card_core::problem::Code;
use card_core::testing::Shutdown;
use card_kinds::add::{Add, Addition};
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
    platform.prove(1_200, load.ends().await, parts).await;
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
    platform.prove(800, load.ends().await, parts).await;
}

/// The load test takes no for an answer, so a request whose fate is not known must not pass for a refusal: it may be there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_away_for_long_refuses_what_it_does_not_take() {
    let platform = Platform::start(Duration::from_millis(20)).await;
    let parts = [platform.server("server").await, platform.worker("worker").await];
    let load = platform.load_test(40, "10s");
    platform.until_accepted(200).await;
    platform.postgres.stop(Shutdown::Immediate);
    until_refused(&platform).await;
    platform.postgres.start_again();
    let load = load.ends().await.document;
    let correctness = &load["correctness"];
    for what in ["lost", "duplicate", "stuck", "unverified"] {
        assert_eq!(correctness[what], 0, "{what}: {correctness}\n{}", platform.logs());
    }
    let refused = load["errors"]["by_code"].as_object().unwrap();
    assert!(refused.contains_key("unavailable"), "{refused:?}");
    assert!(refused.keys().all(|code| ["unavailable", "outcome-unknown"].contains(&code.as_str())), "{refused:?}");
    let found = platform.prove_run(load["run"].as_str().unwrap(), parts).await.len() as u64;
    let (accepted, unanswered) =
        (correctness["accepted"].as_u64().unwrap(), correctness["unanswered"].as_u64().unwrap_or(0));
    assert!((accepted..=accepted + unanswered).contains(&found), "{found}: {correctness}");
}

/// An accept is answered with 503, in time, and says when to come again.
async fn until_refused(platform: &Platform) {
    let deadline = Instant::now() + PATIENCE;
    let order = Order::of::<Addition>(&Add { x: 1, y: 1 });
    while Instant::now() < deadline {
        let sent = platform.client.accept(&order, Accept { caller: Caller::Operator, key: None, run: None }).await;
        let error = sent.expect_err("Postgres is unreachable, so nothing can be accepted");
        if error.code() == Some(Code::Unavailable) && error.retry_after().is_some() {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("accepts are not refused\n{}", platform.logs());
}
