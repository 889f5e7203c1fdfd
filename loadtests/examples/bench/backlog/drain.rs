//! Works off a part of what is queued.

use std::time::{Duration, Instant};

use crate::Failed;
use crate::platform::Platform;

const LONGEST: Duration = Duration::from_secs(300);

/// Resumes until so many more are settled, or all of them, and pauses again. How many it became, and how long it took as
/// seen from outside.
pub(super) async fn drain(platform: &Platform, at_most: u64) -> Result<(u64, Duration), Failed> {
    let first = platform.client.stats().await?;
    let wanted = at_most.min(first.queue.ready);
    let begun = Instant::now();
    platform.client.set_paused(false).await?;
    loop {
        let tasks = platform.client.stats().await?.settled_total - first.settled_total;
        if tasks >= wanted {
            let took = begun.elapsed();
            platform.client.set_paused(true).await?;
            return Ok((tasks, took));
        }
        if begun.elapsed() > LONGEST {
            return Err(format!("{tasks} of {wanted} tasks were settled within {LONGEST:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
