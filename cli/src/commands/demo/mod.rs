//! `cardctl demo`: the first look. Platform up, twenty requests watched live, a short load with its audit, a verdict,
//! and what to type next.

mod act;
mod script;

use std::time::Duration;

use card_client::latency::Percentiles;
use card_client::orders::Orders;
use card_core::ids::RunId;
use card_kinds::purchase::Purchasing;
use card_kinds::replacement::CardReplacement;
use card_loadtests::result::{Audit, Report, Verdict};
use serde::Serialize;

use crate::client;
use crate::commands::submit::campaign::{Outcome, Plan};
use crate::commands::submit::rate::Rate;
use crate::commands::submit::report;
use crate::commands::up::{Converged, UpArgs, converge};
use crate::context::{Context, endpoint};
use crate::failure::Failure;
use crate::instance::{end, grace};
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl demo                        run the demo and leave the platform running
  cardctl demo --down                 run the demo and stop the platform again";

/// Take a first look: start the platform, request cards and buy, run 10 s of load, print the verdict
///
/// Starts the platform on this machine unless it is running, and leaves it running. Its data is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// Stop the platform at the end, if the demo started it
    #[arg(long)]
    down: bool,
    /// Seed of the generated requests [default: random; printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

const REQUESTS: u64 = 20;
/// Slow enough to be watched.
const PACE: Rate = Rate::a_second(10.0);
const USERS: f64 = 10.0;
const LOAD: Duration = Duration::from_secs(10);
/// Twenty requests take a blink; this is for a machine that is busy with something else.
const REQUESTS_LIMIT: Duration = Duration::from_secs(120);

/// `demo -o json`.
#[derive(Serialize)]
struct Document<'a> {
    verdict: Verdict,
    url: &'a str,
    seed: u64,
    run: &'a RunId,
    load_run: &'a RunId,
    requests: Option<&'a Audit>,
    load: Option<&'a Audit>,
    accept_ms: Percentiles,
    e2e_ms: Percentiles,
    left_running: bool,
    exit: u8,
}

/// Shows it.
///
/// # Errors
/// The platform can't be started, or not be asked.
pub async fn run(args: DemoArgs, context: &Context) -> Result<Exit, Failure> {
    script::title(context)?;
    let converged = converge(&UpArgs::default(), false, context).await?;
    script::platform(&converged, context)?;
    let leaves = !args.down || converged.already_up;
    let shown = show(&args, &converged, leaves, context).await;
    if !leaves {
        let grace = grace(converged.record.target, context.settings.settings.server.drain_timeout);
        end(converged.record.process, grace).await?;
    }
    let exit = shown.map_err(|failure| if leaves { script::left(failure, &converged, context) } else { failure })?;
    script::next(&converged, leaves, context)?;
    Ok(exit)
}

async fn show(args: &DemoArgs, converged: &Converged, leaves: bool, context: &Context) -> Result<Exit, Failure> {
    let client = client::client(&endpoint(&converged.record)?)?;
    let seed = args.seed.unwrap_or_else(Orders::fresh_seed);
    let plan = Plan {
        run: RunId::new(),
        joined: false,
        seed,
        count: REQUESTS,
        concurrency: 4,
        rate: Some(PACE),
        orders: Orders::in_turn::<CardReplacement, Purchasing>(seed),
        follow: true,
        timeout: REQUESTS_LIMIT,
        ledger: None,
    };
    script::requests(&plan, context)?;
    let outcome = act::requests(&client, &plan, context).await?;
    script::requests_done(&outcome, context)?;
    let load_run = RunId::new();
    let url = &converged.record.url;
    if context.stop.is_cancelled() {
        let exit = context.interrupted();
        context.printer.data(&document(&plan, &load_run, &outcome, None, url, leaves, exit))?;
        return Ok(exit);
    }
    script::load(&load_run, context)?;
    let report = act::load(&client, converged.record.target.name(), &load_run, seed, context).await?;
    let exit = exit(context, &outcome, &report.correctness);
    script::verdict(&report, context)?;
    if report.correctness.verdict == Verdict::Pass {
        // The load's users would be in the way of who looks around now; what went wrong is kept as evidence.
        client.clean(&load_run).await?;
    } else {
        script::evidence(&load_run, context);
    }
    context.printer.data(&document(&plan, &load_run, &outcome, Some(&report), url, leaves, exit))?;
    Ok(exit)
}

/// Of both audits the graver.
fn exit(context: &Context, outcome: &Outcome, audit: &Audit) -> Exit {
    let requests = report::exit(context, outcome);
    match audit.verdict {
        _ if requests == Exit::Incorrect => Exit::Incorrect,
        Verdict::Fail => Exit::Incorrect,
        _ if context.stop.is_cancelled() => context.interrupted(),
        _ if requests != Exit::Done => requests,
        Verdict::Pass if audit.sound() > audit.succeeded => Exit::WorkFailed,
        Verdict::Pass => Exit::Done,
        Verdict::Inconclusive => Exit::Inconclusive,
    }
}

fn document<'a>(
    plan: &'a Plan,
    load_run: &'a RunId,
    outcome: &'a Outcome,
    load: Option<&'a Report>,
    url: &'a str,
    left_running: bool,
    exit: Exit,
) -> Document<'a> {
    let requests = outcome.audit.as_ref();
    let verdict = match (
        requests.map_or(Verdict::Inconclusive, |audit| audit.verdict),
        load.map_or(Verdict::Inconclusive, |load| load.correctness.verdict),
    ) {
        (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
        (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
        _ => Verdict::Inconclusive,
    };
    Document {
        verdict,
        url,
        seed: plan.seed,
        run: &plan.run,
        load_run,
        requests,
        load: load.map(|load| &load.correctness),
        accept_ms: load.map(|load| load.accept_ms).unwrap_or_default(),
        e2e_ms: load.map(|load| load.e2e_ms).unwrap_or_default(),
        left_running,
        exit: exit as u8,
    }
}
