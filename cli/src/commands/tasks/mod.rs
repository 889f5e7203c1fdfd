//! `cardctl tasks`: list, get, retry, cancel.

mod cancel;
mod get;
pub mod list;
pub mod named;
mod retry;
pub mod sheet;

use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl tasks list --status retrying
  cardctl tasks get tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b --exit-status
  cardctl tasks retry tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b
  cardctl tasks cancel --run nightly --reason superseded --dry-run";

/// Manage tasks: list, get, retry, cancel
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
pub struct TasksArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    List(list::ListArgs),
    Get(get::GetArgs),
    Retry(retry::RetryArgs),
    Cancel(cancel::CancelArgs),
}

impl TasksArgs {
    /// Whether it changes tasks of which there may be many, and says how far it came when it is cut off.
    pub(crate) const fn says_how_far_it_came(&self) -> bool {
        matches!(self.verb, Verb::Cancel(_))
    }
}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(args: TasksArgs, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::List(args) => list::run(args, context).await,
        Verb::Get(args) => get::run(args, context).await,
        Verb::Retry(args) => retry::run(args, context).await,
        Verb::Cancel(args) => cancel::run(args, context).await,
    }
}
