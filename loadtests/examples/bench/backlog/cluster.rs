//! On the cluster: the same rates at a thousand and at a million queued, the size of both stores, and the plans.
//!
//! Rates of working off are by the ledger's own clock, from the first claim to the last settle, so that neither the
//! resume nor our looking is in them.

use card_core::testing::PostgresOptions;

use super::{BACKLOG, burst, drain, ledger, plans};
use crate::adds::Adds;
use crate::cluster::Services;
use crate::given::Given;
use crate::platform::{Platform, ms};
use crate::wrk::Measured;
use crate::{Failed, report};

const FEW: u64 = 1_000;

/// At one size of the backlog.
struct Found {
    /// Many connections, for the rate.
    flood: Measured,
    /// Few, for the latency.
    calm: Measured,
    worked_off: f64,
    redis_mb: f64,
}

pub(super) async fn run(given: Given) -> Result<(), Failed> {
    let services = Services::start(plans::logged(PostgresOptions::tuned()));
    let platform = Platform::on_services(services, 1, 1, &[]).await?;
    platform.client.set_paused(true).await?;
    let few = few(&platform, given).await?;
    let adds = Adds::to(&platform)?;
    let wanted = given.pick(BACKLOG, 20_000);
    while platform.client.stats().await?.queue.ready < wanted {
        adds.send(256, 3).await?;
    }
    let many = many(&platform, &adds, given).await?;
    report!("{:<44}{:>12}{:>12}{:>10}", "queued", FEW, wanted, "ratio");
    for (what, figure) in ROWS {
        let (before, after) = (figure(&few), figure(&many));
        report!("{what:<44}{before:>12.2}{after:>12.2}{:>10.2}", after / before);
    }
    platform.stop().await
}

/// A row's name, and its figure.
type Row = (&'static str, fn(&Found) -> f64);

const ROWS: [Row; 5] = [
    ("accepted/s, 256 connections", |found| found.flood.rate),
    ("accept p50 ms, 16 connections", |found| found.calm.p50.as_secs_f64() * 1e3),
    ("accept p99 ms, 16 connections", |found| found.calm.p99.as_secs_f64() * 1e3),
    ("claimed and settled/s", |found| found.worked_off),
    ("Redis used_memory, MB", |found| found.redis_mb),
];

/// Begins with a thousand.
async fn few(platform: &Platform, given: Given) -> Result<Found, Failed> {
    let mut ledger = platform.services()?.connect().await?;
    let mut rates = Vec::new();
    // Short ones, many times. The first warm everything up.
    for _ in 0..given.pick(30, 5) {
        burst::send(&platform.client, FEW).await?;
        let place = ledger::place(&mut ledger).await?;
        drain::drain(platform, FEW).await?;
        rates.push(ledger::pace(&mut ledger, place).await?.rate);
    }
    rates.sort_by(f64::total_cmp);
    let worked_off = rates[rates.len() / 2];
    report!(
        "{} times {FEW} queued: claimed and settled, slowest {:.0}/s, median {worked_off:.0}/s, fastest {:.0}/s",
        rates.len(),
        rates[0],
        rates[rates.len() - 1]
    );
    burst::send(&platform.client, FEW).await?;
    let redis_mb = platform.services()?.redis_memory().await?;
    let adds = Adds::to(platform)?;
    let calm = adds.send(16, 4).await?;
    drain::drain(platform, u64::MAX).await?;
    burst::send(&platform.client, FEW).await?;
    let flood = adds.send(256, 4).await?;
    drain::drain(platform, u64::MAX).await?;
    Ok(Found { flood, calm, worked_off, redis_mb })
}

/// On top of what is queued; half of it is worked off.
async fn many(platform: &Platform, adds: &Adds, given: Given) -> Result<Found, Failed> {
    let services = platform.services()?;
    let mut ledger = services.connect().await?;
    let log = plans::Log::since_now(&services.postgres)?;
    let queued = platform.client.stats().await?.queue.ready;
    let redis_mb = services.redis_memory().await?;
    report!("{queued} queued: Redis {redis_mb:.0} MB; Postgres:\n{}", ledger::sizes(&mut ledger).await?.join("\n"));
    let flood = adds.send(256, given.pick(4, 2)).await?;
    let calm = adds.send(16, given.pick(4, 2)).await?;
    report!("on top of them: accept p50 {} p99 {} with 16 connections", ms(calm.p50), ms(calm.p99));
    let place = ledger::place(&mut ledger).await?;
    drain::drain(platform, queued / 2).await?;
    let pace = ledger::pace(&mut ledger, place).await?;
    report!(
        "{} of them claimed and settled at {:.0}/s; Redis {:.0} MB; Postgres:\n{}",
        pace.tasks,
        pace.rate,
        services.redis_memory().await?,
        ledger::sizes(&mut ledger).await?.join("\n")
    );
    show(&log.read()?)?;
    Ok(Found { flood, calm, worked_off: pace.rate, redis_mb })
}

/// The ways that were taken to tables, and the plans that nobody wants.
fn show(found: &plans::Plans) -> Result<(), Failed> {
    report!("{} plans since there were so many:", found.looked_at);
    for (statement, ways) in &found.ways {
        let ways: Vec<_> = ways.iter().map(String::as_str).collect();
        report!("  {statement}\n    {}", ways.join("; "));
    }
    if found.whole_reads.is_empty() {
        report!("none reads all of tasks or events, be it by a Seq Scan or by an index");
    }
    for (statement, plan) in &found.whole_reads {
        report!("READS THE WHOLE: {statement}\n{plan}");
    }
    Ok(())
}
