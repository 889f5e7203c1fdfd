//! `cardctl loadtest`: load with a proof. `run` carries one out and judges it, `compare` puts two results side by side.

mod compare;
mod generate;
mod run;
mod values;
mod word;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  cardctl loadtest run smoke               ten users for 15 seconds, audited
  cardctl loadtest run -u 100 -d 2m --slo 'e2e.p95<2s' --baseline last
  cardctl loadtest compare before.json after.json -o md";

/// Load tests that prove something: run, compare
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
pub struct LoadtestArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Run(Box<run::RunArgs>),
    Compare(compare::CompareArgs),
    #[command(hide = true)]
    Generate(generate::GenerateArgs),
}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(args: LoadtestArgs, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Run(args) => run::run(*args, context).await,
        Verb::Compare(args) => compare::run(args, context),
        Verb::Generate(args) => generate::run(args, context).await,
    }
}

/// A result that can't be read.
fn unreadable(error: &card_loadtests::compare::LoadError) -> Failure {
    Failure::new("result", Exit::NotReady, error.to_string())
        .fix("name the result.json that `cardctl loadtest run` wrote, of this version")
}
