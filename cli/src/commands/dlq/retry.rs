//! `cardctl dlq retry`.

use card_core::ids::TaskId;

use super::Which;
use super::confirm::confirm;
use crate::client::{self, Bulk, BulkFilter, Client};
use crate::commands::submit::rate::Rate;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Queue dead letters again
#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    /// These tasks; without any, all that the filter means
    #[arg(value_name = "ID", conflicts_with_all = ["error", "since", "kind", "run", "limit"])]
    tasks: Vec<TaskId>,
    #[command(flatten)]
    which: Which,
    /// At most so many a second, such as 50/s
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// At most so many, newest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Only say which
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: RetryArgs, context: &Context) -> Result<Exit, Failure> {
    let client = client::connect(context).await?;
    let filter = args.which.filter();
    let found = match args.tasks.as_slice() {
        [] => client.retry_dead(&filter, None, args.limit, true).await?,
        tasks => named(&client, tasks).await?,
    };
    if args.dry_run || found.matched == 0 {
        return write(context, &found, found.matched, "would be queued again");
    }
    if found.matched > 1 {
        confirm(context, &format!("queueing {} dead letters again", found.matched)).await?;
    }
    let done = match args.tasks.as_slice() {
        [] => by_filter(context, &client, &filter, args.rate, found).await?,
        tasks => by_name(context, &client, tasks, args.rate, found).await?,
    };
    write(context, &done, done.done, "queued again")
}

async fn named(client: &Client, tasks: &[TaskId]) -> Result<Bulk, Failure> {
    let mut found = Bulk { matched: 0, done: 0, sample: Vec::new() };
    for task in tasks {
        let task = client.task(*task, None, client::Caller::Operator).await?;
        found.matched += u64::from(task.status == card_core::tasks::Status::Dead);
        found.sample.push(task);
    }
    Ok(found)
}

/// A call does what fits into its time: called again until as many were handled as were found at first.
async fn by_filter(
    context: &Context,
    client: &Client,
    filter: &BulkFilter,
    rate: Option<Rate>,
    mut found: Bulk,
) -> Result<Bulk, Failure> {
    while found.done < found.matched && !context.stop.is_cancelled() {
        let left = found.matched - found.done;
        let part = client.retry_dead(filter, rate.map(Rate::per_second), Some(left), false).await?;
        if part.done == 0 {
            break;
        }
        found.done += part.done;
        if found.done < found.matched {
            context.printer.step(format!("{} of {} queued again", found.done, found.matched));
        }
    }
    Ok(found)
}

async fn by_name(
    context: &Context,
    client: &Client,
    tasks: &[TaskId],
    rate: Option<Rate>,
    mut found: Bulk,
) -> Result<Bulk, Failure> {
    let begun = tokio::time::Instant::now();
    for (number, task) in (0..).zip(tasks) {
        let due = begun + rate.map(|rate| rate.due(number)).unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = context.stop.cancelled() => break,
        }
        match client.retry(*task).await {
            Ok(_) => found.done += 1,
            Err(error) => context.printer.say(format!("{task}: {error}")),
        }
    }
    Ok(found)
}

fn write(context: &Context, bulk: &Bulk, count: u64, verb: &str) -> Result<Exit, Failure> {
    let printer = &context.printer;
    printer.data(bulk)?;
    printer.text(format!("{count} of {} dead letters {verb}", bulk.matched))?;
    for task in &bulk.sample {
        let error = task.error.as_ref().map(ToString::to_string).unwrap_or_default();
        printer.text(format!("  {}  {error}", task.id))?;
    }
    if (bulk.sample.len() as u64) < bulk.matched {
        printer.text(printer.out().dim(format!("  … and {} more", bulk.matched - bulk.sample.len() as u64)))?;
    }
    Ok(if context.stop.is_cancelled() { context.interrupted() } else { Exit::Done })
}
