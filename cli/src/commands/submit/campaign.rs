//! Sends a number of requests, each by a user of its own, and follows them to their end: one pool of connections, one
//! event stream, opened before the first request.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use card_client::audit::{Audit, Drain, prove};
use card_client::latency::{Latency, Percentiles};
use card_client::ledger::Ledger;
use card_client::observer::Observer;
use card_client::orders::Orders;
use card_core::engine::EventSeq;
use card_core::ids::{RunId, TaskId};
use card_core::tasks::Task;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::rate::Rate;
use super::senders::{Note, spawn};
use crate::client::{Client, ClientError};
use crate::commands::watch::board::Board;
use crate::commands::watch::{PATIENCE, present};
use crate::failure::Failure;

/// What is due after everything was seen to be final, for the reading of the last pages.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// Reasons for waiting that are told; some name the request, and differ for each.
const REASONS: usize = 3;

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The run that everything is tagged with.
    pub run: RunId,
    /// Whether others may use the run too.
    pub joined: bool,
    /// What the requests are made from.
    pub seed: u64,
    pub count: u64,
    /// At once.
    pub concurrency: u64,
    /// How fast; as fast as answers come if none.
    pub rate: Option<Rate>,
    /// What of.
    pub orders: Orders,
    /// Whether to follow them to their end.
    pub follow: bool,
    /// The bound of all of it.
    pub timeout: Duration,
    /// Where the sender's ledger is kept; in memory if none.
    pub ledger: Option<PathBuf>,
}

/// How a campaign ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All that was to be sent was sent, and what was to be followed is final.
    Complete,
    /// The time was up.
    TimeUp,
    /// The command was asked to stop.
    Interrupted,
    /// The event stream was lost for good.
    StreamLost,
}

/// What came of it.
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What was accepted.
    pub board: Board,
    /// Requests that were not accepted, by code.
    pub errors: BTreeMap<&'static str, u64>,
    /// The first of their errors.
    pub first_error: Option<ClientError>,
    /// How often something was sent again because no answer told.
    pub resent: u64,
    /// Answers that were not the platform's, by HTTP status.
    pub by_gateway: BTreeMap<&'static str, u64>,
    /// From the request to its final status.
    pub end_to_end: Percentiles,
    /// The audit, if the requests were followed.
    pub audit: Option<Audit>,
    /// The last event that was seen: where a watch can go on.
    pub cursor: Option<u64>,
}

/// Something that happened, for who shows it.
pub enum Change<'a> {
    /// A request was accepted.
    Accepted(&'a Task),
    /// A task that was accepted changed; with its place in the log if it has one.
    State(&'a Task, Option<EventSeq>),
    /// Requests are tried again for a while: why, and for how long. Told once for each reason.
    Waiting(&'a str, Duration),
}

/// What the event stream said.
struct News {
    task: Task,
    seq: Option<EventSeq>,
    at: Instant,
}

/// Sends and follows. `show` hears of every change in order; `frame` is called ten times a second with the board.
///
/// # Errors
/// The stream can't be opened, the ledger can't be written, or `show` or `frame` failed.
pub async fn drive(
    client: &Client,
    plan: &Plan,
    stop: &CancellationToken,
    mut show: impl FnMut(Change<'_>) -> Result<(), Failure>,
    mut frame: impl FnMut(&Board) -> Result<(), Failure>,
) -> Result<Outcome, Failure> {
    let ledger = Ledger::create(plan.ledger.as_deref(), &plan.run, plan.seed, !plan.joined);
    let ledger = Arc::new(ledger.map_err(|error| ledger_failure(&error))?);
    let (tell, mut told) = mpsc::unbounded_channel();
    let observer = match plan.follow {
        true => {
            let seen = move |task: &Task, seq| drop(tell.send(News { task: task.clone(), seq, at: Instant::now() }));
            // Nothing was sent yet: neither the end of the time nor a signal waits for a stream that does not open.
            let opening = Observer::start(client, &plan.run, PATIENCE.min(plan.timeout), seen);
            match stop.run_until_cancelled(opening).await {
                Some(observer) => Some(observer?),
                None => return Ok(State::default().ended(Ending::Interrupted, None, None)),
            }
        }
        false => {
            drop(tell);
            None
        }
    };
    // Dropped with this future, it ends the senders.
    let sending = stop.child_token();
    let (mut notes, mut senders) = spawn(client, plan, &ledger, &sending);
    let deadline = Instant::now() + plan.timeout;
    let mut state = State::default();
    let mut all_sent = false;
    let ending = loop {
        frame(&state.board)?;
        if all_sent && (observer.is_none() || state.board.counts().pending == 0) {
            break Ending::Complete;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => break Ending::Interrupted,
            () = sleep_until(deadline) => break Ending::TimeUp,
            note = notes.recv(), if !all_sent => match note {
                Some(note) => state.note(note, &mut show)?,
                None => all_sent = true,
            },
            Some(news) = told.recv() => state.told(news, &mut show)?,
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                if observer.as_ref().is_some_and(|observer| observer.lost().is_some()) && all_sent {
                    break Ending::StreamLost;
                }
            }
        }
    };
    sending.cancel();
    // What was sent and not answered yet is followed up, so that the ledger is true.
    while let Some(note) = notes.recv().await {
        state.note(note, &mut show)?;
    }
    while let Some(ended) = senders.join_next().await {
        ended.map_err(Failure::internal)?.map_err(|error| ledger_failure(&error))?;
    }
    ledger.flush().map_err(|error| ledger_failure(&error))?;
    let audit = match &observer {
        Some(observer) if ending != Ending::Interrupted => {
            let bound = if ending == Ending::Complete { LAST_LOOK } else { Duration::ZERO };
            let drain = Drain { bound, ..Drain::default() };
            Some(prove(client, &plan.run, &ledger, observer, drain, |_| {}).await)
        }
        _ => None,
    };
    if ending == Ending::StreamLost {
        // What the stream did not tell any more can still be read.
        for task in present::of_run(client, &plan.run).await.unwrap_or_default() {
            if state.begun.contains_key(&task.id) {
                state.board.update(&task);
            }
        }
    }
    let cursor = observer.as_ref().map(Observer::cursor).filter(|cursor| *cursor > 0);
    Ok(state.ended(ending, audit, cursor))
}

fn ledger_failure(error: &std::io::Error) -> Failure {
    Failure::new("ledger", card_core::exit::Exit::NotReady, "the journal of accepted tasks can't be written")
        .evidence(error)
        .fix("free space on the disk, or choose another directory")
}

#[derive(Default)]
struct State {
    board: Board,
    /// When each request began.
    begun: HashMap<TaskId, Instant>,
    /// States of tasks whose answer is not here yet, or that are somebody else's of the same run.
    early: HashMap<TaskId, News>,
    errors: BTreeMap<&'static str, u64>,
    first_error: Option<ClientError>,
    resent: u64,
    by_gateway: BTreeMap<&'static str, u64>,
    latency: Latency,
    /// Why requests were tried again.
    waited_for: Vec<String>,
}

impl State {
    fn ended(self, ending: Ending, audit: Option<Audit>, cursor: Option<u64>) -> Outcome {
        let Self { board, errors, first_error, resent, by_gateway, latency, .. } = self;
        let end_to_end = latency.percentiles();
        Outcome { ending, board, errors, first_error, resent, by_gateway, end_to_end, audit, cursor }
    }

    fn note(&mut self, note: Note, show: &mut impl FnMut(Change<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
        match note {
            Note::Sent { task, begun } => {
                self.begun.insert(task.id, begun);
                // A repeated request is answered as it was the first time: what the stream said since is newer.
                if self.board.get(task.id).is_none() {
                    self.board.update(&task);
                }
                show(Change::Accepted(&task))?;
                match self.early.remove(&task.id) {
                    Some(news) => self.told(news, show),
                    None => Ok(()),
                }
            }
            Note::Waiting(why, _) if self.waited_for.contains(&why) || self.waited_for.len() >= REASONS => Ok(()),
            Note::Waiting(why, limit) => {
                show(Change::Waiting(&why, limit))?;
                self.waited_for.push(why);
                Ok(())
            }
            Note::Refused(error) => {
                *self.errors.entry(error.name()).or_insert(0) += 1;
                self.first_error.get_or_insert(error);
                Ok(())
            }
            Note::Failed { again, foreign } => {
                self.resent += u64::from(again);
                if let Some(name) = foreign {
                    *self.by_gateway.entry(name).or_insert(0) += 1;
                }
                Ok(())
            }
        }
    }

    fn told(&mut self, news: News, show: &mut impl FnMut(Change<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
        let Some(begun) = self.begun.get(&news.task.id) else {
            self.early.insert(news.task.id, news);
            return Ok(());
        };
        let News { task, seq, at } = news;
        if !self.board.update(&task) {
            return Ok(());
        }
        if task.status.is_final() {
            let took = at.saturating_duration_since(*begun);
            self.latency.record(took);
            self.board.took(task.id, took);
        }
        show(Change::State(&task, seq))
    }
}
