//! `cardctl logs`: what the background process says.

mod follow;
mod kubernetes;
mod line;
mod selector;

use std::time::Duration;

use card_core::ids::TaskId;
use card_core::time::{Instant, parse_duration};
use serde::Serialize;

use self::follow::Follower;
use self::line::{Filter, Level, Line};
use self::selector::{Selector, SelectorParser};
use crate::context::{Context, Target};
use crate::failure::Failure;
use crate::instance::Record;
use crate::output::{Format, Paint};
use card_core::exit::Exit;

/// Show the platform's logs
///
/// Reads the log of the background process, which is kept after it stops. A platform in the foreground logs to its own
/// terminal.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl logs                        show the whole log
  cardctl logs -f --level warn        follow warnings and errors
  cardctl logs worker --since 10m     show the last ten minutes of the workers
  cardctl logs supervisor worker-2    show the supervisor and one worker (-t processes)
  cardctl logs -o jsonl               print one JSON object per line")]
pub struct LogsArgs {
    /// Components: server, worker, issuer, engine, process, supervisor, or one child such as worker-2; in a Kubernetes
    /// cluster also postgres, redis, prometheus, generator [default: all]
    #[arg(value_name = "COMPONENT", value_parser = SelectorParser)]
    components: Vec<Selector>,
    /// Follow new lines until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Filter by age, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Minimum level: error, warn, info, debug or trace [default: trace]
    #[arg(long, value_enum, value_name = "LEVEL")]
    level: Option<Level>,
    /// Filter by task id
    #[arg(long, value_name = "ID")]
    task: Option<TaskId>,
}

#[derive(Serialize)]
struct Document {
    lines: Vec<serde_json::Value>,
}

/// A line of a pod in words, if it is a warning or worse.
pub(crate) fn complaint(text: &str, pod: &str) -> Option<String> {
    let line = Line::of_pod(text, pod, None);
    line.is_complaint().then(|| line.render(Paint::plain()))
}

const POLL: Duration = Duration::from_millis(100);

/// Runs it.
///
/// # Errors
/// There is no log, or it can't be read.
pub async fn run(args: LogsArgs, context: &Context) -> Result<Exit, Failure> {
    if let Target::Kubernetes(kind) = context.target()? {
        return kubernetes::run(args, kind, context).await;
    }
    if let Target::Url(url) = context.target()? {
        return Err(Failure::new("usage", Exit::Usage, "logs only reads the log of a platform on this machine")
            .evidence(format!("the target is {url}"))
            .fix("read the log on that server"));
    }
    let printer = &context.printer;
    if args.follow && printer.format() == Format::Json {
        return Err(Failure::new("usage", Exit::Usage, "-f is a stream, and -o json is one document")
            .fix("cardctl logs -f -o jsonl"));
    }
    if let Some(record) = Record::running(&context.instance).filter(|record| !record.detached) {
        let pid = record.process.pid;
        printer.say(format!(
            "the platform runs in the foreground of process {pid} and logs to its terminal; this is the log of an earlier run"
        ));
    }
    let filter = Filter {
        components: args.components,
        since: args.since.map(|since| Instant::now().minus(since)),
        level: args.level,
        task: args.task,
    };
    let paths = &context.instance;
    if !paths.log().exists() {
        return Err(Failure::new("no-log", Exit::Unknown, "there is no log")
            .evidence(format!("{} does not exist", paths.log().display()))
            .fix(format!("{} up -d", context.program())));
    }
    let mut follower = Follower::new(paths);
    let mut gathered = Vec::new();
    loop {
        let lines = follower.read().map_err(|error| {
            Failure::new("log", Exit::NotReady, format!("the log can't be read: {error}"))
                .evidence(paths.log().display())
                .fix("run this as the user who started the platform")
        })?;
        let read_any = !lines.is_empty();
        for text in lines {
            let line = Line::parse(&text);
            if !filter.lets_through(&line) {
                continue;
            }
            match printer.format() {
                Format::Text => printer.text(line.render(printer.out()))?,
                Format::Jsonl => printer.data(&line.document())?,
                Format::Json => gathered.push(line.document()),
            }
        }
        if read_any {
            continue;
        }
        if !args.follow {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = context.stop.cancelled() => return Ok(context.interrupted()),
        }
    }
    if printer.format() == Format::Json {
        printer.data(&Document { lines: gathered })?;
    }
    Ok(Exit::Done)
}
