//! Removes what a load test made, unless it is evidence.

use card_core::engine::Cleaned;
use card_core::ids::RunId;
use card_loadtests::result::{Report, Verdict};

use crate::client::{self, Client};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Printer;

/// Removes it, or says why not and how. A clean-up that fails changes no verdict.
pub(super) async fn tidy(context: &Context, client: &Client, run: &RunId, keep: bool, report: &Report) {
    let printer = &context.printer;
    match report.correctness.verdict {
        _ if keep => kept(context, run, "not cleaned up, as asked"),
        Verdict::Pass => match client.clean(run).await {
            Ok(cleaned) => printer.say(in_words(cleaned)),
            Err(error) => {
                say(printer, Failure::from(error));
                kept(context, run, "not cleaned up");
            }
        },
        Verdict::Fail => kept(context, run, "not cleaned up, because it is evidence"),
        Verdict::Inconclusive => kept(context, run, "not cleaned up, because the audit is not complete"),
    }
}

fn in_words(cleaned: Cleaned) -> String {
    let counted = |count: u64, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    format!("cleaned up: {}, {}", counted(cleaned.users, "user"), counted(cleaned.tasks, "task"))
}

/// Says why it is still there, and how it is removed.
pub(super) fn kept(context: &Context, run: &RunId, why: &str) {
    let command = client::command(context, &format!("users clean --run {run}"));
    context.printer.say(format!("{why}; to remove it: {}", context.printer.err().accent(command)));
}

/// A failure that is not how the command ends.
pub(super) fn say(printer: &Printer, failure: Failure) {
    printer.say(failure.render(printer.err()));
}
