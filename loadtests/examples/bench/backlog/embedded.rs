//! On the embedded engine: latencies, memory, and processor time for each task.

use std::time::Duration;

use super::{BACKLOG, drain};
use crate::adds::Adds;
use crate::given::Given;
use crate::platform::{Platform, ms};
use crate::{Failed, report};

pub(super) async fn run(given: Given) -> Result<(), Failed> {
    let (backlog, part) = (given.pick(BACKLOG, 20_000), given.pick(100_000, 5_000));
    let platform = given.platform().await?;
    let adds = Adds::to(&platform)?;
    platform.client.set_paused(true).await?;
    let before = adds.send(16, 4).await?;
    let small = drained(&platform, part).await?;
    adds.send(256, 3).await?;
    let middle = drained(&platform, part).await?;
    while platform.client.stats().await?.queue.ready < backlog {
        adds.send(256, 3).await?;
    }
    let after = adds.send(16, 4).await?;
    let queued = platform.client.stats().await?.queue.ready;
    report!(
        "accept, 16 connections: empty p50 {} p99 {}; on top of {queued} queued p50 {} p99 {}",
        ms(before.p50),
        ms(before.p99),
        ms(after.p50),
        ms(after.p99)
    );
    report!("resident with {queued} queued: {:.0} MB", platform.resident()?);
    let large = drained(&platform, queued / 2).await?;
    report!(
        "claimed and settled: {small}; then {middle}; out of {queued}: {large}; resident {:.0} MB",
        platform.resident()?
    );
    platform.stop().await
}

/// How fast, and at what cost.
struct Drained {
    tasks: u64,
    rate: f64,
    processor: Duration,
}

impl std::fmt::Display for Drained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = self.processor.as_secs_f64() * 1e6 / self.tasks as f64;
        write!(f, "{} at {:.0}/s, {each:.1} us of processor time each", self.tasks, self.rate)
    }
}

async fn drained(platform: &Platform, at_most: u64) -> Result<Drained, Failed> {
    let used = platform.processor()?;
    let (tasks, took) = drain::drain(platform, at_most).await?;
    let processor = platform.processor()?.saturating_sub(used);
    Ok(Drained { tasks, rate: tasks as f64 / took.as_secs_f64(), processor })
}
