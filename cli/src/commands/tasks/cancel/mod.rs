//! `cardctl tasks cancel`.

mod found;
mod report;

use std::time::Duration;

use card_core::ids::{RunId, TaskId, UserId};
use card_core::problem::Code;
use card_core::tasks::{Kind, Status};
use card_core::time::{Instant, parse_duration};
use futures::{StreamExt, stream};
use regex::Regex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::found::{Found, Refused};
use self::report::{Report, tasks};
use crate::client::{self, Client, ClientError, TaskQuery};
use crate::commands::dlq::confirm::confirm;
use crate::commands::dlq::discard::reason;
use crate::commands::dlq::progress::Progress;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Format;
use card_core::exit::Exit;

/// Calls under way at once: writes share commits.
const CONCURRENCY: usize = 16;
const GO_ON: &str = "run the same command again to continue with the rest";

/// Cancel tasks that are not final; they end without an effect
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["tasks", "kind", "status", "owner", "run", "error", "since"]))]
pub(super) struct CancelArgs {
    /// Task ids [default: every task that matches the filter and is not final]
    #[arg(value_name = "ID", conflicts_with_all = ["kind", "status", "owner", "run", "error", "since", "limit"])]
    tasks: Vec<TaskId>,
    /// Filter by kind, such as replacement or purchase
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Filter by status: queued, running or retrying
    #[arg(long, value_name = "STATUS", value_parser = open)]
    status: Option<Status>,
    /// Filter by user
    #[arg(long, value_name = "USER")]
    owner: Option<UserId>,
    /// Filter by run
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// Filter by a regular expression that matches the error (code: message)
    #[arg(long, value_name = "REGEX")]
    error: Option<Regex>,
    /// Filter by age: accepted within this long, such as 1h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Reason, stored with each task
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// Maximum number of tasks: waiting before running, newest first [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// List the matching tasks and change nothing
    #[arg(long)]
    dry_run: bool,
}

fn open(text: &str) -> Result<Status, String> {
    match text.parse::<Status>() {
        Ok(status) if status.is_final() => Err(format!("a {status} task is final and can't be cancelled")),
        Ok(status) => Ok(status),
        Err(_) => Err("must be one of queued, running, retrying".to_owned()),
    }
}

impl CancelArgs {
    async fn find(&self, client: &Client, context: &Context) -> Result<Found, Failure> {
        if !self.tasks.is_empty() {
            return Found::named(context, client, &self.tasks).await;
        }
        let query = TaskQuery {
            kind: self.kind,
            status: self.status,
            run: self.run.clone(),
            owner: self.owner,
            error: self.error.as_ref().map(ToString::to_string),
            limit: None,
        };
        let since = self.since.map(|since| Instant::now().minus(since));
        Found::matching(context, client, query, since, self.limit).await
    }
}

pub(super) async fn run(args: CancelArgs, context: &Context) -> Result<Exit, Failure> {
    let client = client::connect(context).await?;
    let found = args.find(&client, context).await?;
    let mut report = Report::of(&found, !args.tasks.is_empty());
    if args.dry_run || found.tasks.is_empty() {
        return report.tried(context);
    }
    if found.tasks.len() > 1 {
        confirm(context, &format!("cancelling {}", tasks(found.tasks.len() as u64))).await?;
    }
    let ended = each(&client, found.tasks, args.reason.trim(), &mut report, context).await;
    report.ended(context, ended.err())
}

/// Cancels each, several at once. What is under way when it has to end is ended first: what was done is known.
async fn each(
    client: &Client,
    tasks: Vec<TaskId>,
    reason: &str,
    report: &mut Report,
    context: &Context,
) -> Result<(), Failure> {
    let mut progress = Progress::new(&context.printer, tasks.len() as u64);
    let broken = CancellationToken::new();
    let over = async {
        tokio::select! {
            () = context.stop.cancelled() => {}
            () = broken.cancelled() => {}
        }
    };
    let cancel = |task| async move { (task, client.cancel(task, reason).await) };
    let calls = stream::iter(tasks).take_until(over).map(cancel);
    let mut ended = std::pin::pin!(calls.buffer_unordered(CONCURRENCY));
    let mut failure = None;
    while let Some((task, answer)) = ended.next().await {
        match answer {
            Ok(_) => {
                report.done += 1;
                tell(context, task, "cancelled")?;
            }
            Err(error) => match Refused::of(task, &error) {
                Some(refused) => {
                    tell(context, task, refused.code.as_str())?;
                    report.refused.push(refused);
                }
                None => {
                    broken.cancel();
                    failure.get_or_insert(error);
                }
            },
        }
        progress.at(report.done, "cancelled");
    }
    if let Some(error) = failure {
        return Err(Failure::from(error).fix(GO_ON));
    }
    if context.stop.is_cancelled() && !report.is_complete() {
        return Err(context.interruption().fix(GO_ON));
    }
    Ok(())
}

impl Refused {
    /// None of an error that is not about this task.
    fn of(task: TaskId, error: &ClientError) -> Option<Self> {
        let problem = error.problem()?;
        let about_it = matches!(problem.code, Code::TaskFinal | Code::NotFound);
        about_it.then_some(Self { task, code: problem.code, status: problem.task_status })
    }
}

/// A task in the stream of lines.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    task: TaskId,
    outcome: &'a str,
}

fn tell(context: &Context, task: TaskId, outcome: &str) -> Result<(), Failure> {
    match context.printer.format() {
        Format::Jsonl => context.printer.data(&Line { kind: "task", task, outcome }),
        _ => Ok(()),
    }
}
