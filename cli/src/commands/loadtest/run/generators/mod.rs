//! Several load generators, wherever they run: started, watched, ended together, and what they left behind put together.
//!
//! How they are started and heard is the affair of those who make a [`Crew`]: [`processes`] here, a Job in a cluster in
//! [`job`](super::job).

pub(super) mod processes;
mod report;
mod runs;

use std::collections::VecDeque;
use std::time::Duration;

use card_loadtests::judge::INTERRUPTED;
use card_loadtests::result::Report;
use card_loadtests::shard::wire::{self, Assembly, Line};
use card_loadtests::shard::{Assignment, Watched};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(super) use self::runs::Runs;
use super::live::Live;
use crate::context::Context;
use crate::failure::Failure;

/// Lines of a generator that are kept for when it fails.
const LAST_LINES: usize = 10;
/// And how much of each.
const LAST_LINE: usize = 300;
const LOOK: Duration = Duration::from_millis(200);
/// Once they were told to end, or their time is up, they have so long beyond what ending takes.
const GRACE: Duration = Duration::from_secs(30);

/// What is heard of generators, each by its number.
#[derive(Debug)]
pub(super) enum Heard {
    /// A line that it wrote.
    Line(u64, String),
    /// It says nothing more; how it ended, in words.
    Gone(u64, String),
    /// What should be said now, such as what they wait for.
    Word(String),
}

/// Generators that were started.
pub(super) struct Crew {
    /// What is heard of them; ends when nothing more will be.
    pub(super) heard: mpsc::Receiver<Heard>,
    /// Cancelled: they end the load, audit what was accepted until then, and hand over.
    pub(super) stop: CancellationToken,
    /// Cancelled: they end at once.
    pub(super) kill: CancellationToken,
}

/// One of them, as it is heard.
#[derive(Default)]
struct Generator {
    assembly: Assembly,
    last_lines: VecDeque<String>,
    ended: Option<String>,
}

impl Generator {
    fn wrote(&mut self, line: &str) {
        if self.last_lines.len() == LAST_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line.chars().take(LAST_LINE).collect());
    }
}

/// Watches them until all have ended, and puts together what they left behind. The second is a reader of stdout who went
/// away.
pub(super) async fn carry(
    assignment: &Assignment,
    mut crew: Crew,
    context: &Context,
) -> (Result<Report, Failure>, Result<(), Failure>) {
    let mut live = Live::new(&context.printer, assignment.plan.model);
    let mut watched = Watched::new(&assignment.plan, assignment.generators);
    let mut generators: Vec<Generator> = (0..assignment.generators).map(|_| Generator::default()).collect();
    let (mut cause, mut shown, mut told) = (None::<String>, Ok(()), false);
    let mut looks = tokio::time::interval(LOOK);
    let limit = tokio::time::sleep(assignment.limit() + GRACE);
    tokio::pin!(limit);
    loop {
        let why = tokio::select! {
            heard = crew.heard.recv() => match heard {
                Some(heard) => hear(heard, &mut generators, &mut watched, context),
                None => break,
            },
            _ = looks.tick() => {
                if shown.is_ok() {
                    shown = live.show(&watched.moment());
                }
                shown.is_err().then(|| INTERRUPTED.to_owned())
            }
            () = context.stop.cancelled(), if !told => {
                told = true;
                context.printer.say("stopping: waiting for accepted tasks and the audit; press again to quit at once");
                Some(INTERRUPTED.to_owned())
            }
            () = &mut limit, if !crew.kill.is_cancelled() => {
                crew.kill.cancel();
                Some(format!("{INTERRUPTED}: the generators did not finish in time"))
            }
        };
        if let Some(why) = why.filter(|_| cause.is_none()) {
            cause = Some(why);
            crew.stop.cancel();
        }
    }
    let report = report::of(&generators, cause.as_deref());
    if let (Ok(report), Ok(())) = (&report, &shown) {
        shown = live.rest(&report.timeline);
    }
    (report, shown)
}

/// Takes in what was heard; why the load must end, if it must.
fn hear(heard: Heard, generators: &mut [Generator], watched: &mut Watched, context: &Context) -> Option<String> {
    let (number, line) = match heard {
        Heard::Word(word) => {
            context.printer.say(context.printer.err().dim(word));
            return None;
        }
        Heard::Gone(number, how) => {
            watched.gone(number);
            let generator = at(generators, number)?;
            generator.ended = Some(how);
            // Without it the load is not the planned one: the others need not go on. One that was ended by somebody else (its
            // node is emptied) hands over what it has.
            let in_time = generator.assembly.open().is_ok_and(|shard| shard.ended_early.is_none());
            return (!in_time).then(|| format!("{INTERRUPTED}: generator {number} exited early"));
        }
        Heard::Line(number, line) => (number, line),
    };
    let generator = at(generators, number)?;
    match wire::read(&line) {
        Some(Line::Progress(progress)) if progress.generator == number => watched.take(*progress),
        Some(Line::Shard(piece)) if piece.generator == number => {
            generator.assembly.take(piece);
            None
        }
        _ => {
            if !line.trim().is_empty() {
                generator.wrote(&line);
            }
            None
        }
    }
}

fn at(generators: &mut [Generator], number: u64) -> Option<&mut Generator> {
    generators.get_mut(usize::try_from(number.checked_sub(1)?).ok()?)
}
