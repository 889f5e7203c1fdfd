//! Cold start, idle cost, size of the binary.

use std::time::Duration;

use crate::platform::{Platform, binary, ms};
use crate::{Failed, report};

const STARTS: usize = 10;
const IDLE: Duration = Duration::from_secs(20);

pub(crate) async fn run() -> Result<(), Failed> {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let platform = Platform::start().await?;
        starts.push(platform.ready);
        platform.stop().await?;
    }
    starts.sort_unstable();
    report!(
        "up -d to ready, new state directory: median {}, worst {} of {STARTS}",
        ms(starts[STARTS / 2]),
        ms(starts[STARTS - 1])
    );
    let platform = Platform::start().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = platform.processor()?;
    tokio::time::sleep(IDLE).await;
    let used = platform.processor()?.saturating_sub(before);
    report!(
        "idle: {:.1} MB resident, {:.2} % of a core",
        platform.resident()?,
        100.0 * used.as_secs_f64() / IDLE.as_secs_f64()
    );
    report!("cardctl: {:.1} MB", std::fs::metadata(binary()?)?.len() as f64 / 1e6);
    platform.stop().await
}
