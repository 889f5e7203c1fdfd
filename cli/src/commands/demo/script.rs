//! What the demo says.

use card_core::ids::RunId;
use card_loadtests::result::{Audit, Report, Verdict};

use super::{LOAD, REQUESTS, USERS};
use crate::client;
use crate::commands::submit::campaign::{Outcome, Plan};
use crate::commands::submit::report::latency_line;
use crate::commands::up::Converged;
use crate::commands::watch::{lines, screen};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Block, home};

pub(super) fn title(context: &Context) -> Result<(), Failure> {
    let paint = context.printer.out();
    context.printer.text(paint.bold("A first look at the platform: bank cards and a shop"))
}

pub(super) fn platform(converged: &Converged, context: &Context) -> Result<(), Failure> {
    let (printer, paint) = (&context.printer, context.printer.out());
    let state = match converged.already_up {
        true => "was running already".to_owned(),
        false => format!("ready in {} ms", converged.ready.as_millis()),
    };
    head(context, 1, "The platform", &format!("{}: {state}", paint.accent(&converged.record.url)))?;
    printer
        .text(format!("   API, workers and card issuer in one process; data in {}", home(&converged.record.data_dir)))
}

pub(super) fn requests(plan: &Plan, context: &Context) -> Result<(), Failure> {
    let half = REQUESTS / 2;
    let text = format!("{half} users request a new card, {half} buy (seed {})", plan.seed);
    head(context, 2, "Requests", &text)
}

pub(super) fn requests_done(outcome: &Outcome, context: &Context) -> Result<(), Failure> {
    let (printer, paint) = (&context.printer, context.printer.out());
    let rows = outcome.board.gravest_first().into_iter().map(|row| screen::cells(row, paint)).collect();
    // The rest of the demo needs some twenty lines: the table takes what is left of the screen.
    printer.text(printer.table_behind(3, &screen::HEAD, rows, 22))?;
    let mut line = lines::summary(outcome.board.counts(), 0, paint);
    if let Some(latency) = latency_line("e2e", &outcome.end_to_end) {
        line = format!("{line}  {latency}");
    }
    printer.text(format!("   {line}"))
}

pub(super) fn load(run: &RunId, context: &Context) -> Result<(), Failure> {
    let text = format!("{USERS} users request a card or buy, wait and start over, for {} s", LOAD.as_secs());
    head(context, 3, "Load", &text)?;
    context.printer.say(context.printer.err().dim(format!("   run {run}")));
    Ok(())
}

pub(super) fn verdict(report: &Report, context: &Context) -> Result<(), Failure> {
    let (printer, paint) = (&context.printer, context.printer.out());
    let audit = &report.correctness;
    let Audit { accepted, succeeded, declined, dead, cancelled, lost, duplicate, stuck, unverified, .. } = audit;
    let (mark, words) = match audit.verdict {
        Verdict::Inconclusive if *accepted == 0 => (paint.warn("?"), paint.warn("inconclusive: nothing was accepted")),
        Verdict::Pass => (paint.good("✔"), paint.good("nothing lost, duplicated or stuck")),
        Verdict::Fail => (paint.bad("✘"), paint.bad("the audit failed")),
        Verdict::Inconclusive => (paint.warn("?"), paint.warn("part of it could not be verified")),
    };
    head(context, 4, "Verdict", &format!("{mark} {words}"))?;
    let called_off = if *cancelled > 0 { format!(", {cancelled} cancelled") } else { String::new() };
    let mut rows = vec![
        format!("accepted    {accepted}  by the sender's journal"),
        format!("ended       {succeeded} succeeded, {declined} declined, {dead} dead{called_off}"),
        format!("wrong       {lost} lost, {duplicate} duplicate, {stuck} stuck, {unverified} unverified"),
    ];
    rows.extend(latency_line("accept    ", &report.accept_ms));
    rows.extend(latency_line("end to end", &report.e2e_ms));
    let refused: Vec<_> = report.errors.by_code.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if !refused.is_empty() {
        rows.push(paint.warn(format!("refused     {}", refused.join(", "))));
    }
    rows.extend(audit.unverified_reason.iter().map(|reason| format!("because     {reason}")));
    rows.extend(
        audit.findings.iter().take(5).map(|finding| format!("            {}  {}", finding.task, finding.detail)),
    );
    rows.into_iter().try_for_each(|row| printer.text(format!("   {row}")))
}

/// What went wrong is kept.
pub(super) fn evidence(run: &RunId, context: &Context) {
    let list = client::command(context, &format!("tasks list --run {run}"));
    context.printer.say(format!("the tasks of the load are kept: {}", context.printer.err().accent(list)));
}

/// Where to go from here.
pub(super) fn next(converged: &Converged, leaves: bool, context: &Context) -> Result<(), Failure> {
    let (printer, paint) = (&context.printer, context.printer.out());
    if context.stop.is_cancelled() {
        printer.say("interrupted; accepted tasks continue while the platform is running");
    }
    printer.text("")?;
    if !leaves {
        let again = paint.accent(client::command(context, "up -d"));
        return printer.text(format!("The platform is stopped; its data is kept. To start it again: {again}"));
    }
    printer.text(format!(
        "The platform is still running. Its page: {}",
        paint.accent(format!("{}/", converged.record.url))
    ))?;
    printer.text("")?;
    for (words, what) in [
        ("submit -c 100 -w", "submit requests and watch them"),
        ("watch --all", "watch everything in another terminal"),
        ("status", "show components, queue and workers"),
        ("smoke", "test the platform end to end"),
        ("down", "stop the platform and keep its data"),
    ] {
        let command = format!("{:<28}", client::command(context, words));
        printer.text(format!("  {}  {what}", paint.accent(command)))?;
    }
    match on_path() {
        Some(line) => printer.text(Block::of([
            "",
            "First run this once in this terminal, to put cardctl on PATH:",
            "",
            &format!("  {}", paint.accent(line)),
        ])),
        None => Ok(()),
    }
}

/// The command after which the shell finds this program, if it does not.
fn on_path() -> Option<String> {
    let me = std::env::current_exe().ok()?.canonicalize().ok()?;
    let path = std::env::var_os("PATH")?;
    let is_me = |folder: std::path::PathBuf| folder.join("cardctl").canonicalize().is_ok_and(|found| found == me);
    if std::env::split_paths(&path).any(is_me) {
        return None;
    }
    Some(format!("export PATH=\"{}:$PATH\"", me.parent()?.display()))
}

/// A failure in the middle, with what is left.
pub(super) fn left(failure: Failure, converged: &Converged, context: &Context) -> Failure {
    let down = client::command(context, "down");
    failure.left(format!("the platform is still running at {}; {down} stops it", converged.record.url))
}

fn head(context: &Context, number: u8, title: &str, text: &str) -> Result<(), Failure> {
    let (printer, paint) = (&context.printer, context.printer.out());
    printer.text("")?;
    printer.text(format!("{}  {}  {text}", paint.dim(number.to_string()), paint.bold(format!("{title:<12}"))))
}
