//! `cardctl submit`: sends requests by fresh, unique users, and follows them to their end if asked to.

pub mod campaign;
pub mod rate;
pub mod report;
mod senders;

use std::io::Read;
use std::time::Duration;

use card_client::audit::Wrong;
use card_client::orders::Orders;
use card_core::ids::{RunId, TaskId, UserId};
use card_core::tasks::{Kind, MOST_AHEAD, Priority};
use card_core::time::{Instant as Timestamp, format_duration, parse_duration};
use card_kinds::Registry;
use card_kinds::replacement::{self, CardReplacement, Reason, Replacement};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use self::campaign::{Change, Ending, Outcome, Plan, drive};
use self::rate::Rate;
use self::report::Document;
use crate::client::{self, Client, Order};
use crate::commands::watch::board::{Board, Counts};
use crate::commands::watch::lines::{self, StateLine};
use crate::commands::watch::screen::{self, Screen};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Format;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl submit -w                        submit one request and watch it
  cardctl submit -c 500 --concurrency 50 -w   submit 500 requests, 50 at a time, and audit them
  cardctl submit -c 100 --rate 10/s --reason stolen
  cardctl submit --kind add --payload '{\"x\":20,\"y\":22}' -w
  cardctl submit -c 1000 --priority low --due-in 8h   submit them for tonight
  cardctl submit -c 20 -w -o json          print a JSON document";

/// Submit requests by new, unique users
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SubmitArgs {
    /// Number of requests
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    count: u64,
    /// Concurrent requests
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=4096))]
    concurrency: u64,
    /// Rate limit, such as 50/s [default: no limit]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Kind of task, such as replacement or purchase
    #[arg(long, value_name = "KIND", default_value_t = replacement::KIND)]
    kind: Kind,
    /// Reason of a replacement: lost, stolen, damaged or expired [default: random, by the seed]
    #[arg(long, value_name = "REASON", conflicts_with = "payload")]
    reason: Option<Reason>,
    /// Payload of every request as JSON; - reads it from stdin [default: generated, by the seed]
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// Priority: high, normal or low; a lower one gets fewer workers under load, but never none
    #[arg(long, value_name = "PRIORITY", default_value_t)]
    priority: Priority,
    /// Delay before the tasks start, at most 366 days [default: none]
    #[arg(long, value_name = "DURATION", conflicts_with = "due_at", value_parser = parse_duration)]
    due_in: Option<Duration>,
    /// Time at which the tasks start, such as 2026-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    due_at: Option<Timestamp>,
    /// Seed of the generated requests [default: random; printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Run id of the requests [default: a new one]
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// Watch until all tasks are final, including delayed ones, then audit them
    #[arg(short, long)]
    watch: bool,
    /// Print every change of every task on stderr; without it, counts every second, or a bar on a terminal
    #[arg(short, long)]
    verbose: bool,
    /// Maximum wait (exit 124 after that)
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    timeout: Duration,
    /// Remove the generated users and everything they own afterwards; needs --watch
    #[arg(long, requires = "watch")]
    cleanup: bool,
}

/// A platform takes no larger body.
const PAYLOAD_LIMIT: u64 = 64 * 1024;

#[derive(Serialize)]
struct AcceptedLine {
    #[serde(rename = "type")]
    kind: &'static str,
    task: TaskId,
    user: Option<UserId>,
}

/// Sends requests.
///
/// # Errors
/// Nothing runs, nothing was accepted, or the result can't be written.
pub async fn run(args: SubmitArgs, context: &Context) -> Result<Exit, Failure> {
    let seed = args.seed.unwrap_or_else(Orders::fresh_seed);
    let due_at = due_at(&args);
    check_due(&args, due_at)?;
    let orders = orders(&args, seed)?.when(priority(&args), due_at);
    let client = client::connect(context).await?;
    let plan = Plan {
        joined: args.run.is_some(),
        run: args.run.unwrap_or_else(RunId::new),
        seed,
        count: args.count,
        concurrency: args.concurrency,
        rate: args.rate,
        orders,
        follow: args.watch,
        timeout: args.timeout,
        ledger: None,
    };
    let printer = &context.printer;
    printer.say(printer.err().dim(format!("run {}  seed {}", plan.run, plan.seed)));
    let outcome = follow(context, &client, &plan, args.verbose).await?;
    if outcome.board.counts().tasks == 0
        && let Some(error) = outcome.first_error
    {
        return Err(error.into());
    }
    let exit = report::exit(context, &outcome);
    write(context, &plan, &outcome)?;
    if args.cleanup {
        clean(context, &client, &plan, &outcome, exit).await?;
    }
    Ok(exit)
}

/// A time as it is typed.
pub fn time(text: &str) -> Result<Timestamp, &'static str> {
    let time = text.parse::<jiff::Timestamp>();
    time.map(Timestamp::from).map_err(|_| "must be a date, a time and a zone, such as 2026-01-31T12:00:00Z")
}

/// The priority, if it is not the default: an older platform would not know the field.
fn priority(args: &SubmitArgs) -> Option<Priority> {
    (args.priority != Priority::default()).then_some(args.priority)
}

/// The time at which they are due. Counted once: all of them are for the same time, and one that is sent again is the same request.
fn due_at(args: &SubmitArgs) -> Option<Timestamp> {
    args.due_at.or_else(|| args.due_in.map(|due_in| Timestamp::now().plus(due_in)))
}

/// Refuses a time that no platform takes, and a watch that would end before the tasks are due.
fn check_due(args: &SubmitArgs, due_at: Option<Timestamp>) -> Result<(), Failure> {
    let wait = due_at.map(|due_at| due_at.since(Timestamp::now())).unwrap_or_default();
    if wait > MOST_AHEAD {
        return Err(Failure::new("usage", Exit::Usage, "tasks can be due at most 366 days ahead")
            .fix("choose an earlier --due-in or --due-at"));
    }
    if !args.watch || wait < args.timeout {
        return Ok(());
    }
    let message = format!("the tasks are due after the end of --timeout ({})", format_duration(args.timeout));
    Err(Failure::new("usage", Exit::Usage, message).fix("increase --timeout, or leave out --watch"))
}

fn orders(args: &SubmitArgs, seed: u64) -> Result<Orders, Failure> {
    let usage = |message: String| Failure::new("usage", Exit::Usage, message);
    if let Some(reason) = args.reason {
        if args.kind != replacement::KIND {
            return Err(
                usage("--reason is for replacements".to_owned()).fix("leave out --reason, or use --kind replacement")
            );
        }
        return Ok(Orders::same(args.kind, Order::of::<CardReplacement>(&Replacement { reason }).payload));
    }
    let registry = Registry::default();
    let definition = registry.get(args.kind);
    let Some(payload) = &args.payload else {
        return definition.map(|definition| Orders::samples(seed, definition)).ok_or_else(|| {
            usage(format!("this cardctl can't generate payloads of kind {}, only of {}", args.kind, registry.names()))
                .fix("give the payload: --payload JSON")
        });
    };
    let payload = match payload.as_str() {
        "-" => std::io::read_to_string(std::io::stdin().lock().take(PAYLOAD_LIMIT))
            .map_err(|error| usage(format!("the payload can't be read from stdin: {error}")))?,
        given => given.to_owned(),
    };
    let payload = RawValue::from_string(payload.trim().to_owned())
        .map_err(|error| usage(format!("--payload is not JSON at line {}, column {}", error.line(), error.column())))?;
    // What this version does not know, the platform says.
    match definition.map(|definition| definition.read(payload.get().as_bytes())) {
        Some(Err(error)) => Err(usage(format!("--payload is not valid for kind {}: {error}", args.kind))),
        _ => Ok(Orders::same(args.kind, payload.into())),
    }
}

/// Once a second, if something changed since.
#[derive(Default)]
struct Ticks {
    said: Option<(Instant, Counts)>,
}

impl Ticks {
    fn next(&mut self, counts: Counts) -> Option<Counts> {
        let now = Instant::now();
        let (at, before) = *self.said.get_or_insert((now, Counts::default()));
        let is_due = now.duration_since(at) >= Duration::from_secs(1) && counts != before;
        is_due.then(|| self.said = Some((now, counts)))?;
        Some(counts)
    }
}

/// Drives the campaign and shows it.
async fn follow(context: &Context, client: &Client, plan: &Plan, verbose: bool) -> Result<Outcome, Failure> {
    let printer = &context.printer;
    let mut screen = Screen::new(context, Some(plan.count));
    let show = |change: Change<'_>| match (change, printer.format()) {
        (Change::Accepted(task), Format::Jsonl) => {
            printer.data(&AcceptedLine { kind: "task.accepted", task: task.id, user: task.owner })
        }
        (Change::Waiting(why, limit), _) => {
            printer.say(format!("not accepted yet, retrying for up to {}s: {why}", limit.as_secs()));
            Ok(())
        }
        (Change::State(task, seq), Format::Jsonl) => printer.data(&StateLine::of(task, seq)),
        (Change::Accepted(task) | Change::State(task, _), _) => {
            if verbose {
                printer.say(lines::state(task, printer.err()));
            }
            Ok(())
        }
    };
    let mut ticks = Ticks::default();
    let frame = |board: &Board| {
        screen.draw(printer, board);
        if !verbose && let Some(counts) = ticks.next(board.counts()) {
            printer.step(lines::counts(counts, plan.count));
        }
        // What is accepted goes on; to follow it for nobody could take hours.
        if context.reader_gone.is_cancelled() && board.counts().tasks >= plan.count {
            return Err(Failure::closed_output());
        }
        Ok(())
    };
    drive(client, plan, &context.stop, show, frame).await
}

fn write(context: &Context, plan: &Plan, outcome: &Outcome) -> Result<(), Failure> {
    let printer = &context.printer;
    let counts = outcome.board.counts();
    match printer.format() {
        Format::Text => {
            let rows = outcome.board.gravest_first().into_iter().map(|row| screen::cells(row, printer.out())).collect();
            printer.text(printer.table(&screen::HEAD, rows, 5))?;
            printer.text(lines::summary(counts, 0, printer.out()))?;
            if let Some(line) = report::latency_line("e2e", &outcome.end_to_end) {
                printer.text(line)?;
            }
        }
        Format::Json => printer.data(&Document::new(plan, outcome))?,
        Format::Jsonl => printer.data(&Document::new(plan, outcome).last_line())?,
    }
    talk(context, plan, outcome)
}

/// What people need to know besides the data.
fn talk(context: &Context, plan: &Plan, outcome: &Outcome) -> Result<(), Failure> {
    let printer = &context.printer;
    let paint = printer.err();
    let lost = outcome.audit.as_ref().map_or(0, |audit| audit.lost);
    // What the ledger does not know any more does not go on.
    let pending = outcome.board.counts().pending.saturating_sub(lost);
    for (name, count) in &outcome.errors {
        printer.say(paint.bad(format!("{count} not accepted: {name}")));
    }
    for (name, count) in &outcome.by_gateway {
        printer.say(paint.warn(format!("{count} answered by a proxy in front of the platform: {name}")));
    }
    if outcome.resent > 0 {
        printer.say(paint.warn(format!("{} resent, because the platform did not answer", outcome.resent)));
    }
    let complete = outcome.ending == Ending::Complete;
    if let Some(audit) = outcome.audit.as_ref().filter(|_| complete || report::is_wrong(outcome)) {
        printer.say(report::verdict_line(audit, outcome.ending, paint));
        let wrong = audit.findings.iter().filter(|finding| complete || finding.verdict != Wrong::Stuck.as_str());
        for finding in wrong.take(5) {
            printer.say(format!("  {}  {}", finding.task, finding.detail));
        }
    }
    let rest = match (outcome.ending, lost, pending) {
        (Ending::Complete, ..) => None,
        (Ending::TimeUp, 0, _) => Some("pending tasks continue".to_owned()),
        (_, 0, _) => Some("accepted tasks continue".to_owned()),
        (_, lost, 0) => Some(format!("{lost} accepted tasks are lost: the ledger does not have them")),
        (_, lost, pending) => {
            Some(format!("{lost} accepted tasks are lost: the ledger does not have them; {pending} others continue"))
        }
    };
    if let Some(rest) = rest {
        match outcome.ending {
            Ending::TimeUp => printer.say(format!("timed out after {}; {rest}", format_duration(plan.timeout))),
            Ending::Interrupted => printer.say(format!("interrupted; {rest}")),
            _ => printer.say(paint.bad(format!("the event stream was lost; {rest}"))),
        }
    }
    if pending > 0 {
        let from = outcome.cursor.map(|cursor| format!(" --from {cursor}")).unwrap_or_default();
        let words = format!("watch --run {}{from}", plan.run);
        printer.say(format!("to follow: {}", paint.accent(client::command(context, &words))));
    }
    Ok(())
}

async fn clean(context: &Context, client: &Client, plan: &Plan, outcome: &Outcome, exit: Exit) -> Result<(), Failure> {
    let printer = &context.printer;
    if outcome.board.counts().pending > 0 || exit == Exit::Incorrect || outcome.ending == Ending::Interrupted {
        let words = format!("users clean --run {}", plan.run);
        let command = printer.err().accent(client::command(context, &words));
        printer.say(format!("not cleaned up, because tasks are still pending; to clean up: {command}"));
        return Ok(());
    }
    let cleaned = client.clean(&plan.run).await?;
    printer.say(format!("cleaned up: {} users, {} tasks", cleaned.users, cleaned.tasks));
    Ok(())
}
