//! A slow kind beside a fast one: how long an `add` takes from its submit until the watcher knows its final status, on a
//! platform that has nothing else to do, and on one with a thousand replacements queued, each of whose calls of the issuer
//! takes ten seconds. By turns, on two platforms that run at the same time.

use std::time::{Duration, Instant};

use card_client::observer::Observer;
use card_client::{Accept, Caller, Order, Token};
use card_core::ids::RunId;
use card_kinds::add::{Add, Addition};
use card_kinds::replacement::{CardReplacement, Reason, Replacement};

use crate::given::{Engine, Given};
use crate::platform::{Platform, ms, percentile};
use crate::{Failed, report};

const SLOW: [(&str, &str); 3] = [
    ("CARDCTL_ISSUER_LATENCY_P50", "10s"),
    ("CARDCTL_ISSUER_LATENCY_P99", "10s"),
    ("CARDCTL_WORKER_ISSUER_TIMEOUT", "20s"),
];

/// One of the two platforms.
struct Side {
    platform: Platform,
    run: RunId,
    observer: Observer,
    latencies: Vec<Duration>,
}

pub(crate) async fn run(given: Given) -> Result<(), Failed> {
    let queued = given.pick(1_000, 100);
    let (mut alone, mut beside) = (side(given).await?, side(given).await?);
    for token in beside.platform.tokens(queued).await? {
        let order = Order::of::<CardReplacement>(&Replacement { reason: Reason::Lost });
        let token = Token::new(token);
        let accept = Accept { caller: Caller::User(&token), run: None, key: None };
        beside.platform.client.accept(&order, accept).await?;
    }
    for number in 0..given.pick(2_000, 100) {
        alone.submit(number).await?;
        beside.submit(number).await?;
    }
    let left = beside.platform.client.stats().await?;
    let [alone_p95, beside_p95] = [&mut alone, &mut beside].map(Side::p95);
    report!(
        "submit to final status of an add, p95: alone {}, beside {queued} calls of 10 s {} ({:+.0} %); {} of them wait, {} run",
        ms(alone_p95),
        ms(beside_p95),
        100.0 * (beside_p95.as_secs_f64() / alone_p95.as_secs_f64() - 1.0),
        left.queue.ready,
        left.queue.running,
    );
    if left.queue.ready == 0 {
        return Err("nothing waited any more: the figures compare nothing".into());
    }
    alone.platform.stop().await?;
    beside.platform.stop().await
}

async fn side(given: Given) -> Result<Side, Failed> {
    let platform = match given.engine {
        Engine::Embedded => Platform::start_with(&SLOW).await?,
        Engine::Cluster => Platform::on_cluster(1, 1, &SLOW).await?,
    };
    let run = RunId::new();
    let observer = Observer::start(&platform.client, &run, Duration::from_secs(5), |_, _| {}).await?;
    Ok(Side { platform, run, observer, latencies: Vec::new() })
}

impl Side {
    async fn submit(&mut self, number: i64) -> Result<(), Failed> {
        let order = Order::of::<Addition>(&Add { x: number, y: 1 });
        let begun = Instant::now();
        let accept = Accept { caller: Caller::Operator, run: Some(&self.run), key: None };
        let task = self.platform.client.accept(&order, accept).await?;
        self.observer.final_of(task.id).await.ok_or("the stream was lost")?;
        self.latencies.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(())
    }

    fn p95(&mut self) -> Duration {
        self.latencies.sort_unstable();
        percentile(&self.latencies, 0.95)
    }
}
