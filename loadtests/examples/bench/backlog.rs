//! A million queued tasks: accept latency, memory, and the rate at which they are worked off.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::accepts::SCRIPT;
use crate::platform::{Platform, ms};
use crate::{Failed, report, wrk};

const BACKLOG: u64 = 1_000_000;

pub(crate) async fn run() -> Result<(), Failed> {
    let platform = Platform::start().await?;
    let mut tokens = tempfile::NamedTempFile::new()?;
    writeln!(tokens, "{}", platform.token)?;
    let tokens = tokens.path().to_string_lossy().into_owned();
    let script = [SCRIPT, &tokens, "/api/v1/tasks", r#"{"kind":"add","payload":{"x":20,"y":22}}"#];
    platform.client.set_paused(true).await?;
    let before = wrk::run(&platform.url, 16, 4, &script).await?;
    let small = drain(&platform, 100_000).await?;
    wrk::run(&platform.url, 256, 3, &script).await?;
    let middle = drain(&platform, 100_000).await?;
    while platform.client.stats().await?.queue.ready < BACKLOG {
        wrk::run(&platform.url, 256, 3, &script).await?;
    }
    let after = wrk::run(&platform.url, 16, 4, &script).await?;
    let queued = platform.client.stats().await?.queue.ready;
    report!(
        "accept, 16 connections: empty p50 {} p99 {}; on top of {queued} queued p50 {} p99 {}",
        ms(before.p50),
        ms(before.p99),
        ms(after.p50),
        ms(after.p99)
    );
    report!("resident with {queued} queued: {:.0} MB", platform.resident()?);
    let large = drain(&platform, queued / 2).await?;
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

/// Resumes until so many more are settled, pauses again.
async fn drain(platform: &Platform, at_most: u64) -> Result<Drained, Failed> {
    let first = platform.client.stats().await?;
    let wanted = at_most.min(first.queue.ready);
    let (begun, used) = (Instant::now(), platform.processor()?);
    platform.client.set_paused(false).await?;
    let deadline = begun + Duration::from_secs(120);
    loop {
        let tasks = platform.client.stats().await?.settled_total - first.settled_total;
        if tasks >= wanted {
            let rate = tasks as f64 / begun.elapsed().as_secs_f64();
            let processor = platform.processor()?.saturating_sub(used);
            platform.client.set_paused(true).await?;
            return Ok(Drained { tasks, rate, processor });
        }
        if Instant::now() > deadline {
            return Err("too slow".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
