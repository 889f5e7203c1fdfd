//! `cardctl dlq list --group`: what went wrong, how often, since when.

use card_core::tasks::Kind;

use crate::client::{BulkFilter, Client, DeadLetterGroup, DeadLetterGroups};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Format;
use card_core::exit::Exit;

/// Lists the groups, the largest first.
///
/// # Errors
/// The platform does not answer, or stdout can't be written.
pub(super) async fn run(context: &Context, client: &Client, filter: &BulkFilter) -> Result<Exit, Failure> {
    let mut groups = DeadLetterGroups::default();
    loop {
        // The server counts for a while at a time.
        let cursor = groups.next.take();
        let more = tokio::select! {
            more = client.dead_letter_groups(filter, cursor.as_deref()) => more?,
            () = context.stop.cancelled() => return Err(context.interruption()),
        };
        groups = groups.plus(more);
        if groups.next.is_none() {
            break;
        }
        context.printer.step(format!("{} dead letters counted so far", groups.total));
    }
    write(context, &groups)?;
    Ok(Exit::Done)
}

fn write(context: &Context, groups: &DeadLetterGroups) -> Result<(), Failure> {
    let printer = &context.printer;
    match printer.format() {
        Format::Json => printer.data(groups),
        Format::Jsonl => groups.items.iter().try_for_each(|group| printer.data(group)),
        Format::Text if groups.items.is_empty() => {
            printer.say("none");
            Ok(())
        }
        Format::Text => {
            let rows = groups.items.iter().map(cells).collect();
            printer.text(printer.list(&["error", "count", "kinds", "oldest", "newest", "for example", "message"], rows))
        }
    }
}

fn cells(group: &DeadLetterGroup) -> Vec<String> {
    vec![
        group.code.clone(),
        group.count.to_string(),
        group.kinds.keys().map(Kind::to_string).collect::<Vec<_>>().join(", "),
        group.oldest.to_string(),
        group.newest.to_string(),
        group.sample.to_string(),
        group.message.clone(),
    ]
}
