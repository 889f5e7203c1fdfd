//! What a stall of the platform looks like: 2,000 arrivals a second, the platform stopped for 1.5 s in the middle.

use std::time::Duration;

use card_core::ids::RunId;
use card_loadtests::moment::Moment;
use card_loadtests::plan::{Journey, Mix, Model, Plan, Stage, presets};
use card_loadtests::result::Report;
use card_loadtests::run::{Setup, carry_out};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::platform::Platform;
use crate::{Failed, report};

const RATE: f64 = 2000.0;
const SECONDS: u64 = 10;
const STALL: Duration = Duration::from_millis(1500);

pub(crate) async fn run() -> Result<(), Failed> {
    let calm = load(plan(Model::Open, RATE, 20_000), false).await?;
    line("open, no stall", &calm)?;
    let open = load(plan(Model::Open, RATE, 20_000), true).await?;
    line("open, 1.5 s of stall", &open)?;
    let bounded = load(plan(Model::Open, RATE, 50), true).await?;
    line("the same with 50 requests at once", &bounded)?;
    // As many users as make some 2,000 requests a second when nothing stalls.
    let users = (RATE * calm.e2e_ms.mean / 1000.0).ceil();
    let closed = load(plan(Model::Closed, users, 0), true).await?;
    line(&format!("closed, {users} users, 1.5 s of stall"), &closed)
}

fn plan(model: Model, size: f64, max_in_flight: u64) -> Plan {
    Plan {
        model,
        stages: vec![Stage { to: size, over: Duration::ZERO }, Stage { to: size, over: Duration::from_secs(SECONDS) }],
        warm_up: Duration::ZERO,
        journey: Mix::only(Journey::ADD),
        max_in_flight,
        ..presets::custom()
    }
}

async fn load(plan: Plan, stalled: bool) -> Result<Report, Failed> {
    let platform = Platform::start().await?;
    let setup = Setup {
        client: platform.client.clone(),
        target: platform.url.clone(),
        run: RunId::new(),
        seed: 1,
        plan,
        ledger: None,
    };
    let moments = watch::Sender::<Moment>::default();
    let mut seen = moments.subscribe();
    let pid = Pid::from_raw(i32::try_from(platform.pid)?);
    let stall = async {
        if stalled {
            seen.wait_for(|moment| moment.elapsed >= Duration::from_secs(4)).await?;
            kill(pid, Signal::SIGSTOP)?;
            tokio::time::sleep(STALL).await;
            kill(pid, Signal::SIGCONT)?;
        }
        Ok::<(), Failed>(())
    };
    let stop = tokio_util::sync::CancellationToken::new();
    let (report, stalled) = tokio::join!(carry_out(&setup, &moments, &stop), stall);
    stalled?;
    platform.stop().await?;
    Ok(report?)
}

fn line(what: &str, found: &Report) -> Result<(), Failed> {
    let offered =
        found.validity.offered_ratio.map_or_else(String::new, |ratio| format!("{:.2} % offered, ", ratio * 100.0));
    report!(
        "{what}: {offered}{:.0}/s; accept from the intended start p50 {:.1} p95 {:.1} p99 {:.1} ms, as sent p50 {:.1} p95 \
         {:.1} p99 {:.1} ms; audit {:?}",
        found.rates.offered,
        found.accept_intended_ms.p50,
        found.accept_intended_ms.p95,
        found.accept_intended_ms.p99,
        found.accept_ms.p50,
        found.accept_ms.p95,
        found.accept_ms.p99,
        found.correctness.verdict,
    );
    Ok(())
}
