//! `cardctl tasks get`.

use std::time::Duration;

use card_core::ids::TaskId;
use card_core::tasks::{Status, Task};
use card_core::time::parse_duration;
use tokio::time::Instant;

use super::sheet::{Sheet, not_found};
use crate::client::{self, Caller, Client, ClientError};
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// One long poll; the next follows until the time is up.
const POLL: Duration = Duration::from_secs(30);

/// Show a task and its attempts
#[derive(Debug, clap::Args)]
pub(super) struct GetArgs {
    /// Task id
    #[arg(value_name = "ID")]
    task: TaskId,
    /// Wait until the task is final, at most this long
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    wait: Option<Duration>,
    /// Exit with 0 if the task succeeded, 6 if it was declined, dead or cancelled, 8 if it is pending
    #[arg(long)]
    exit_status: bool,
}

pub(super) async fn run(args: GetArgs, context: &Context) -> Result<Exit, Failure> {
    let client = client::connect(context).await?;
    let task = tokio::select! {
        task = read(&client, args.task, args.wait.unwrap_or_default()) => task,
        () = context.stop.cancelled() => return Ok(context.interrupted()),
    };
    let task =
        task.map_err(|error| if client::is_not_found(&error) { not_found(context, args.task) } else { error.into() })?;
    let status = task.status;
    Sheet::of(&client, task).await?.write(&context.printer)?;
    Ok(match status {
        _ if !args.exit_status => Exit::Done,
        Status::Succeeded => Exit::Done,
        Status::Declined | Status::Dead | Status::Cancelled => Exit::WorkFailed,
        Status::Queued | Status::Running | Status::Retrying => Exit::Pending,
    })
}

async fn read(client: &Client, id: TaskId, wait: Duration) -> Result<Task, ClientError> {
    let deadline = Instant::now() + wait;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let poll = Some(left.min(POLL)).filter(|poll| poll.as_millis() > 0);
        let task = client.task(id, poll, Caller::Operator).await?;
        if task.status.is_final() || poll.is_none() {
            return Ok(task);
        }
    }
}
