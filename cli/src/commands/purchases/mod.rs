//! `cardctl purchases`: buy, list, summary.

mod buy;
mod list;
mod summary;

use card_core::ids::UserId;
use card_core::time::Instant;

use crate::client::PurchaseQuery;
use crate::commands::submit::time;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cardctl purchases buy 12.50 --item kettle -w
  cardctl purchases list --owner usr_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b
  cardctl purchases summary --owner usr_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b --from 2026-01-01T00:00:00Z";

/// Buy, and read purchase histories
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
pub struct PurchasesArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Buy(buy::BuyArgs),
    List(list::ListArgs),
    Summary(summary::SummaryArgs),
}

impl PurchasesArgs {
    /// Whether it sends a request, and says what became of it when it is cut off.
    pub(crate) const fn buys(&self) -> bool {
        matches!(self.verb, Verb::Buy(_))
    }
}

/// User and times of a history.
#[derive(Debug, clap::Args)]
struct HistoryArgs {
    /// User whose purchases are meant
    #[arg(long, value_name = "USER")]
    owner: UserId,
    /// Earliest time, such as 2026-01-31T12:00:00Z [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Instant>,
    /// Time to stop before, such as 2026-02-01T00:00:00Z [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Instant>,
}

impl HistoryArgs {
    fn query(&self) -> Result<PurchaseQuery, Failure> {
        if self.from.zip(self.to).is_some_and(|(from, to)| from > to) {
            return Err(Failure::new("usage", Exit::Usage, "--to is before --from").fix("exchange the two times"));
        }
        Ok(PurchaseQuery { owner: Some(self.owner), from: self.from, to: self.to })
    }
}

/// Does what was asked.
///
/// # Errors
/// Whatever the verb says.
pub async fn run(args: PurchasesArgs, context: &Context) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Buy(args) => buy::run(args, context).await,
        Verb::List(args) => list::run(args, context).await,
        Verb::Summary(args) => summary::run(args, context).await,
    }
}
