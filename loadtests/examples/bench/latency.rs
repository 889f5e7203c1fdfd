//! On an idle platform: from the submit to the moment the watcher knows the final status.

use std::time::{Duration, Instant};

use card_client::observer::Observer;
use card_client::{Accept, Caller, Order};
use card_core::ids::RunId;
use card_kinds::add::{Add, Addition};

use crate::given::Given;
use crate::platform::{ms, percentile};
use crate::{Failed, report};

pub(crate) async fn run(given: Given) -> Result<(), Failed> {
    let submits = given.pick(1_000, 100);
    let platform = given.platform().await?;
    let run = RunId::new();
    let observer = Observer::start(&platform.client, &run, Duration::from_secs(5), |_, _| {}).await?;
    let mut latencies = Vec::new();
    for number in 0..submits {
        let order = Order::of::<Addition>(&Add { x: number, y: 1 });
        let begun = Instant::now();
        let accept = Accept { caller: Caller::Operator, run: Some(&run), key: None };
        let task = platform.client.accept(&order, accept).await?;
        observer.final_of(task.id).await.ok_or("the stream was lost")?;
        latencies.push(begun.elapsed());
        // Idle in between: no two submits share a commit.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    latencies.sort_unstable();
    report!(
        "idle, submit to final status known by the watcher: p50 {}, p95 {}, p99 {} ({submits} submits)",
        ms(percentile(&latencies, 0.5)),
        ms(percentile(&latencies, 0.95)),
        ms(percentile(&latencies, 0.99)),
    );
    platform.stop().await
}
