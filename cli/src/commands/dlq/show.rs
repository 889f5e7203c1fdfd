//! `cardctl dlq show`.

use card_core::ids::TaskId;
use card_core::tasks::Status;

use crate::client::{self, Caller};
use crate::commands::tasks::sheet::{Sheet, not_found};
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Show a dead letter: the task and every attempt
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Task id
    #[arg(value_name = "ID")]
    task: TaskId,
}

pub(super) async fn run(args: ShowArgs, context: &Context) -> Result<Exit, Failure> {
    let client = client::connect(context).await?;
    let task = client
        .task(args.task, None, Caller::Operator)
        .await
        .map_err(|error| if client::is_not_found(&error) { not_found(context, args.task) } else { error.into() })?;
    if task.status != Status::Dead {
        let failure =
            Failure::new("not-dead", Exit::NotReady, format!("task {} is {}, not dead", task.id, task.status));
        return Err(failure.fix(client::command(context, &format!("tasks get {}", task.id))));
    }
    let printer = &context.printer;
    Sheet::of(&client, task).await?.write(printer)?;
    let retry = client::command(context, &format!("dlq retry {}", args.task));
    printer.say(format!("to try it again: {}", printer.err().accent(retry)));
    Ok(Exit::Done)
}
