//! `cardctl purchases list`.

use card_core::exit::Exit;
use card_kinds::purchase::Purchase;

use super::HistoryArgs;
use crate::client::{self, Caller, Known, PurchasePage};
use crate::commands::tasks::list::age;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Format;

/// Most purchases on one page of the API.
const PAGE: u64 = 200;
/// The default of `--limit`.
const DEFAULT_LIMIT: u64 = 50;

/// List a user's purchases, newest first
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    history: HistoryArgs,
    /// Maximum number of purchases
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Page token: `next` of the previous page
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

pub(super) async fn run(args: ListArgs, context: &Context) -> Result<Exit, Failure> {
    let query = args.history.query()?;
    let client = client::connect(context).await?;
    let printer = &context.printer;
    let (mut cursor, mut left, mut items) = (args.cursor, args.limit, Vec::new());
    loop {
        let wanted = usize::try_from(left.min(PAGE)).unwrap_or(1);
        let read = client.purchases(&query, wanted, cursor.as_deref(), Known::default(), Caller::Operator).await?;
        let Some(page) = read.value else { break };
        cursor = page.next;
        left = left.saturating_sub(page.items.len() as u64);
        if printer.format() == Format::Jsonl {
            page.items.iter().try_for_each(|purchase| printer.data(purchase))?;
        } else {
            items.extend(page.items);
        }
        if cursor.is_none() || left == 0 || context.stop.is_cancelled() {
            break;
        }
    }
    write(items, cursor, &more(&args.history, args.limit), context)?;
    Ok(if context.stop.is_cancelled() { context.interrupted() } else { Exit::Done })
}

/// The command that goes on, but for its cursor.
fn more(history: &HistoryArgs, limit: u64) -> String {
    let flags = [
        ("--owner", Some(history.owner.to_string())),
        ("--from", history.from.map(|from| from.to_string())),
        ("--to", history.to.map(|to| to.to_string())),
        ("--limit", (limit != DEFAULT_LIMIT).then(|| limit.to_string())),
    ];
    client::words("purchases list", &flags)
}

fn write(items: Vec<Purchase>, next: Option<String>, more: &str, context: &Context) -> Result<(), Failure> {
    let printer = &context.printer;
    match printer.format() {
        Format::Jsonl => {}
        Format::Json => return printer.data(&PurchasePage { items, next }),
        Format::Text if items.is_empty() => printer.say("none"),
        Format::Text => {
            // A terminal has room for no more beside the id.
            let aged = printer.size().is_some();
            let head = ["purchase", "price", if aged { "age" } else { "purchased" }, "item"];
            let rows = items.into_iter().map(|purchase| {
                let at = purchase.purchased_at;
                let at = if aged { age(at) } else { at.to_string() };
                vec![purchase.id.to_string(), purchase.price.to_string(), at, purchase.item.unwrap_or_default()]
            });
            printer.text(printer.table(&head, rows.collect(), 3))?;
        }
    }
    if let Some(next) = next {
        let more = client::command(context, more);
        printer.say(printer.err().dim(format!("more: {more} --cursor {next}")));
    }
    Ok(())
}
