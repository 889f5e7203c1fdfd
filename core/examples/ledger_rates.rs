//! What an engine does by itself, without HTTP: durable accepts a second, and claim and settle rates at a small and at a
//! large backlog.
//!
//! `cargo run --release -p card-core --features testing --example ledger_rates [-- BACKLOG [cluster]]` (default 1,000,000
//! on the embedded engine; `cluster` starts a Postgres and a Redis of its own; the variable BATCH
//! sets `ledger.batch-limit`)

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use card_core::engine::{ClaimRequest, Engine, KnownKind, cluster, sqlite};
use card_core::ids::{TaskId, UserId, WorkerId};
use card_core::settings::Settings;
use card_core::tasks::{End, Kind, NewTask, Outcome, Priority};
use card_core::testing::{Postgres, PostgresOptions, Redis};
use serde_json::value::to_raw_value;

const CALLERS: usize = 512;
const ADD: KnownKind = KnownKind { code: 1, kind: Kind::new("add"), has_effect: false };

fn task() -> NewTask {
    NewTask {
        id: TaskId::new(),
        kind: ADD.kind,
        owner: Some(UserId::new()),
        run: None,
        payload: to_raw_value(&(1, 2)).expect("two numbers are JSON"),
        exclusive: None,
        idempotency: None,
        priority: Priority::Normal,
        due_at: None,
    }
}

/// Accepts `total` tasks from [`CALLERS`] concurrent callers; returns tasks a second and the 99th percentile.
async fn accept(engine: &Arc<dyn Engine>, total: u64, exclusive: bool) -> (f64, Duration) {
    let left = Arc::new(AtomicU64::new(total));
    let begun = Instant::now();
    let callers = (0..CALLERS).map(|_| {
        let (engine, left) = (Arc::clone(engine), Arc::clone(&left));
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                let begun = Instant::now();
                let mut new = task();
                new.exclusive = exclusive.then(|| format!("replacement:{}", new.owner.expect("each has one")));
                engine.accept(new).await.expect("the disk takes it");
                latencies.push(begun.elapsed());
            }
            latencies
        })
    });
    let mut latencies = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        latencies.extend(caller.await.expect("no panic"));
    }
    let rate = total as f64 / begun.elapsed().as_secs_f64();
    latencies.sort_unstable();
    (rate, latencies[latencies.len() * 99 / 100])
}

/// Claims and settles `total` tasks; returns tasks a second.
async fn drain(engine: &Arc<dyn Engine>, total: usize) -> f64 {
    let begun = Instant::now();
    let (done, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(std::sync::OnceLock::new()));
    let workers = (0..4).map(|_| {
        let (engine, done, ended) = (Arc::clone(engine), Arc::clone(&done), Arc::clone(&ended));
        tokio::spawn(async move {
            let request = ClaimRequest {
                worker: WorkerId::new(),
                host: "bench".into(),
                kinds: vec![ADD.kind],
                max: 128,
                lease: Duration::from_secs(30),
                wait: Duration::from_millis(50),
                most: std::collections::BTreeMap::new(),
                enough: None,
            };
            while done.load(Ordering::Relaxed) < total as u64 {
                let claims = engine.claim(&request).await.expect("the engine is open");
                let settles = claims.into_iter().map(|claim| {
                    let engine = Arc::clone(&engine);
                    tokio::spawn(async move {
                        let result = to_raw_value(&3).expect("a number is JSON");
                        let outcome = Outcome::Succeeded { result, effect: None };
                        engine
                            .end(&claim.lease, claim.started_at, End::Settle(outcome))
                            .await
                            .expect("the disk takes it");
                    })
                });
                for settle in settles.collect::<Vec<_>>() {
                    settle.await.expect("no panic");
                    if done.fetch_add(1, Ordering::Relaxed) + 1 == total as u64 {
                        // The other workers still wait for what will not come.
                        let _ = ended.set(begun.elapsed());
                    }
                }
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.expect("no panic");
    }
    total as f64 / ended.get().copied().unwrap_or_else(|| begun.elapsed()).as_secs_f64()
}

fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a benchmark reports on stdout")]
async fn main() {
    let backlog: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut settings = Settings::default();
    settings.ledger.batch_limit =
        std::env::var("BATCH").ok().and_then(|text| text.parse().ok()).unwrap_or(settings.ledger.batch_limit);
    let is_cluster = std::env::args().nth(2).is_some_and(|name| name == "cluster");
    let servers = is_cluster.then(|| (Postgres::start(PostgresOptions::tuned()), Redis::start()));
    let store = match &servers {
        Some((postgres, redis)) => {
            let address = cluster::Address { database: postgres.url("postgres"), redis: redis.url() };
            cluster::open(&address, &settings, &[ADD]).await.expect("opens")
        }
        None => sqlite::open(&dir.path().join("ledger.db"), &settings.ledger, &[ADD]).await.expect("opens"),
    };
    let engine = store.engine;
    let (rate, p99) = accept(&engine, 200_000, true).await;
    println!("accept, exclusive, {CALLERS} callers: {rate:.0}/s, p99 {p99:.1?}");
    let rate = drain(&engine, 200_000).await;
    println!("claim and settle, 200,000 queued: {rate:.0}/s");
    for queued in [1_000, backlog] {
        let (rate, p99) = accept(&engine, queued, false).await;
        println!("{queued} queued: accepted at {rate:.0}/s, p99 {p99:.1?}, resident {:.0} MB", resident_mb());
        if queued == 1_000 {
            let rate = drain(&engine, 1_000).await;
            println!("{queued} queued: claim and settle {rate:.0}/s");
            let mut rates = Vec::new();
            for _ in 0..50 {
                accept(&engine, 1_000, false).await;
                rates.push(drain(&engine, 1_000).await);
            }
            rates.sort_by(f64::total_cmp);
            println!("{queued} queued, 50 times: claim and settle, median {:.0}/s", rates[25]);
            continue;
        }
        let (rate, p99) = accept(&engine, 50_000, false).await;
        println!("on top of {queued}: accepted at {rate:.0}/s, p99 {p99:.1?}");
        let rate = drain(&engine, usize::try_from(queued / 2).unwrap_or(0)).await;
        println!("{queued} queued, the first half: claim and settle {rate:.0}/s, resident {:.0} MB", resident_mb());
    }
    engine.close().await;
}
