//! Measures the platform against what it promises; every figure in `docs/performance.md` comes from here.
//!
//! `cargo build --profile dist && cargo run --profile dist -p card-loadtests --example bench -- PART [cluster] [quick]`
//!
//! Each part starts the built `cardctl` with a state directory of its own on a free port, measures, and takes it down.
//! Where a figure is a ratio, both sides run in the same call. On the cluster engine each platform has a new Postgres,
//! with `fsync` and `synchronous_commit` on, and a new Redis that keeps nothing. `quick` tries the code in a minute; its
//! figures say nothing.
//!
//! `accepts`, `cycle` and `backlog` need `wrk`, the cluster `postgresql` and `redis-server` (Debian packages). `peers`,
//! which is in `cycle cluster`, needs `redis-server`, `python3`, `node` and `npm`, and installs its tools on first use.

mod accepts;
mod adds;
mod audit;
mod autoscale;
mod backlog;
mod beside;
mod cluster;
mod cycle;
mod footprint;
mod generator;
mod given;
mod hashing;
mod hello;
mod latency;
mod part;
mod peers;
mod platform;
mod scaling;
mod shop;
mod stall;
mod steps;
mod streams;
mod takeover;
mod wrk;

use tokio::signal::unix::{SignalKind, signal};

use crate::given::Given;

/// What went wrong; a benchmark stops at the first.
type Failed = Box<dyn std::error::Error + Send + Sync>;

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
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let words: Vec<String> = arguments.collect();
    match name.as_str() {
        // With words of their own.
        "autoscale" => autoscale::run(&words).await,
        "peers" => peers::part(&words).await,
        // What parts start again as a process of its own.
        "generate" => generator::generate(&words).await,
        "hello" => hello::serve().await,
        name => part::run(name, Given::read(&words)?).await,
    }
}
