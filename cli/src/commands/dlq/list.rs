//! `cardctl dlq list`.

use super::{Which, groups};
use crate::client::{self, BulkFilter};
use crate::commands::tasks::list::Listing;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// The default of `--limit`.
const DEFAULT_LIMIT: u64 = 50;

/// List dead letters, newest first, or count them by error
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// Group by error: count, kinds, first and last time, and one example
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    group: bool,
    /// Maximum number of tasks
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Page token: `next` of the previous page
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

pub(super) async fn run(args: ListArgs, context: &Context) -> Result<Exit, Failure> {
    let client = client::connect(context).await?;
    let filter = args.which.filter();
    if args.group {
        return groups::run(context, &client, &filter).await;
    }
    let again = client::words("dlq list", &flags(&filter, args.limit));
    let mut listing = Listing::new(&context.printer, args.limit);
    let mut cursor = args.cursor;
    loop {
        let page = client.dead_letters(&filter, Some(listing.wanted()), cursor.as_deref()).await?;
        cursor.clone_from(&page.next);
        if !listing.take(page)? || context.stop.is_cancelled() {
            break;
        }
    }
    let cut = cursor.is_some();
    listing.finish(cursor, &client::command(context, &again))?;
    if cut && context.printer.is_text() {
        let groups = client::command(context, "dlq list --group");
        context.printer.say(context.printer.err().dim(format!("count by error: {groups}")));
    }
    Ok(if context.stop.is_cancelled() { context.interrupted() } else { Exit::Done })
}

fn flags(filter: &BulkFilter, limit: u64) -> [(&'static str, Option<String>); 5] {
    [
        ("--error", filter.error.clone()),
        ("--since", filter.since.clone()),
        ("--kind", filter.kind.map(|kind| kind.to_string())),
        ("--run", filter.run.as_ref().map(ToString::to_string)),
        ("--limit", (limit != DEFAULT_LIMIT).then(|| limit.to_string())),
    ]
}
