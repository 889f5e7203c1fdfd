//! Handles dead letters at a rate, in calls that are short enough to be stopped between two, and knows of each what
//! became of it.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use card_core::ids::TaskId;
use serde::Serialize;
use tokio::time::Instant;

use super::progress::Progress;
use crate::client::{Bulk, BulkFilter, BulkPace, Client, ClientError, Refused};
use crate::commands::submit::rate::Rate;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Format;
use card_core::exit::Exit;

/// What a call may name.
const BATCH: f64 = 1000.0;
/// A call with a rate takes about so long, in seconds: as long as Ctrl-C may have to wait.
const STRETCH: f64 = 0.25;
/// The highest rate that a call takes; what is above it is as fast as can be.
const HIGHEST_RATE: f64 = 100_000.0;

pub(super) const GO_ON: &str = "run the same command again to continue with the rest";

/// What is done to each.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation<'a> {
    Retry,
    Discard { reason: &'a str },
}

impl Operation<'_> {
    /// What became of a letter that was handled.
    pub(super) const fn done(self) -> &'static str {
        match self {
            Self::Retry => "queued again",
            Self::Discard { .. } => "discarded",
        }
    }

    const fn outcome(self) -> &'static str {
        match self {
            Self::Retry => "queued",
            Self::Discard { .. } => "discarded",
        }
    }
}

/// A letter in the stream of lines.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    task: TaskId,
    outcome: &'a str,
    canary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_task: Option<TaskId>,
}

/// An operation under way.
pub(super) struct Course<'a> {
    pub(super) context: &'a Context,
    pub(super) client: &'a Client,
    operation: Operation<'a>,
    rate: Option<Rate>,
    progress: Progress<'a>,
    /// How many were handled.
    pub(super) done: u64,
    /// Those that could not be.
    pub(super) refused: Vec<Refused>,
}

impl<'a> Course<'a> {
    /// Of so many letters.
    pub(super) fn new(
        context: &'a Context,
        client: &'a Client,
        operation: Operation<'a>,
        rate: Option<Rate>,
        total: u64,
    ) -> Self {
        let progress = Progress::new(&context.printer, total);
        Self { context, client, operation, rate, progress, done: 0, refused: Vec::new() }
    }

    /// Handles these in turn; says which were handled.
    ///
    /// # Errors
    /// It was interrupted, between two calls. Or the platform did not answer or failed: what was done before is counted,
    /// and of the latest call nothing is known.
    pub(super) async fn handle(&mut self, tasks: Vec<TaskId>, canary: bool) -> Result<Vec<TaskId>, Failure> {
        let begun = Instant::now();
        let mut waiting = VecDeque::from(tasks);
        let (mut handled, mut tried) = (Vec::new(), 0);
        let size = self.rate.map_or(BATCH, |rate| (rate.per_second() * STRETCH).clamp(1.0, BATCH)) as usize;
        while !waiting.is_empty() {
            let due = self.rate.map_or(Duration::ZERO, |rate| rate.due(tried));
            tokio::select! {
                biased;
                () = self.context.stop.cancelled() => return Err(self.context.interruption().fix(GO_ON)),
                () = tokio::time::sleep(due.saturating_sub(begun.elapsed())) => {}
            }
            let batch: Vec<TaskId> = waiting.drain(..size.min(waiting.len())).collect();
            let bulk = self.send(&batch).await?;
            let done = self.account(&batch, bulk, &mut waiting, canary)?;
            tried += done.len() as u64;
            handled.extend(done);
            self.progress.at(self.done, self.operation.done());
        }
        Ok(handled)
    }

    async fn send(&self, batch: &[TaskId]) -> Result<Bulk, ClientError> {
        let filter = BulkFilter { tasks: batch.to_vec(), ..BulkFilter::default() };
        // One by itself has no rate: when it is due is decided here.
        let rate = self.rate.filter(|_| batch.len() > 1).map(|rate| rate.per_second().min(HIGHEST_RATE));
        let pace = BulkPace { rate, ..BulkPace::default() };
        match self.operation {
            Operation::Retry => self.client.retry_dead(&filter, pace).await,
            Operation::Discard { reason } => self.client.discard_dead(&filter, reason, pace).await,
        }
    }

    /// Takes in an answer. Of those that were not refused the first are done, the others go back to the front.
    fn account(
        &mut self,
        batch: &[TaskId],
        bulk: Bulk,
        waiting: &mut VecDeque<TaskId>,
        canary: bool,
    ) -> Result<Vec<TaskId>, Failure> {
        let refused: HashSet<TaskId> = bulk.refused.iter().map(|refused| refused.task).collect();
        let mut done: Vec<TaskId> = batch.iter().copied().filter(|task| !refused.contains(task)).collect();
        let untried = done.split_off(usize::try_from(bulk.done).unwrap_or(usize::MAX).min(done.len()));
        untried.iter().rev().for_each(|task| waiting.push_front(*task));
        self.done += done.len() as u64;
        for task in &done {
            self.tell(*task, self.operation.outcome(), canary, None)?;
        }
        let mut failure = None;
        for refused in bulk.refused {
            // That is about the ledger, not about this letter; it may have been handled or not.
            if refused.code.status() >= 500 {
                failure = Some(refused.code);
                continue;
            }
            self.tell(refused.task, refused.code.as_str(), canary, refused.open_task)?;
            self.refused.push(refused);
        }
        if let Some(code) = failure {
            return Err(
                Failure::new(code.as_str(), Exit::NotReady, "the platform failed during the operation").fix(GO_ON)
            );
        }
        if done.is_empty() && refused.is_empty() {
            return Err(Failure::new(
                "no-progress",
                Exit::NotReady,
                "the platform accepts none of them; it may be stopping",
            )
            .fix(GO_ON));
        }
        Ok(done)
    }

    fn tell(&self, task: TaskId, outcome: &str, canary: bool, open_task: Option<TaskId>) -> Result<(), Failure> {
        match self.context.printer.format() {
            Format::Jsonl => self.context.printer.data(&Line { kind: "letter", task, outcome, canary, open_task }),
            _ => Ok(()),
        }
    }
}
