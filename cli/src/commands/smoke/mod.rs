//! `cardctl smoke`: the end-to-end proof, for a pipeline that needs a yes or a no with evidence.

mod artifacts;
mod host;
mod junit;
pub mod load;
mod runner;
mod stage;
mod steps;

use std::path::PathBuf;
use std::time::Duration;

use card_client::orders::Orders;

use self::artifacts::Artifacts;
use self::host::Host;
use self::load::Size;
use self::runner::{Runner, Verdict};
use self::stage::Stage;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl smoke                            test the running platform in about 20 seconds
  cardctl smoke --up --artifacts out --junit out/smoke.xml
  cardctl smoke --load 50u/30s -o json";

/// Test the platform end to end
///
/// Later steps run even if an earlier one fails, where that makes sense. Everything it creates is removed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SmokeArgs {
    /// Start a platform of its own, whose data is deleted at the end
    #[arg(long)]
    up: bool,
    /// Users and duration of the load
    #[arg(long, value_name = "SIZE", default_value = "10u/10s")]
    load: Size,
    /// Directory for evidence: smoke.json, journal.jsonl, logs [default: none]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,
    /// JUnit report to write, with one case per step [default: none]
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Seed of the generated requests [default: random; printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// The longest that a step may take, beyond the load's own duration.
const STEP_LIMIT: Duration = Duration::from_secs(90);

/// Proves it.
///
/// # Errors
/// There is no platform to look at, or the evidence can't be written.
pub async fn run(args: SmokeArgs, context: &Context) -> Result<Exit, Failure> {
    let artifacts = Artifacts::open(args.artifacts.clone())?;
    let seed = args.seed.unwrap_or_else(Orders::fresh_seed);
    let host = Host::find(args.up, context).await?;
    let verdict = prove(&args, seed, &host, &artifacts, context).await;
    let ended = host.end(&artifacts, context).await;
    let verdict = verdict?;
    artifacts.verdict(&verdict)?;
    if let Some(file) = &args.junit {
        junit::write(file, &verdict)?;
    }
    runner::show(&verdict, context)?;
    ended?;
    Ok(if context.stop.is_cancelled() { context.interrupted() } else { verdict.exit() })
}

async fn prove(
    args: &SmokeArgs,
    seed: u64,
    host: &Host,
    artifacts: &Artifacts,
    context: &Context,
) -> Result<Verdict, Failure> {
    let stage = Stage::new(host, seed, args.load, artifacts, context)?;
    let printer = &context.printer;
    printer.say(printer.err().dim(format!("run {}  seed {seed}", stage.run)));
    let mut runner = Runner::new(context, artifacts, STEP_LIMIT + args.load.duration);
    let ready = runner.step("ready", steps::ready::run(&stage)).await?;
    if !ready {
        runner.give_up("the platform is not ready");
    }
    runner.step("submit-and-watch", steps::watch::run(&stage)).await?;
    runner.step("stream-resume", steps::resume::run(&stage)).await?;
    runner.step("idempotency", steps::idempotency::run(&stage)).await?;
    runner.step("exclusivity", steps::exclusivity::run(&stage)).await?;
    runner.step("authorisation", steps::authorisation::run(&stage)).await?;
    runner.step("purchase-and-history", steps::purchase::run(&stage)).await?;
    runner.step("read-your-write", steps::fresh_reads::read_your_write(&stage)).await?;
    runner.step("etag-and-304", steps::fresh_reads::not_modified(&stage)).await?;
    if !stage.fronts.is_empty() {
        runner.step("fronts", steps::fronts::run(&stage)).await?;
    }
    runner.step("dead-letter-and-retry", steps::dead_letter::run(&stage)).await?;
    runner.step("load-with-audit", steps::load::run(&stage)).await?;
    // What was made is removed even if the rest was interrupted.
    if ready {
        runner.always();
    }
    runner.step("clean-up", steps::clean::run(&stage)).await?;
    Ok(runner.verdict(stage.run.clone(), seed))
}
