//! `cardctl purchases summary`.

use card_core::exit::Exit;
use card_core::time::Instant;

use super::HistoryArgs;
use crate::client::{self, Caller, Known};
use crate::context::Context;
use crate::failure::Failure;

/// Print how many purchases a user made and their exact total
#[derive(Debug, clap::Args)]
pub(super) struct SummaryArgs {
    #[command(flatten)]
    history: HistoryArgs,
}

pub(super) async fn run(args: SummaryArgs, context: &Context) -> Result<Exit, Failure> {
    let query = args.history.query()?;
    let client = client::connect(context).await?;
    let read = client.purchase_summary(&query, Known::default(), Caller::Operator).await?;
    let Some(summary) = read.value else { return Ok(Exit::Done) };
    let printer = &context.printer;
    printer.data(&summary)?;
    let text = |at: Option<Instant>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let facts = [
        ("count", summary.count.to_string()),
        ("total", summary.total),
        ("first", text(summary.first_at)),
        ("last", text(summary.last_at)),
    ];
    facts.into_iter().try_for_each(|(name, value)| printer.text(format!("{name:<5} {value}")))?;
    Ok(Exit::Done)
}
