//! `cardctl loadtest run`: load, drain, audit, verdicts, reports, clean-up.

mod baseline;
mod flags;
mod generators;
mod github;
mod job;
mod live;
mod place;
mod plan;
mod render;
mod tidy;
mod verdict;

use std::path::PathBuf;

use card_client::ClientError;
use card_client::orders::Orders;
use card_client::retries::past_a_gateway;
use card_core::ids::RunId;
use card_loadtests::judge::{self, judge};
use card_loadtests::moment::Moment;
use card_loadtests::plan::Plan;
use card_loadtests::result::{Report, Verdict};
use card_loadtests::run::{RunError, Setup, carry_out};
use card_loadtests::shard::{self, Assignment};
use card_loadtests::share;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::baseline::Baseline;
pub(super) use self::flags::RunArgs;
use self::generators::{Crew, Runs, processes};
use self::live::Live;
use self::place::{Place, history};
use super::values::Runner;
use crate::client::{self, raise_connection_limit};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Format;
use card_core::exit::Exit;

/// The last line of the stream under `-o jsonl`.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    report: &'a serde_json::Map<String, serde_json::Value>,
}

pub(super) async fn run(args: RunArgs, context: &Context) -> Result<Exit, Failure> {
    let plan = args.plan()?;
    let options = args.options();
    let run = RunId::new();
    share::check(&plan, &run, args.generators).map_err(|error| {
        Failure::new("usage", Exit::Usage, error.to_string()).fix("use fewer --generators, or another load")
    })?;
    let job = match args.runner {
        Runner::Local => None,
        Runner::Job => {
            let kind = job::kind(context)?;
            Some(job::image(args.image.clone(), kind, context)?)
        }
    };
    let endpoint = context.endpoint().await?;
    let client = client::client(&endpoint)?;
    if !client.is_operator() {
        return Err(ClientError::NoOperatorToken.into());
    }
    // Whether it answers at all, before a directory is made for it.
    let answers = context.stop.run_until_cancelled(past_a_gateway(|| client.stats())).await;
    answers.ok_or_else(|| context.interruption())??;
    let baseline =
        args.baseline.as_ref().map(|named| Baseline::find(named, &history(&context.instance))).transpose()?;
    let place = Place::open(args.out.clone(), args.kinds(), &run, &context.instance)?;
    let seed = args.seed.unwrap_or_else(Orders::fresh_seed);
    let printer = &context.printer;
    let by = match (&job, args.generators) {
        (None, 1) => String::new(),
        (None, several) => format!(" by {several} generators"),
        (Some(_), 1) => " from inside the cluster".to_owned(),
        (Some(_), several) => format!(" by {several} generators inside the cluster"),
    };
    let line = format!("run {run}  seed {seed}  target {}  {}{by}", endpoint.target, plan::in_words(&plan));
    printer.say(printer.err().dim(line));
    let files = raise_connection_limit().filter(|_| job.is_none());
    for warning in warnings(&plan, args.generators, files) {
        printer.say(printer.err().warn(warning));
    }
    let runs = Runs::of(&run, &plan, args.generators);
    let setup = Setup {
        client: client.clone(),
        target: endpoint.target.clone(),
        run: run.clone(),
        seed,
        plan,
        ledger: Some(place.ledger()),
    };
    let (report, watched) = match (job, args.generators) {
        (Some(image), generators) => {
            let assignment = assignment(setup, generators, None);
            together(&assignment, job::start(&assignment, &image, context).await, context).await
        }
        (None, 1) => {
            let (report, watched) = carry(setup, context).await;
            (report.map_err(|error| Nothing { made: made(&error), failure: failure(error, context) }), watched)
        }
        (None, generators) => {
            let assignment = assignment(setup, generators, Some(place.dir().to_owned()));
            together(&assignment, processes::start(&assignment, &endpoint), context).await
        }
    };
    let mut report = match report {
        Ok(report) => report,
        Err(nothing) => {
            place.abandon();
            tidy::meetings(&client, &runs).await;
            if nothing.made {
                tidy::kept(context, &runs.own, "objects created before that still exist");
            }
            return Err(nothing.failure);
        }
    };
    if let Some(baseline) = baseline {
        report.regression = Some(baseline.compare(&report, &options));
    }
    judge(&mut report);
    let exit = exit(&report, context);
    report.exit = exit as u8;
    let written = place.write(&report);
    place.prune();
    let shown = match watched {
        Ok(()) => show(&report, exit, &place, &written, context),
        gone => gone,
    };
    for failure in written.failures {
        tidy::say(printer, failure);
    }
    github::tell(&report, &place, printer);
    tidy::tidy(context, &client, &runs, args.keep, &report).await;
    shown.map(|()| exit)
}

/// Files that a generator has open besides its connections.
const OTHER_FILES: u64 = 24;

/// What should be known before anything is sent. `files`: how many a generator on this machine may have open.
fn warnings(plan: &Plan, generators: u64, files: Option<u64>) -> Vec<String> {
    let weakened = plan.weakened();
    let mut warnings: Vec<String> =
        weakened.iter().map(|(known, taken)| format!("note: {}", judge::weakened(known, taken))).collect();
    let needed = plan.connections().map(|connections| connections.div_ceil(generators.max(1)) + OTHER_FILES);
    if let Some((needed, files)) = needed.zip(files).filter(|(needed, files)| needed > files) {
        warnings.push(format!(
            "warning: a generator can open {files} files (ulimit -n), and this load needs about {needed}: requests that can't be sent make the result inconclusive"
        ));
    }
    warnings
}

/// Why there is no result.
struct Nothing {
    failure: Failure,
    /// Whether something may have been made on the platform.
    made: bool,
}

fn made(error: &RunError) -> bool {
    matches!(error, RunError::Ledger(_) | RunError::Generator(_))
}

fn assignment(setup: Setup, generators: u64, ledgers: Option<PathBuf>) -> Assignment {
    let Setup { target, run, seed, plan, .. } = setup;
    Assignment { v: shard::VERSION, run, seed, target, plan, generators, ledgers }
}

/// By generators that are processes or pods of their own.
async fn together(
    assignment: &Assignment,
    crew: Result<Crew, Failure>,
    context: &Context,
) -> (Result<Report, Nothing>, Result<(), Failure>) {
    let crew = match crew {
        Ok(crew) => crew,
        Err(failure) => return (Err(Nothing { failure, made: false }), Ok(())),
    };
    let (report, watched) = generators::carry(assignment, crew, context).await;
    (report.map_err(|failure| Nothing { failure, made: true }), watched)
}

/// Carries it out and shows it meanwhile. The load does not wait for who watches: a terminal may be slow. A reader of
/// stdout who went away ends it early.
async fn carry(setup: Setup, context: &Context) -> (Result<Report, RunError>, Result<(), Failure>) {
    let (moments, mut seen) = watch::channel(Moment::default());
    let stop: CancellationToken = context.stop.child_token();
    let stopped = stop.clone();
    let mut live = Live::new(&context.printer, setup.plan.model);
    let running = tokio::spawn(async move { carry_out(&setup, &moments, &stopped).await });
    let running = AbortOnDropHandle::new(running);
    let mut watched = Ok(());
    let mut told = false;
    loop {
        tokio::select! {
            changed = seen.changed() => if changed.is_err() { break },
            () = context.stop.cancelled(), if !told => {
                told = true;
                context.printer.say("stopping: waiting for accepted tasks and the audit; press again to quit at once");
                continue;
            }
        }
        let moment = seen.borrow_and_update().clone();
        if watched.is_ok() {
            watched = live.show(&moment);
            if watched.is_err() {
                stop.cancel();
            }
        }
    }
    let report = running.await.unwrap_or_else(|panic| Err(RunError::Generator(panic.to_string())));
    if let (Ok(report), Ok(())) = (&report, &watched) {
        watched = live.rest(&report.timeline);
    }
    (report, watched)
}

/// The verdict for people, the document for programs.
fn show(
    report: &Report,
    exit: Exit,
    place: &Place,
    written: &place::Written,
    context: &Context,
) -> Result<(), Failure> {
    let printer = &context.printer;
    match printer.format() {
        Format::Text => verdict::show(report, exit, place, written, printer),
        // As it is in the file: it has its version already.
        Format::Json => printer.own(render::json(report)?.trim_end()),
        Format::Jsonl => {
            let serde_json::Value::Object(mut report) = serde_json::to_value(report).map_err(Failure::internal)? else {
                return Err(Failure::internal("a result is an object"));
            };
            report.remove("v");
            printer.data(&Line { kind: "result", report: &report })
        }
    }
}

/// What was found to be wrong counts whether or not it was interrupted; nothing else does after that.
fn exit(report: &Report, context: &Context) -> Exit {
    if report.correctness.verdict != Verdict::Fail && context.stop.is_cancelled() {
        return context.interrupted();
    }
    Exit::ALL.iter().map(|(exit, _)| *exit).find(|exit| *exit as u8 == report.exit).unwrap_or(Exit::Internal)
}

pub(super) fn failure(error: RunError, context: &Context) -> Failure {
    let message = error.to_string();
    match error {
        RunError::Stream(lost) if lost.refusal.as_ref().is_some_and(|error| error.local().is_some()) => {
            Failure { exit: Exit::Inconclusive, ..Failure::from(lost) }
        }
        RunError::Users(error) if error.local().is_some() => {
            Failure { exit: Exit::Inconclusive, ..Failure::from(error) }
        }
        RunError::Stopped => context.interruption(),
        RunError::Stream(lost) => lost.into(),
        RunError::Users(error) => error.into(),
        RunError::Ledger(_) => Failure::new("ledger", Exit::NotReady, message)
            .fix("free space on the disk, or choose another directory with --out"),
        RunError::Generator(_) => Failure::new("generator", Exit::Internal, message),
    }
}
