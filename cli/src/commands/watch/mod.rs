//! `cardctl watch`: follows tasks live until all of them are final.
//!
//! Subscribe first, then read the present state, then wait: no change falls between the two.

mod arrivals;
pub mod board;
pub mod lines;
pub mod present;
pub mod screen;

use std::collections::HashSet;
use std::time::Duration;

use card_core::ids::{RunId, TaskId};
use card_core::tasks::Task;
use card_core::time::{Instant as Timestamp, format_duration, parse_duration};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::arrivals::Arrivals;
use self::board::Board;
use self::lines::{StateLine, Summary};
use self::screen::Screen;
use crate::client::{self, Client, Events, Follower, Notice, Scope, StreamLost};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Format, Progress};
use card_core::exit::Exit;

/// The stream may be away for so long before the watch gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// More tasks than this are picked out of the stream of all tasks, not named in the request.
const NAMED: usize = 100;
/// Replayed events come in one burst: when nothing came for so long, the replay is over.
const REPLAY_PAUSE: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  cardctl watch --all                      follow every task until Ctrl-C
  cardctl watch --run nightly --timeout 5m
  cardctl watch --run nightly --expect 100   follow a run until 100 tasks are final
  cardctl watch --run nightly -o jsonl     print one JSON object per change";

/// Follow tasks live until all are final
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["tasks", "run", "all"]))]
pub struct WatchArgs {
    /// Ids of the tasks to follow
    #[arg(value_name = "ID")]
    tasks: Vec<TaskId>,
    /// Follow the tasks of a run
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// Follow every task, until Ctrl-C or --timeout
    #[arg(long)]
    all: bool,
    /// Number of tasks in the run: stop when this many are final [default: stop when all are final and no new one arrives
    /// for a while]
    #[arg(long, value_name = "N", conflicts_with_all = ["tasks", "all"], value_parser = clap::value_parser!(u64).range(1..))]
    expect: Option<u64>,
    /// Maximum duration (exit 124 if tasks are pending after that) [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Resume after this event id, as printed by an interrupted watch
    #[arg(long, value_name = "EVENT")]
    from: Option<u64>,
}

/// How a watch ended.
enum Ending {
    AllFinal,
    TimeUp,
    Interrupted,
    Lost(StreamLost),
}

/// Follows tasks.
///
/// # Errors
/// Nothing runs, or the stream can't be opened.
pub async fn run(args: WatchArgs, context: &Context) -> Result<Exit, Failure> {
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    // The time counts from here: a platform that does not answer must not hold a watch for longer.
    let (mut watch, events) = match deadline {
        None => begin(&args, context).await?,
        Some(deadline) => timeout_at(deadline, begin(&args, context)).await.unwrap_or_else(|_| Err(late(&args)))?,
    };
    let (ending, cursor) = watch.follow(events, deadline).await?;
    watch.finish(ending, cursor)
}

fn late(args: &WatchArgs) -> Failure {
    let limit = args.timeout.map(format_duration).unwrap_or_default();
    let message = format!("timed out after {limit} before the platform listed the tasks to follow");
    Failure::new("timeout", Exit::Timeout, message).fix("cardctl status; or increase --timeout")
}

/// Subscribes and reads the present state.
async fn begin<'a>(args: &'a WatchArgs, context: &'a Context) -> Result<(Watch<'a>, Events), Failure> {
    let client = client::connect(context).await?;
    let named: HashSet<TaskId> = args.tasks.iter().copied().collect();
    let scope = match &args.run {
        Some(run) => Scope::Run(run.clone()),
        None if args.all || named.len() > NAMED => Scope::All,
        None => Scope::Tasks(args.tasks.clone()),
    };
    let events = Events::open(&client, scope, Follower::Operator, args.from, PATIENCE).await?;
    let live = context.printer.progress() == Progress::Bar && context.printer.out_is_terminal();
    let mut watch = Watch {
        context,
        client,
        args,
        named,
        board: Board::default(),
        screen: live.then(|| Screen::new(context, None)),
        gaps: 0,
        arrivals: Arrivals::default(),
    };
    watch.present(args.from.is_none()).await?;
    Ok((watch, events))
}

struct Watch<'a> {
    context: &'a Context,
    client: Client,
    args: &'a WatchArgs,
    named: HashSet<TaskId>,
    board: Board,
    screen: Option<Screen>,
    gaps: u64,
    arrivals: Arrivals,
}

impl Watch<'_> {
    /// Reads the present state; `told` says whether it is news.
    async fn present(&mut self, told: bool) -> Result<(), Failure> {
        let tasks = match &self.args.run {
            Some(run) => present::of_run(&self.client, run).await?,
            None if self.args.all => Vec::new(),
            None => present::of_tasks(self.context, &self.client, &self.args.tasks).await?,
        };
        if tasks.is_empty() && self.args.run.is_some() {
            self.context.printer.say("the run has no tasks yet; waiting for the first one");
        }
        for task in tasks {
            self.take(&task, None, told)?;
        }
        Ok(())
    }

    async fn follow(
        &mut self,
        mut events: Events,
        deadline: Option<Instant>,
    ) -> Result<(Ending, Option<u64>), Failure> {
        let mut replayed = self.args.from.is_none();
        let mut quiet_since = Instant::now();
        loop {
            if let Some(screen) = &mut self.screen {
                screen.draw(&self.context.printer, &self.board);
            }
            if replayed && self.is_over() {
                return Ok((Ending::AllFinal, events.cursor()));
            }
            let frame = Instant::now() + Duration::from_millis(100);
            tokio::select! {
                biased;
                () = self.context.stop.cancelled() => return Ok((Ending::Interrupted, events.cursor())),
                () = sleep_until(deadline.unwrap_or(frame)), if deadline.is_some() => {
                    return Ok((Ending::TimeUp, events.cursor()));
                }
                notice = events.next() => {
                    quiet_since = Instant::now();
                    match notice {
                        Ok(Notice::State { task, seq }) => self.take(&task, seq, true)?,
                        Ok(Notice::Reconnected) => self.context.printer.step("reconnected; nothing was missed"),
                        Ok(Notice::Gap) => {
                            self.gaps += 1;
                            self.context.printer.say("gap: events are no longer in the log; continuing from the current state");
                            self.present(true).await?;
                        }
                        Err(lost) => return Ok((Ending::Lost(lost), events.cursor())),
                    }
                }
                () = sleep_until(frame) => replayed |= quiet_since.elapsed() >= REPLAY_PAUSE,
            }
        }
    }

    /// Whether everything that is followed is final. A run has no end of its own while it is submitted: it is over when there are
    /// as many tasks as it has, or when no new one has come for longer than they kept each other waiting.
    fn is_over(&self) -> bool {
        let counts = self.board.counts();
        if self.args.all || counts.tasks == 0 || counts.pending > 0 {
            return false;
        }
        match (&self.args.run, self.args.expect) {
            (None, _) => true,
            (Some(_), Some(expected)) => counts.tasks >= expected,
            (Some(_), None) => self.arrivals.have_ended(Timestamp::now()),
        }
    }

    fn take(&mut self, task: &Task, seq: Option<u64>, told: bool) -> Result<(), Failure> {
        if !self.named.is_empty() && !self.named.contains(&task.id) {
            return Ok(());
        }
        if self.board.get(task.id).is_none() {
            self.arrivals.note(task.accepted_at, Timestamp::now());
        }
        // A state that is read twice, on the stream and as the present one, is told once.
        if !self.board.update(task) && seq.is_none() {
            return Ok(());
        }
        if let Some(settled) = task.settled_at.filter(|_| task.status.is_final()) {
            self.board.took(task.id, settled.since(task.accepted_at));
        }
        let printer = &self.context.printer;
        if !told {
            return Ok(());
        }
        match printer.format() {
            Format::Jsonl => printer.data(&StateLine::of(task, seq)),
            Format::Text if self.screen.is_none() => printer.text(lines::state(task, printer.out())),
            _ => Ok(()),
        }
    }

    fn finish(mut self, ending: Ending, cursor: Option<u64>) -> Result<Exit, Failure> {
        let printer = &self.context.printer;
        let counts = self.board.counts();
        let failed = counts.failed() > 0;
        let exit = match &ending {
            Ending::Interrupted => self.context.interrupted(),
            Ending::Lost(_) => Exit::Unknown,
            _ if failed => Exit::WorkFailed,
            // A watch of everything has no end of its own: its time being up is how it ends.
            Ending::TimeUp if counts.pending > 0 || (counts.tasks == 0 && !self.args.all) => Exit::Timeout,
            Ending::TimeUp if self.args.expect.is_some_and(|expected| counts.tasks < expected) => Exit::Timeout,
            Ending::TimeUp | Ending::AllFinal => Exit::Done,
        };
        if let Some(mut screen) = self.screen.take() {
            screen.clear();
            let rows = self.board.gravest_first().into_iter().map(|row| screen::cells(row, printer.out())).collect();
            printer.text(printer.table(&screen::HEAD, rows, 3))?;
        }
        printer.text(lines::summary(counts, self.gaps, printer.out()))?;
        printer.data(&Summary::new(counts, self.gaps, exit))?;
        if counts.pending > 0 || matches!(ending, Ending::Interrupted | Ending::Lost(_)) {
            let again = client::command(self.context, &self.again(cursor));
            printer.say(format!("to resume: {}", printer.err().accent(again)));
        }
        match ending {
            Ending::Lost(lost) => {
                let failure = Failure::from(lost);
                // The summary is the one document of this command: the reason goes to people.
                printer.say(failure.render(printer.err()));
            }
            Ending::TimeUp if exit == Exit::Timeout => {
                let limit = self.args.timeout.map(format_duration).unwrap_or_default();
                let goes_on = if counts.pending > 0 { "; pending tasks continue" } else { "" };
                printer.say(format!("timed out after {limit}{goes_on}"));
            }
            _ => {}
        }
        Ok(exit)
    }

    fn again(&self, cursor: Option<u64>) -> String {
        let what = match &self.args.run {
            Some(run) => match self.args.expect {
                Some(expected) => format!("--run {run} --expect {expected}"),
                None => format!("--run {run}"),
            },
            None if self.args.all => "--all".to_owned(),
            None => self.args.tasks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        };
        match cursor {
            Some(cursor) => format!("watch {what} --from {cursor}"),
            None => format!("watch {what}"),
        }
    }
}
