//! `cardctl dlq retry`.

use std::time::Duration;

use card_core::ids::TaskId;
use card_core::time::parse_duration;

use super::canary::Canary;
use super::confirm::confirm;
use super::course::{Course, Operation};
use super::letters::Letters;
use super::report::Report;
use super::{NOT_WITH_NAMES, Which};
use crate::client;
use crate::commands::submit::rate::Rate;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Queue dead letters again
#[derive(Debug, clap::Args)]
pub(super) struct RetryArgs {
    /// Task ids [default: every dead letter that matches the filter]
    #[arg(value_name = "ID", conflicts_with_all = NOT_WITH_NAMES)]
    tasks: Vec<TaskId>,
    #[command(flatten)]
    which: Which,
    /// Rate limit, such as 50/s [default: no limit]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Maximum number of tasks, newest first [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Retry this many first and stop if any of them fails again
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    canary: Option<u32>,
    /// Time limit for the canaries to finish
    #[arg(long, value_name = "DURATION", default_value = "1m", requires = "canary", value_parser = parse_duration)]
    canary_timeout: Duration,
    /// List the matching tasks and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: RetryArgs, context: &Context) -> Result<Exit, Failure> {
    let client = client::connect(context).await?;
    let letters = args.which.letters(context, &client, &args.tasks, args.limit).await?;
    let mut report = Report::of(&letters, !args.tasks.is_empty());
    if args.dry_run || letters.count() == 0 {
        return report.tried(context, Operation::Retry);
    }
    if letters.count() > 1 {
        confirm(context, &format!("queueing {} dead letters again", letters.count())).await?;
    }
    let mut course = Course::new(context, &client, Operation::Retry, args.rate, letters.count());
    let ended = go(&mut course, &letters, &args, &mut report.canary).await;
    report.take(course);
    report.ended(context, Operation::Retry, ended.err())
}

/// The canaries, if they are wanted, and then the others.
async fn go(
    course: &mut Course<'_>,
    letters: &Letters,
    args: &RetryArgs,
    canary: &mut Option<Canary>,
) -> Result<(), Failure> {
    let Some(wanted) = args.canary.map(|wanted| wanted as usize) else {
        return course.handle(letters.tasks(), false).await.map(drop);
    };
    let (first, mut rest) = letters.split(wanted);
    let mut sent = course.handle(first, true).await?;
    // One that is refused is no canary: another takes its place.
    while sent.len() < wanted && !rest.is_empty() {
        let more = rest.drain(..(wanted - sent.len()).min(rest.len())).collect();
        sent.extend(course.handle(more, true).await?);
    }
    let (context, client, timeout) = (course.context, course.client, args.canary_timeout);
    let canary = canary.insert(Canary::watch(context, client, &sent, timeout).await?);
    if let Some(objection) = canary.objection(context, client, timeout).await {
        return Err(objection);
    }
    if !rest.is_empty() {
        context.printer.step(format!("{}; retrying the others", canary.line()));
    }
    course.handle(rest, false).await.map(drop)
}
