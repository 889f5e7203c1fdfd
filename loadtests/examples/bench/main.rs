//! Measures the platform against what it promises; every figure in `docs/performance.md` comes from here.
//!
//! `cargo build --release && cargo run --release -p card-loadtests --example bench -- WHAT`
//!
//! Each part starts the built `cardctl` with a state directory of its own on a free port, measures, and takes it down.
//! Where a figure is a ratio, both sides run in the same call. `accepts` and `cycle` need `wrk` (Debian package);
//! `peers` needs `redis-server`, `python3`, `node` and `npm`, and installs its tools on first use.

mod accepts;
mod audit;
mod backlog;
mod cycle;
mod footprint;
mod generator;
mod hashing;
mod hello;
mod latency;
mod peers;
mod platform;
mod stall;
mod steps;
mod streams;
mod wrk;

use tokio::signal::unix::{SignalKind, signal};

/// What went wrong; a benchmark stops at the first.
type Failed = Box<dyn std::error::Error + Send + Sync>;

const PARTS: &str = "accepts | cycle | latency | backlog | footprint | streams | hashing | generator | stall | steps | audit | all | peers";

/// Reports a line of the result.
#[macro_export]
macro_rules! report {
    ($($text:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stdout(), $($text)*)?;
    }};
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut terminate = signal(SignalKind::terminate())?;
    // Whoever interrupts finds nothing left running: what a part has started ends when it is dropped.
    tokio::select! {
        result = measure() => result,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
    }
}

async fn measure() -> Result<(), Failed> {
    let part = std::env::args().nth(1).unwrap_or_default();
    match part.as_str() {
        "accepts" => accepts::run().await,
        "cycle" => cycle::run().await,
        "latency" => latency::run().await,
        "backlog" => backlog::run().await,
        "footprint" => footprint::run().await,
        "streams" => streams::run().await,
        "hashing" => hashing::run().await,
        "all" => {
            footprint::run().await?;
            latency::run().await?;
            accepts::run().await?;
            cycle::run().await?;
            hashing::run().await?;
            streams::run().await?;
            generator::run().await?;
            stall::run().await?;
            steps::run().await?;
            audit::run().await?;
            backlog::run().await
        }
        "generator" => generator::run().await,
        "stall" => stall::run().await,
        "steps" => steps::run().await,
        "audit" => audit::run().await,
        // Not among all: it installs what others wrote.
        "peers" => peers::part(&std::env::args().skip(2).collect::<Vec<_>>()).await,
        "generate" => generator::generate(&std::env::args().skip(2).collect::<Vec<_>>()).await,
        "hello" => hello::serve().await,
        _ => Err(format!("which part? {PARTS}").into()),
    }
}
