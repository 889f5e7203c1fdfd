//! `cardctl queue`: what waits and runs, and whether work is taken up.

mod pause;
mod stats;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  cardctl queue stats
  cardctl queue pause                      accepting goes on
  cardctl queue resume";

/// The queue: stats, pause, resume
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
pub struct QueueArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show what waits, runs and failed, and who works
    Stats,
    /// Stop taking up work; accepting goes on. Survives a restart
    Pause,
    /// Take up work again
    Resume,
}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(args: QueueArgs, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Stats => stats::run(context).await,
        Verb::Pause => pause::run(true, context).await,
        Verb::Resume => pause::run(false, context).await,
    }
}
