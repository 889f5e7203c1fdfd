//! `cardctl tasks retry`.

use card_core::ids::TaskId;
use card_core::tasks::Task;
use serde::Serialize;

use super::sheet::not_found;
use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Queue dead tasks again, all or none; their history is kept
#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    /// Task ids
    #[arg(value_name = "ID", required = true)]
    tasks: Vec<TaskId>,
}

#[derive(Serialize)]
struct Document {
    items: Vec<Task>,
}

pub(super) async fn run(args: RetryArgs, context: &Context) -> Result<Exit, Failure> {
    let items = queue_again(&args.tasks, context).await?;
    for task in &items {
        context.printer.text(format!("{}  queued again", task.id))?;
    }
    let words = items.iter().map(|task| task.id.to_string()).collect::<Vec<_>>().join(" ");
    let watch = client::command(context, &format!("watch {words}"));
    context.printer.data(&Document { items })?;
    context.printer.say(format!("to follow: {}", context.printer.err().accent(watch)));
    Ok(Exit::Done)
}

/// Queues each again; ends at the first that can't be, and says which were before it.
async fn queue_again(tasks: &[TaskId], context: &Context) -> Result<Vec<Task>, Failure> {
    let client = client::connect(context).await?;
    let mut queued: Vec<Task> = Vec::with_capacity(tasks.len());
    for id in tasks {
        match client.retry(*id).await {
            Ok(task) => queued.push(task),
            Err(error) => {
                let failure = match client::is_not_found(&error) {
                    true => not_found(context, *id),
                    false => Failure::from(error).fix(client::command(context, &format!("tasks get {id}"))),
                };
                let before = queued.len();
                return Err(if before > 0 {
                    failure.left(format!("the {before} before it are queued again"))
                } else {
                    failure
                });
            }
        }
    }
    Ok(queued)
}
