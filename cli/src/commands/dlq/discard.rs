//! `cardctl dlq discard`.

use card_core::chosen::REASON;
use card_core::ids::TaskId;

use super::confirm::confirm;
use super::course::{Course, Operation};
use super::report::Report;
use super::{NOT_WITH_NAMES, Which};
use crate::client;
use crate::commands::submit::rate::Rate;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

/// Remove dead letters from the list for good, with a reason
#[derive(Debug, clap::Args)]
pub(super) struct DiscardArgs {
    /// Task ids [default: every dead letter that matches the filter]
    #[arg(value_name = "ID", conflicts_with_all = NOT_WITH_NAMES)]
    tasks: Vec<TaskId>,
    #[command(flatten)]
    which: Which,
    /// Reason, stored with each task
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// Rate limit, such as 50/s [default: no limit]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Maximum number of tasks, newest first [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// List the matching tasks and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Why, as the platform takes it.
pub(in crate::commands) fn reason(text: &str) -> Result<String, &'static str> {
    REASON.check(text.trim()).map(|()| text.to_owned())
}

pub(super) async fn run(args: DiscardArgs, context: &Context) -> Result<Exit, Failure> {
    let operation = Operation::Discard { reason: &args.reason };
    let client = client::connect(context).await?;
    let letters = args.which.letters(context, &client, &args.tasks, args.limit).await?;
    let mut report = Report::of(&letters, !args.tasks.is_empty());
    if args.dry_run || letters.count() == 0 {
        return report.tried(context, operation);
    }
    if letters.count() > 1 {
        confirm(context, &format!("discarding {} dead letters", letters.count())).await?;
    }
    let mut course = Course::new(context, &client, operation, args.rate, letters.count());
    let ended = course.handle(letters.tasks(), false).await;
    report.take(course);
    report.ended(context, operation, ended.err())
}
