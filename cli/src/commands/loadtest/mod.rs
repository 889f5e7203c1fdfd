//! `cardctl loadtest`: load with a proof. `run` carries one out and judges it, `compare` puts two results side by side.

mod compare;
mod generate;
mod run;
mod values;
mod word;

use clap::{ArgMatches, Args, FromArgMatches, Subcommand};

use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl loadtest run smoke               run 10 users for 15 seconds
  cardctl loadtest run -u 100 -d 2m --slo 'e2e.p95<2s' --baseline last
  cardctl loadtest compare before.json after.json -o md";

/// Run load tests and compare their results
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
pub struct LoadtestArgs {
    #[command(subcommand)]
    verb: Verb,
}

/// What people type: what help, completions, manual pages and suggestions know.
#[derive(Debug, clap::Subcommand)]
enum Shown {
    Run(Box<run::RunArgs>),
    Compare(compare::CompareArgs),
}

#[derive(Debug)]
enum Verb {
    Shown(Shown),
    /// Started by [`run`], and typed by nobody.
    Generate(generate::GenerateArgs),
}

/// The name of what only this program starts.
const GENERATE: &str = "generate";

/// The command with what only this program starts, as it is parsed.
#[must_use]
pub fn with_generate(command: clap::Command) -> clap::Command {
    command.subcommand(generate::GenerateArgs::augment_args(clap::Command::new(GENERATE)).hide(true))
}

impl FromArgMatches for Verb {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some((GENERATE, matches)) => generate::GenerateArgs::from_arg_matches(matches).map(Self::Generate),
            _ => Shown::from_arg_matches(matches).map(Self::Shown),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Verb {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        Shown::augment_subcommands(command)
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Shown::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        name == GENERATE || Shown::has_subcommand(name)
    }
}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(args: LoadtestArgs, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Shown(Shown::Run(args)) => run::run(*args, context).await,
        Verb::Shown(Shown::Compare(args)) => compare::run(args, context),
        Verb::Generate(args) => generate::run(args, context).await,
    }
}

/// A result that can't be read.
fn unreadable(error: &card_loadtests::compare::LoadError) -> Failure {
    Failure::new("result", Exit::NotReady, error.to_string())
        .fix("name a result.json written by `cardctl loadtest run` of this version")
}
