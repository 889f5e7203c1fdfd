//! `cardctl loadtest generate`: one of several load generators. Nobody is meant to type it: `loadtest run` starts it, as
//! a process or as a pod, reads its lines, and concludes from them.
//!
//! stdout has lines of `card_loadtests::shard::wire`, the last of them what it leaves behind; stderr is talk. It ends with
//! 0 when everything is written, whatever was found: that is for the others to judge who have the other parts.

use std::io::BufRead;
use std::time::Duration;

use card_loadtests::moment::{Doing, Moment};
use card_loadtests::run::{RunError, carry_share};
use card_loadtests::shard::wire::{Line, Progress, pieces};
use card_loadtests::shard::{Assignment, InvalidAssignment, Shard};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::client::{self, ClientError};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Printer;

/// The number of a pod of a Job whose pods have numbers, from 0.
const INDEX: &str = "JOB_COMPLETION_INDEX";

/// A pod that was told to end goes with its log; who reads that has so long to do it.
const LINGER: Duration = Duration::from_secs(1);

/// One of several load generators; `loadtest run` starts it
#[derive(Debug, clap::Args)]
pub(super) struct GenerateArgs {
    /// What all of them do [default: the first line of stdin, whose end ends this]
    #[arg(long, value_name = "JSON")]
    assignment: Option<String>,
    /// Which one this is, from 1 [default: $JOB_COMPLETION_INDEX + 1]
    #[arg(long, value_name = "N")]
    number: Option<u64>,
}

pub(super) async fn run(args: GenerateArgs, context: &Context) -> Result<Exit, Failure> {
    let text = match args.assignment {
        Some(text) => text,
        None => from_stdin().await?,
    };
    let assignment = Assignment::read(&text).map_err(|error| invalid(&error))?;
    let share = assignment.share(number(args.number)?).map_err(|error| invalid(&error))?;
    let endpoint = context.endpoint().await?;
    let client = client::client(&endpoint)?;
    if !client.is_operator() {
        return Err(ClientError::NoOperatorToken.into());
    }
    let setup = assignment.setup(client, share);
    let (moments, mut seen) = watch::channel(Moment::default());
    let stop = context.stop.clone();
    let running = tokio::spawn(async move { carry_share(&setup, share, &moments, &stop).await });
    let running = AbortOnDropHandle::new(running);
    let mut telling = Telling { generator: share.number(), printer: &context.printer, told: 0.0, doing: None };
    telling.tell(&Moment::default())?;
    while seen.changed().await.is_ok() {
        let moment = seen.borrow_and_update().clone();
        telling.tell(&moment)?;
    }
    let shard = running.await.unwrap_or_else(|panic| Err(RunError::Generator(panic.to_string())));
    hand_over(shard.map_err(super::run::failure)?, &context.printer)?;
    if context.stop.is_cancelled() {
        tokio::time::sleep(LINGER).await;
    }
    Ok(Exit::Done)
}

fn hand_over(shard: Shard, printer: &Printer) -> Result<(), Failure> {
    for piece in pieces(shard).map_err(Failure::internal)? {
        line(&piece, printer)?;
    }
    Ok(())
}

fn line(line: &Line, printer: &Printer) -> Result<(), Failure> {
    printer.raw(serde_json::to_string(line).map_err(Failure::internal)?)
}

/// Says how far it is: each second, and when something else begins.
struct Telling<'a> {
    generator: u64,
    printer: &'a Printer,
    told: f64,
    doing: Option<(Doing, bool)>,
}

impl Telling<'_> {
    fn tell(&mut self, moment: &Moment) -> Result<(), Failure> {
        let now = (moment.doing, moment.broken.is_some());
        let new = moment.second.as_ref().is_some_and(|second| second.t > self.told);
        if !new && self.doing == Some(now) {
            return Ok(());
        }
        let progress = Progress::of(self.generator, moment, self.told);
        self.doing = Some(now);
        self.told = moment.second.as_ref().map_or(self.told, |second| second.t);
        line(&Line::Progress(Box::new(progress)), self.printer)
    }
}

/// The first line. When stdin ends after that, whoever started this is gone, and so is the use of going on.
async fn from_stdin() -> Result<String, Failure> {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut first = String::new();
        let read = std::io::stdin().lock().read_line(&mut first).map(|_| first);
        if tell.send(read).is_ok() {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            std::process::exit(i32::from(Exit::Terminated as u8));
        }
    });
    told.await.map_err(Failure::internal)?.map_err(Failure::internal)
}

fn number(given: Option<u64>) -> Result<u64, Failure> {
    let of_pod = || std::env::var(INDEX).ok()?.parse::<u64>().ok()?.checked_add(1);
    given.or_else(of_pod).ok_or_else(|| {
        Failure::new("usage", Exit::Usage, "which generator this is was not said")
            .fix(format!("use `cardctl loadtest run --generators N`; it sets --number or ${INDEX}"))
    })
}

fn invalid(error: &InvalidAssignment) -> Failure {
    let (exit, fix) = match error {
        InvalidAssignment::Version(_) => (Exit::NotReady, "let image and command line be of one version"),
        _ => (Exit::Usage, "use `cardctl loadtest run --generators N`: it starts the generators"),
    };
    Failure::new("assignment", exit, error.to_string()).fix(fix)
}
