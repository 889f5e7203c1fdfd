//! `cardctl dlq`: dead letters, listed, explained, tried again at a rate, or discarded with a reason.

mod canary;
pub(super) mod confirm;
mod course;
pub(super) mod discard;
mod groups;
mod letters;
mod list;
pub(super) mod progress;
mod report;
mod retry;
mod show;

use std::time::Duration;

use card_core::ids::{RunId, TaskId};
use card_core::tasks::Kind;
use card_core::time::{format_duration, parse_duration};
use regex::Regex;

use self::letters::Letters;
use crate::client::{BulkFilter, Client};
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl dlq list --group
  cardctl dlq list --error issuer-unavailable --since 1h
  cardctl dlq retry --error issuer-unavailable --dry-run
  cardctl dlq retry --error issuer-unavailable --canary 3 --rate 50/s
  cardctl dlq discard --run nightly --reason superseded";

/// Manage dead letters: list, show, retry, discard
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
pub struct DlqArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Retry(retry::RetryArgs),
    Discard(discard::DiscardArgs),
}

impl DlqArgs {
    /// Whether it changes something, one letter after the other.
    pub(crate) const fn writes(&self) -> bool {
        matches!(self.verb, Verb::Retry(_) | Verb::Discard(_))
    }
}

/// Flags that say nothing once the tasks are named.
const NOT_WITH_NAMES: [&str; 5] = ["error", "since", "kind", "run", "limit"];

/// Which dead letters.
#[derive(Debug, clap::Args)]
struct Which {
    /// Filter by a regular expression that matches the error (code: message)
    #[arg(long, value_name = "REGEX")]
    error: Option<Regex>,
    /// Filter by age: failed within this long, such as 1h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Filter by kind, such as replacement or purchase
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
    /// Filter by run
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
}

impl Which {
    fn filter(&self) -> BulkFilter {
        BulkFilter {
            error: self.error.as_ref().map(ToString::to_string),
            since: self.since.map(format_duration),
            kind: self.kind,
            run: self.run.clone(),
            tasks: Vec::new(),
        }
    }

    /// Those that are named, or else what the filter means.
    async fn letters(
        &self,
        context: &Context,
        client: &Client,
        names: &[TaskId],
        limit: Option<u64>,
    ) -> Result<Letters, Failure> {
        match names {
            [] => Letters::matching(context, client, &self.filter(), limit).await,
            names => Letters::named(context, client, names).await,
        }
    }
}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(args: DlqArgs, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::List(args) => list::run(args, context).await,
        Verb::Show(args) => show::run(args, context).await,
        Verb::Retry(args) => retry::run(args, context).await,
        Verb::Discard(args) => discard::run(args, context).await,
    }
}
