//! `cardctl dlq discard`.

use super::Which;
use super::confirm::confirm;
use crate::client::{self, Bulk};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Take dead letters off the list for good; the reason is kept with each
#[derive(Debug, clap::Args)]
pub(super) struct DiscardArgs {
    #[command(flatten)]
    which: Which,
    /// Why: kept with each
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only say which
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: DiscardArgs, context: &Context) -> Result<Exit, Failure> {
    let client = client::connect(context).await?;
    let filter = args.which.filter();
    // Both operations mean the same by a filter, and only one of them can be tried without consequences.
    let found = client.retry_dead(&filter, None, None, true).await?;
    if args.dry_run || found.matched == 0 {
        return write(context, &found, found.matched, "would be discarded");
    }
    if found.matched > 1 {
        confirm(context, &format!("discarding {} dead letters", found.matched)).await?;
    }
    let mut total = Bulk { done: 0, ..found };
    loop {
        let part = client.discard_dead(&filter, &args.reason).await?;
        total.done += part.done;
        if part.done == 0 || part.done >= part.matched || context.stop.is_cancelled() {
            break;
        }
    }
    write(context, &total, total.done, "discarded")
}

fn write(context: &Context, bulk: &Bulk, count: u64, verb: &str) -> Result<Exit, Failure> {
    let printer = &context.printer;
    printer.data(bulk)?;
    printer.text(format!("{count} dead letters {verb}"))?;
    for task in &bulk.sample {
        let error = task.error.as_ref().map(ToString::to_string).unwrap_or_default();
        printer.text(format!("  {}  {error}", task.id))?;
    }
    Ok(if context.stop.is_cancelled() { context.interrupted() } else { Exit::Done })
}
