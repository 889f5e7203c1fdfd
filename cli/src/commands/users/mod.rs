//! `cardctl users`: generated users.

mod clean;

use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl users clean --run nightly        remove the users of the run nightly";

/// Remove the generated users of a run
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
pub struct UsersArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Clean(clean::CleanArgs),
}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(args: UsersArgs, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Clean(args) => clean::run(args, context).await,
    }
}
