//! The whole cycle under load: `add` tasks through HTTP, settled by the workers, announced to a watcher.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::accepts::SCRIPT;
use crate::platform::{Platform, ms};
use crate::{Failed, report, wrk};

const SECONDS: u32 = 30;
/// End to end, measured with the original Python system on a machine like this (docs/performance.md).
const ORIGINAL: f64 = 226.0;

pub(crate) async fn run() -> Result<(), Failed> {
    let platform = Platform::start().await?;
    let mut tokens = tempfile::NamedTempFile::new()?;
    writeln!(tokens, "{}", platform.token)?;
    let tokens = tokens.path().to_string_lossy().into_owned();
    let begun = Instant::now();
    let script = [SCRIPT, &tokens, "/api/v1/tasks", r#"{"kind":"add","payload":{"x":20,"y":22}}"#];
    let accepts = wrk::run(&platform.url, 512, SECONDS, &script).await?;
    let during = begun.elapsed();
    let settled = platform.client.stats().await?.settled_total;
    let rate = settled as f64 / during.as_secs_f64();
    let deadline = Instant::now() + Duration::from_secs(120);
    let end = loop {
        let stats = platform.client.stats().await?;
        if stats.settled_total == stats.accepted_total {
            break stats;
        }
        if Instant::now() > deadline {
            return Err("the backlog did not drain in two minutes".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let drained = begun.elapsed();
    report!(
        "{SECONDS} s, 512 connections: accepted {:.0}/s (p99 {}), settled {rate:.0}/s meanwhile, all {} settled after {:.1} s = {:.0}/s over all",
        accepts.rate,
        ms(accepts.p99),
        end.settled_total,
        drained.as_secs_f64(),
        end.settled_total as f64 / drained.as_secs_f64(),
    );
    report!("whole cycle: {rate:.0}/s sustained, {:.0} times the original's {ORIGINAL}/s", rate / ORIGINAL);
    platform.stop().await
}
