//! `cardctl tasks list`.

use card_core::ids::{RunId, UserId};
use card_core::tasks::{Kind, Status, Task, TaskPage};
use card_core::time::Instant as Timestamp;

use crate::client::{self, TaskQuery};
use crate::commands::watch::screen::milliseconds;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Format, Paint, Printer};
use card_core::exit::Exit;

/// What a page of the API holds at most.
const PAGE: u64 = 1000;
/// The default of `--limit`.
const DEFAULT_LIMIT: u64 = 50;

/// List tasks, newest first
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Filter by kind, such as replacement or purchase
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Filter by status: queued, running, retrying, succeeded, declined, dead or cancelled
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    /// Filter by run
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// Filter by user
    #[arg(long, value_name = "USER")]
    owner: Option<UserId>,
    /// Filter by a regular expression that matches the error
    #[arg(long, value_name = "REGEX")]
    error: Option<String>,
    /// Maximum number of tasks
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Page token: `next` of the previous page
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

pub(super) async fn run(args: ListArgs, context: &Context) -> Result<Exit, Failure> {
    let client = client::connect(context).await?;
    let mut query = TaskQuery {
        kind: args.kind,
        status: args.status,
        run: args.run,
        owner: args.owner,
        error: args.error,
        limit: None,
    };
    let again = client::words("tasks list", &flags(&query, args.limit));
    let mut listing = Listing::new(&context.printer, args.limit);
    let mut cursor = args.cursor;
    loop {
        query.limit = Some(listing.wanted());
        let page = client.tasks(&query, cursor.as_deref()).await?;
        cursor.clone_from(&page.next);
        if !listing.take(page)? || context.stop.is_cancelled() {
            break;
        }
    }
    listing.finish(cursor, &client::command(context, &again))?;
    Ok(if context.stop.is_cancelled() { context.interrupted() } else { Exit::Done })
}

fn flags(query: &TaskQuery, limit: u64) -> [(&'static str, Option<String>); 6] {
    [
        ("--kind", query.kind.map(|kind| kind.to_string())),
        ("--status", query.status.map(|status| status.to_string())),
        ("--run", query.run.as_ref().map(ToString::to_string)),
        ("--owner", query.owner.map(|owner| owner.to_string())),
        ("--error", query.error.clone()),
        ("--limit", (limit != DEFAULT_LIMIT).then(|| limit.to_string())),
    ]
}

/// Pages of tasks on their way to stdout.
pub struct Listing<'a> {
    printer: &'a Printer,
    left: u64,
    items: Vec<Task>,
}

impl<'a> Listing<'a> {
    /// Of at most so many.
    #[must_use]
    pub fn new(printer: &'a Printer, limit: u64) -> Self {
        Self { printer, left: limit, items: Vec::new() }
    }

    /// How many to ask for next.
    #[must_use]
    pub fn wanted(&self) -> usize {
        usize::try_from(self.left.min(PAGE)).unwrap_or(1)
    }

    /// Takes a page; says whether there is more to ask for.
    ///
    /// # Errors
    /// stdout can't be written.
    pub fn take(&mut self, page: TaskPage) -> Result<bool, Failure> {
        self.left = self.left.saturating_sub(page.items.len() as u64);
        if self.printer.format() == Format::Jsonl {
            page.items.iter().try_for_each(|task| self.printer.data(task))?;
        } else {
            self.items.extend(page.items);
        }
        Ok(page.next.is_some() && self.left > 0)
    }

    /// Writes what was not written yet.
    ///
    /// # Errors
    /// stdout can't be written.
    pub fn finish(self, next: Option<String>, more: &str) -> Result<(), Failure> {
        let printer = self.printer;
        match printer.format() {
            Format::Jsonl => {}
            Format::Json => printer.data(&TaskPage { items: self.items, next: next.clone() })?,
            Format::Text if self.items.is_empty() => printer.say("none"),
            Format::Text => {
                // Most are due at once: then there is nothing to tell.
                let timed = self.items.iter().any(|task| task.due_at.is_some());
                let head: Vec<_> = HEAD.into_iter().filter(|name| timed || *name != DUE).collect();
                let aged = printer.size().is_some();
                let head: Vec<_> =
                    head.into_iter().map(|name| if aged && name == ACCEPTED { "age" } else { name }).collect();
                let rows = self.items.iter().map(|task| cells(task, timed, aged, printer.out())).collect();
                printer.text(printer.table(&head, rows, 3))?;
            }
        }
        if let Some(next) = next.filter(|_| printer.format() != Format::Json) {
            printer.say(printer.err().dim(format!("more: {more} --cursor {next}")));
        }
        Ok(())
    }
}

const ACCEPTED: &str = "accepted";
const DUE: &str = "due";
const HEAD: [&str; 8] = ["task", "kind", "status", "attempts", ACCEPTED, DUE, "took", "error"];

/// Age of a time, in the largest unit: a terminal has room for no more beside the id.
#[must_use]
pub fn age(at: Timestamp) -> String {
    let seconds = Timestamp::now().since(at).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn cells(task: &Task, timed: bool, aged: bool, paint: Paint) -> Vec<String> {
    let took = task.settled_at.filter(|_| task.status.is_final()).map(|settled| settled.since(task.accepted_at));
    let mut cells = vec![
        task.id.to_string(),
        task.kind.to_string(),
        paint.status(task.status),
        task.attempts.to_string(),
        if aged { age(task.accepted_at) } else { task.accepted_at.to_string() },
    ];
    if timed {
        cells.push(task.due_at.map(|at| at.to_string()).unwrap_or_default());
    }
    cells.extend([
        took.map(milliseconds).unwrap_or_default(),
        task.error.as_ref().map(ToString::to_string).unwrap_or_default(),
    ]);
    cells
}
