//! `cardctl queue`: what waits and runs, and whether work is taken up.

mod pause;
mod stats;

use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl queue stats
  cardctl queue pause                      stop processing; requests are still accepted
  cardctl queue resume";

/// Manage the queue: stats, pause, resume
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
pub struct QueueArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show waiting, running and failed tasks, and the workers
    Stats,
    /// Stop processing tasks; requests are still accepted. Survives a restart
    Pause,
    /// Process tasks again
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
