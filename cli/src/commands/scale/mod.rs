//! `cardctl scale`: another number of processes, while they run.

mod assignment;
mod kubernetes;

use std::time::Duration;

use card_core::process::Part;
use card_core::time::{format_duration, parse_duration};
use serde::Serialize;
use tokio::time::Instant;

use self::assignment::Wanted;
use crate::context::{Context, Target};
use crate::failure::Failure;
use crate::instance::{Local, Phase, Record};
use crate::supervisor::control::{Ask, Asked, Control, State};
use crate::supervisor::{Child, Condition};
use card_core::exit::Exit;

/// Change the number of workers or servers
///
/// Works with -t processes, minikube and kube. New workers start as soon as they are ready; the newest ones finish their
/// tasks and stop first. Returns when the counts are reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl scale workers=4             run four workers
  cardctl scale workers=8 servers=2   run eight workers and two servers
  cardctl scale workers=8 -t kube     run eight workers in a Kubernetes cluster")]
pub struct ScaleArgs {
    /// Target counts: workers=N, servers=N
    #[arg(required = true, value_name = "WHAT=N")]
    wanted: Vec<String>,
    /// Maximum wait until the counts are reached
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    wait_timeout: Duration,
}

#[derive(Serialize)]
struct Document<'a> {
    instance: &'a str,
    target: &'a str,
    workers: Change,
    servers: Change,
    took_ms: u128,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Change {
    from: usize,
    to: usize,
}

const LOOK: Duration = Duration::from_millis(50);

/// Runs it.
///
/// # Errors
/// It is not asked for what there can be, or does not come about.
pub async fn run(args: ScaleArgs, context: &Context) -> Result<Exit, Failure> {
    let wanted = Wanted::read(&args.wanted)?;
    if let Target::Kubernetes(kind) = context.target()? {
        return kubernetes::run(wanted, args.wait_timeout, kind, context).await;
    }
    let record = running(&wanted, context)?;
    let began = Instant::now();
    let paths = &context.instance;
    let mut control = Control::connect(paths).await.map_err(|error| silent(&error.into(), context))?;
    let before = ask(&mut control, Ask::State, context).await?;
    let mut state = ask(&mut control, Ask::Scale { workers: wanted.workers, servers: wanted.servers }, context).await?;
    let mut said = String::new();
    while let Some(pending) = pending(&state, &wanted) {
        if said != pending {
            context.printer.step(&pending);
            said = pending;
        }
        if began.elapsed() >= args.wait_timeout {
            return Err(late(&state, &said, args.wait_timeout, context));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = context.stop.cancelled() => return Err(context.interruption().left("the supervisor continues with it")),
        }
        state = ask(&mut control, Ask::State, context).await?;
    }
    let workers = Change { from: before.workers, to: state.workers };
    let servers = Change { from: before.servers, to: state.servers };
    show(record.target.name(), workers, servers, began.elapsed(), context)?;
    Ok(Exit::Done)
}

fn show(target: &str, workers: Change, servers: Change, took: Duration, context: &Context) -> Result<(), Failure> {
    let printer = &context.printer;
    printer.data(&Document {
        instance: &context.instance.name,
        target,
        workers,
        servers,
        took_ms: took.as_millis(),
    })?;
    for (name, Change { from, to }) in [("workers", workers), ("servers", servers)] {
        let change = if from == to { format!("{to}, as before") } else { format!("{from} → {to}") };
        printer.text(format!("{name}  {change}"))?;
    }
    Ok(())
}

fn running(wanted: &Wanted, context: &Context) -> Result<Record, Failure> {
    if let Target::Url(url) = context.target()? {
        return Err(Failure::new("usage", Exit::Usage, "scale only changes a platform on this machine")
            .evidence(format!("the target is {url}"))
            .fix("scale it on the machine where it runs"));
    }
    let record = Record::running(&context.instance).filter(|record| record.phase == Phase::Serving);
    let record = record.ok_or_else(|| context.nothing_runs())?;
    if record.target == Local::Embedded {
        let message = "an embedded platform is one process, and its number of workers is set when it starts";
        let workers = wanted.workers.unwrap_or(record.workers);
        return Err(Failure::new("not-scalable", Exit::NotReady, message)
            .fix(format!("{} up -d --workers {workers} --restart", context.program()))
            .left("nothing was changed"));
    }
    Ok(record)
}

async fn ask(control: &mut Control, ask: Ask, context: &Context) -> Result<State, Failure> {
    control.ask(ask).await.map_err(|error| match error {
        Asked::Refused(shape) => (*shape).into(),
        silent_one => silent(&silent_one, context),
    })
}

fn silent(error: &Asked, context: &Context) -> Failure {
    Failure::new("supervisor", Exit::Unknown, error.to_string())
        .evidence(context.instance.control().display())
        .fix(format!("{} status", context.program()))
}

/// What is not yet as wanted; none if all is.
fn pending(state: &State, wanted: &Wanted) -> Option<String> {
    let of = |part: Part, wanted: Option<usize>| {
        let wanted = wanted?;
        let there: Vec<&Child> = state.children.iter().filter(|child| child.part == part).collect();
        let up = there.iter().filter(|child| child.condition == Condition::Up).count();
        (up != wanted || there.len() != wanted)
            .then(|| format!("{}s: {up} of {wanted} ready, {} starting", part.as_str(), there.len() - up))
    };
    let pending: Vec<_> =
        [of(Part::Server, wanted.servers), of(Part::Worker, wanted.workers)].into_iter().flatten().collect();
    (!pending.is_empty()).then(|| pending.join("; "))
}

fn late(state: &State, pending: &str, limit: Duration, context: &Context) -> Failure {
    let message = format!("timed out after {}: {pending}", format_duration(limit));
    let stuck = state.children.iter().filter(|child| child.condition != Condition::Up);
    stuck
        .map(Child::words)
        .fold(Failure::new("not-scaled", Exit::Timeout, message), Failure::evidence)
        .fix(format!("{} logs --level warn, or wait longer with --wait-timeout", context.program()))
        .left("the supervisor continues with it")
}
