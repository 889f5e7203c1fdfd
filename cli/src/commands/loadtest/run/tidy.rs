//! Removes what a load test made, unless it is evidence.

use card_client::retries::past_a_gateway;
use card_core::engine::Cleaned;
use card_core::ids::RunId;
use card_loadtests::result::{Report, Verdict};

use super::generators::Runs;
use crate::client::{self, Client, ClientError};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Printer;

/// Removes it, or says why not and how. A clean-up that fails changes no verdict.
pub(super) async fn tidy(context: &Context, client: &Client, runs: &Runs, keep: bool, report: &Report) {
    let printer = &context.printer;
    meetings(client, runs).await;
    match report.correctness.verdict {
        _ if keep => kept(context, &runs.own, "not cleaned up (--keep)"),
        Verdict::Pass => match clean(client, &runs.own).await {
            Ok(cleaned) => printer.say(in_words(cleaned)),
            Err(error) => {
                say(printer, Failure::from(error));
                kept(context, &runs.own, "not cleaned up");
            }
        },
        Verdict::Fail => kept(context, &runs.own, "not cleaned up: kept as evidence"),
        Verdict::Inconclusive => kept(context, &runs.own, "not cleaned up: the audit is incomplete"),
    }
}

async fn clean(client: &Client, runs: &[RunId]) -> Result<Cleaned, ClientError> {
    let mut all = Cleaned::default();
    for run in runs {
        let cleaned = past_a_gateway(|| client.clean(run)).await?;
        all.users += cleaned.users;
        all.tasks += cleaned.tasks;
    }
    Ok(all)
}

/// Where generators met is no evidence; what is left of it, if it can't be removed, is a task or two that are done.
pub(super) async fn meetings(client: &Client, runs: &Runs) {
    for run in &runs.barriers {
        if client.clean(run).await.is_err() {
            return;
        }
    }
}

fn in_words(cleaned: Cleaned) -> String {
    let counted = |count: u64, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    format!("cleaned up: {}, {}", counted(cleaned.users, "user"), counted(cleaned.tasks, "task"))
}

/// Says why it is still there, and how it is removed.
pub(super) fn kept(context: &Context, runs: &[RunId], why: &str) {
    let commands = runs.iter().map(|run| client::command(context, &format!("users clean --run {run}")));
    let commands = commands.collect::<Vec<_>>().join("; ");
    context.printer.say(format!("{why}; to clean up: {}", context.printer.err().accent(commands)));
}

/// A failure that is not how the command ends.
pub(super) fn say(printer: &Printer, failure: Failure) {
    printer.say(failure.render(printer.err()));
}
