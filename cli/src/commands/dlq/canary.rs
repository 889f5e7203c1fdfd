//! The few that go first: the others follow only if none of these died again.

use std::time::Duration;

use card_core::ids::TaskId;
use card_core::tasks::{Status, Task, TaskError};
use card_core::time::format_duration;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::time::Instant;

use super::course::GO_ON;
use crate::client::{self, Caller, Client, ClientError};
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Format;
use card_core::exit::Exit;

/// One long poll; the next follows until the time is up.
const POLL: Duration = Duration::from_secs(20);
/// Waited for at once.
const CONCURRENCY: usize = 64;

/// What became of the canaries.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Canary {
    pub(super) verdict: Verdict,
    tasks: Vec<Fate>,
}

/// Whether the others may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// All ended, none died.
    Passed,
    /// At least one died again.
    Died,
    /// None died, and not all ended in time.
    Pending,
}

/// What became of one.
#[derive(Debug, Clone, Serialize)]
struct Fate {
    task: TaskId,
    status: Status,
    error: Option<TaskError>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    fate: &'a Fate,
}

impl Canary {
    /// Waits for the end of each, at most so long.
    ///
    /// # Errors
    /// The platform does not answer, or the command was interrupted.
    pub(super) async fn watch(
        context: &Context,
        client: &Client,
        tasks: &[TaskId],
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let deadline = Instant::now() + timeout;
        context.printer.step(format!(
            "waiting for {} to finish, at most {}",
            count(tasks.len()),
            format_duration(timeout)
        ));
        let states = stream::iter(tasks).map(async |task| last_state(client, *task, deadline).await);
        // In their order, so that the report has the order of the retry.
        let mut states = std::pin::pin!(states.buffered(CONCURRENCY));
        let mut fates = Vec::with_capacity(tasks.len());
        loop {
            let task = tokio::select! {
                biased;
                () = context.stop.cancelled() => return Err(context.interruption().fix(GO_ON)),
                task = states.try_next() => task?,
            };
            let Some(Task { id, status, error, .. }) = task else { break };
            let fate = Fate { task: id, status, error };
            if context.printer.format() == Format::Jsonl {
                context.printer.data(&Line { kind: "canary", fate: &fate })?;
            }
            fates.push(fate);
        }
        Ok(Self { verdict: verdict(fates.iter().map(|fate| fate.status)), tasks: fates })
    }

    /// Why the others must not follow; none if they may.
    pub(super) async fn objection(&self, context: &Context, client: &Client, timeout: Duration) -> Option<Failure> {
        let all = count(self.tasks.len());
        let mut failure = match self.verdict {
            Verdict::Passed => return None,
            Verdict::Died => {
                let called_off = self.with(|status| status == Status::Cancelled).next().is_some();
                let fate = if called_off { "failed again or were cancelled" } else { "failed again" };
                let message = format!("{} of {all} {fate}", self.with(is_bad).count());
                Failure::new("canary-died", Exit::WorkFailed, message)
            }
            Verdict::Pending => {
                let (pending, time) = (self.with(|status| !status.is_final()).count(), format_duration(timeout));
                Failure::new(
                    "canary-pending",
                    Exit::Timeout,
                    format!("{pending} of {all} did not finish within {time}"),
                )
            }
        };
        let bad = |status: Status| match self.verdict {
            Verdict::Died => is_bad(status),
            _ => !status.is_final(),
        };
        for Fate { task, status, error } in self.with(bad) {
            let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            failure = failure.evidence(format!("{task} is {status}{error}"));
        }
        let paused = client.stats().await.is_ok_and(|stats| stats.queue.paused);
        if paused {
            failure = failure.evidence("the queue is paused");
        }
        let first = self.with(bad).next().map(|fate| (fate.task, fate.status));
        let fix = match (self.verdict, first) {
            (Verdict::Pending, _) if paused => "queue resume".to_owned(),
            (Verdict::Pending, Some((task, _))) => format!("watch {task}"),
            (_, Some((task, Status::Cancelled))) => format!("tasks get {task}"),
            (_, Some((task, _))) => format!("dlq show {task}"),
            (_, None) => "dlq list".to_owned(),
        };
        Some(failure.fix(client::command(context, &fix)))
    }

    fn with(&self, wanted: impl Fn(Status) -> bool) -> impl Iterator<Item = &Fate> {
        self.tasks.iter().filter(move |fate| wanted(fate.status))
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let of = |wanted| self.with(|status| status == wanted).count();
        let all = count(self.tasks.len());
        let parts = [Status::Succeeded, Status::Declined, Status::Dead, Status::Cancelled]
            .map(|status| (of(status), status.as_str()))
            .into_iter()
            .chain([(self.with(|status| !status.is_final()).count(), "pending")]);
        let parts: Vec<_> =
            parts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        format!("{all}: {}", parts.join(", "))
    }
}

/// Dead again; or called off by somebody, who will have had a reason.
fn is_bad(status: Status) -> bool {
    matches!(status, Status::Dead | Status::Cancelled)
}

fn verdict(statuses: impl Iterator<Item = Status> + Clone) -> Verdict {
    if statuses.clone().any(is_bad) {
        Verdict::Died
    } else if statuses.clone().all(Status::is_final) {
        Verdict::Passed
    } else {
        Verdict::Pending
    }
}

fn count(canaries: usize) -> String {
    if canaries == 1 { "1 canary".to_owned() } else { format!("{canaries} canaries") }
}

async fn last_state(client: &Client, task: TaskId, deadline: Instant) -> Result<Task, ClientError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let poll = Some(left.min(POLL)).filter(|poll| poll.as_millis() > 0);
        let state = client.task(task, poll, Caller::Operator).await?;
        if state.status.is_final() || poll.is_none() {
            return Ok(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_follow_only_if_all_ended_and_none_died() {
        let of = |statuses: &[Status]| verdict(statuses.iter().copied());
        assert_eq!(of(&[Status::Succeeded, Status::Declined]), Verdict::Passed);
        assert_eq!(of(&[Status::Succeeded, Status::Running]), Verdict::Pending);
        assert_eq!(of(&[Status::Retrying, Status::Dead]), Verdict::Died);
        assert_eq!(of(&[Status::Succeeded, Status::Cancelled]), Verdict::Died, "somebody called it off");
    }
}
