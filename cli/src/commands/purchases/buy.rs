//! `cardctl purchases buy`.

use std::time::Duration;

use card_client::orders::Orders;
use card_core::exit::Exit;
use card_core::ids::RunId;
use card_core::tasks::Task;
use card_core::time::{format_duration, parse_duration};
use card_kinds::TaskKind;
use card_kinds::purchase::{self, NewPurchase, Price, Purchasing};

use crate::client::{self, Caller, Order};
use crate::commands::submit::campaign::{Change, Ending, Plan, drive};
use crate::commands::submit::report;
use crate::context::Context;
use crate::failure::Failure;

/// Buy one thing as a new user
///
/// The user is generated, as those of `cardctl submit` are.
#[derive(Debug, clap::Args)]
pub(super) struct BuyArgs {
    /// Price, such as 12.50: above 0, at most 10^12, with at most 4 decimal places
    #[arg(value_name = "PRICE", allow_negative_numbers = true)]
    price: Price,
    /// Text that says what is bought, at most 200 characters [default: none]
    #[arg(long, value_name = "TEXT")]
    item: Option<String>,
    /// Run id of the request [default: a new one]
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// Wait until the purchase is recorded, then audit it
    #[arg(short, long)]
    watch: bool,
    /// Maximum wait (exit 124 after that)
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = parse_duration)]
    timeout: Duration,
}

pub(super) async fn run(args: BuyArgs, context: &Context) -> Result<Exit, Failure> {
    let purchase = NewPurchase { price: args.price, item: args.item };
    if let Err(errors) = Purchasing::check(&purchase) {
        let wrong = errors.iter().map(|error| format!("--{} {}", error.pointer.trim_start_matches('/'), error.detail));
        return Err(Failure::new("usage", Exit::Usage, wrong.collect::<Vec<_>>().join("; ")));
    }
    let client = client::connect(context).await?;
    let plan = Plan {
        joined: args.run.is_some(),
        run: args.run.unwrap_or_else(RunId::new),
        seed: 0,
        count: 1,
        concurrency: 1,
        rate: None,
        orders: Orders::same(purchase::KIND, Order::of::<Purchasing>(&purchase).payload),
        follow: args.watch,
        timeout: args.timeout,
        ledger: None,
    };
    let printer = &context.printer;
    let mut task = None;
    let show = |change: Change<'_>| {
        match change {
            Change::Accepted(now) | Change::State(now, _) => task = Some(now.clone()),
            Change::Waiting(why, limit) => {
                printer.say(format!("not accepted yet, retrying for up to {}s: {why}", limit.as_secs()));
            }
        }
        Ok(())
    };
    let outcome = drive(&client, &plan, &context.stop, show, |_| Ok(())).await?;
    let exit = report::exit(context, &outcome);
    let Some(mut task) = task else {
        return outcome.first_error.map_or(Ok(exit), |error| Err(error.into()));
    };
    if args.watch && outcome.ending == Ending::Complete {
        // An event of the log tells the status; the whole task tells what was recorded.
        task = client.task(task.id, None, Caller::Operator).await?;
    }
    show_task(&purchase, &task, context)?;
    if outcome.ending == Ending::TimeUp {
        printer.say(format!("timed out after {}; the purchase continues", format_duration(plan.timeout)));
    }
    if let Some(audit) = outcome.audit.as_ref().filter(|_| report::is_wrong(&outcome)) {
        printer.say(report::verdict_line(audit, outcome.ending, printer.err()));
    }
    let words = match task.owner {
        Some(owner) if task.status.is_final() => format!("purchases list --owner {owner}"),
        _ => format!("watch {}", task.id),
    };
    let what = if task.status.is_final() { "to list" } else { "to follow" };
    printer.say(format!("{what}: {}", printer.err().accent(client::command(context, &words))));
    Ok(exit)
}

fn show_task(purchase: &NewPurchase, task: &Task, context: &Context) -> Result<(), Failure> {
    let printer = &context.printer;
    printer.data(task)?;
    let mut facts = vec![
        ("task", task.id.to_string()),
        ("owner", task.owner.map(|owner| owner.to_string()).unwrap_or_default()),
        ("status", printer.out().status(task.status)),
        ("price", purchase.price.to_string()),
    ];
    facts.extend(purchase.item.clone().map(|item| ("item", item)));
    facts.extend(task.error.as_ref().map(|error| ("error", error.to_string())));
    facts.into_iter().try_for_each(|(name, value)| printer.text(format!("{name:<6} {value}")))
}
