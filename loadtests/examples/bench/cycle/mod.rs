//! The whole cycle under load: `add` tasks through HTTP, settled by the workers, announced to a watcher.

mod beside;

use std::time::{Duration, Instant};

use crate::adds::Adds;
use crate::given::{Engine, Given};
use crate::platform::ms;
use crate::wrk::Measured;
use crate::{Failed, report};

const CONNECTIONS: u32 = 512;
/// End to end, measured with the original Python system on a machine like this (docs/performance.md).
const ORIGINAL: f64 = 226.0;

/// What a stretch of load found.
struct Cycle {
    seconds: u32,
    accepts: Measured,
    /// Settled a second while orders came in.
    sustained: f64,
    /// All that was accepted.
    settled: u64,
    /// From the first order until all of them were settled.
    all: Duration,
}

impl Cycle {
    /// Settled a second from the first order until nothing was left.
    fn overall(&self) -> f64 {
        self.settled as f64 / self.all.as_secs_f64()
    }
}

impl std::fmt::Display for Cycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} s, {CONNECTIONS} connections: accepted {:.0}/s (p99 {}), settled {:.0}/s meanwhile, all {} settled after \
             {:.1} s = {:.0}/s over all",
            self.seconds,
            self.accepts.rate,
            ms(self.accepts.p99),
            self.sustained,
            self.settled,
            self.all.as_secs_f64(),
            self.overall(),
        )
    }
}

pub(crate) async fn run(given: Given) -> Result<(), Failed> {
    match given.engine {
        Engine::Embedded => {
            let cycle = measure(given).await?;
            report!("{cycle}");
            let rate = cycle.sustained;
            report!("whole cycle: {rate:.0}/s sustained, {:.0} times the original's {ORIGINAL}/s", rate / ORIGINAL);
            Ok(())
        }
        Engine::Cluster => beside::run(given).await,
    }
}

/// On a new platform.
async fn measure(given: Given) -> Result<Cycle, Failed> {
    let seconds = given.pick(30, 4);
    let platform = given.platform().await?;
    let adds = Adds::to(&platform)?;
    let begun = Instant::now();
    let accepts = adds.send(CONNECTIONS, seconds).await?;
    let during = begun.elapsed();
    let settled = platform.client.stats().await?.settled_total;
    let sustained = settled as f64 / during.as_secs_f64();
    let deadline = Instant::now() + Duration::from_secs(120);
    let settled = loop {
        let stats = platform.client.stats().await?;
        if stats.settled_total == stats.accepted_total {
            break stats.settled_total;
        }
        if Instant::now() > deadline {
            return Err("the backlog did not drain in two minutes".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let all = begun.elapsed();
    platform.stop().await?;
    Ok(Cycle { seconds, accepts, sustained, settled, all })
}
