//! `cardctl users clean`: removes a run.

use card_core::ids::RunId;
use serde::Serialize;

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Remove the generated users of a run, their cards, tasks and events
#[derive(Debug, clap::Args)]
pub(super) struct CleanArgs {
    /// Run id, as printed by `submit` and `demo`
    #[arg(long, value_name = "RUN")]
    run: RunId,
}

#[derive(Serialize)]
struct Document<'a> {
    run: &'a RunId,
    users: u64,
    tasks: u64,
}

pub(super) async fn run(args: CleanArgs, context: &Context) -> Result<Exit, Failure> {
    let client = client::connect(context).await?;
    let cleaned = client.clean(&args.run).await?;
    context.printer.data(&Document { run: &args.run, users: cleaned.users, tasks: cleaned.tasks })?;
    context.printer.text(format!("removed {} users and {} tasks of {}", cleaned.users, cleaned.tasks, args.run))?;
    Ok(Exit::Done)
}
