//! `cardctl status`: what runs where, and what waits.

mod document;
mod kubernetes;
mod observe;
mod processes;

use std::time::Duration;

use card_core::time::{format_duration, parse_duration};
use clap::ValueEnum;
use tokio::time::Instant;

pub(crate) use self::document::alive;
use self::document::{Document, State};
use self::observe::Observer;
use crate::client::command;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Format;
use card_core::exit::Exit;

/// Show the components, the queue and the workers
///
/// Exit code: 0 ready, 8 starting or partly ready, 4 not running or unreachable.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl status                      show the status once
  cardctl status --watch              follow it until Ctrl-C
  cardctl status --wait               wait until the platform is ready
  cardctl status --wait --for idle    wait until no task is waiting or running
  cardctl status -o json              print a JSON document")]
pub struct StatusArgs {
    /// Follow changes until Ctrl-C
    #[arg(long, conflicts_with = "wait")]
    watch: bool,
    /// Wait until the condition of --for holds
    #[arg(long)]
    wait: bool,
    /// Condition to wait for
    #[arg(long = "for", value_enum, default_value_t, value_name = "CONDITION", requires = "wait")]
    condition: Condition,
    /// Maximum wait (exit 124 after that)
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration, requires = "wait")]
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Condition {
    /// API is ready and a worker is alive
    #[default]
    Ready,
    /// Platform is ready, and no task is waiting, running or retrying
    Idle,
}

const WATCH_PERIOD: Duration = Duration::from_secs(1);
const WAIT_PERIOD: Duration = Duration::from_millis(100);

/// Runs it.
///
/// # Errors
/// The settings or the output can't be used.
pub async fn run(args: StatusArgs, context: &Context) -> Result<Exit, Failure> {
    if args.watch {
        return watch(context).await;
    }
    let mut observer = Observer::new(context)?;
    if args.wait {
        return wait(&args, &mut observer, context).await;
    }
    let document = observer.look().await;
    show(&document, context)?;
    Ok(document.exit())
}

async fn wait(args: &StatusArgs, observer: &mut Observer<'_>, context: &Context) -> Result<Exit, Failure> {
    let deadline = Instant::now() + args.timeout;
    let mut said = None;
    loop {
        let document = observer.look().await;
        let holds = match args.condition {
            Condition::Ready => document.state == State::Ready,
            Condition::Idle => document.state == State::Ready && document.is_idle(),
        };
        if holds {
            show(&document, context)?;
            return Ok(Exit::Done);
        }
        let summary = document.summary();
        if said.as_ref() != Some(&summary) {
            context.printer.step(&summary);
            said = Some(summary);
        }
        tokio::select! {
            () = tokio::time::sleep(WAIT_PERIOD) => {}
            () = context.stop.cancelled() => return Err(context.interruption()),
            () = tokio::time::sleep_until(deadline) => {
                show(&document, context)?;
                context.printer.say(format!("timed out after {}", format_duration(args.timeout)));
                return Ok(Exit::Timeout);
            }
        }
    }
}

async fn watch(context: &Context) -> Result<Exit, Failure> {
    let printer = &context.printer;
    if printer.format() == Format::Json {
        return Err(Failure::new("usage", Exit::Usage, "--watch is a stream, and -o json is one document")
            .fix("cardctl status --watch -o jsonl"));
    }
    let mut observer = Observer::new(context)?;
    let mut shown = None;
    loop {
        let document = observer.look().await;
        if printer.is_text() && printer.out_is_terminal() {
            printer.redraw(document.text(printer.out()))?;
        } else {
            let summary = document.summary();
            if shown.as_ref() != Some(&summary) {
                printer.text(&summary)?;
                printer.data(&document)?;
                shown = Some(summary);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(WATCH_PERIOD) => {}
            () = context.stop.cancelled() => return Ok(context.interrupted()),
        }
    }
}

fn show(document: &Document, context: &Context) -> Result<(), Failure> {
    context.printer.data(document)?;
    context.printer.text(document.text(context.printer.out()))?;
    if document.state == State::Down {
        context.printer.say(format!("fix: {}", command(context, "up -d")));
    }
    Ok(())
}
