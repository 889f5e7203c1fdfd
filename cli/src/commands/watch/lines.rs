//! What a watch writes: a line for each change, and a summary.

use card_core::ids::TaskId;
use card_core::tasks::{Status, Task};
use card_core::time::Instant;
use serde::Serialize;

use super::board::Counts;
use crate::output::Paint;
use card_core::exit::Exit;

/// `{"type":"task.state",…}`.
#[derive(Debug, Serialize)]
pub struct StateLine {
    #[serde(rename = "type")]
    kind: &'static str,
    task: TaskId,
    status: Status,
    attempts: u32,
    at: Instant,
    event_id: Option<u64>,
}

impl StateLine {
    /// Of a task's state and its place in the log; none for what is not in the log.
    #[must_use]
    pub fn of(task: &Task, event_id: Option<u64>) -> Self {
        Self {
            kind: "task.state",
            task: task.id,
            status: task.status,
            attempts: task.attempts,
            at: changed_at(task),
            event_id,
        }
    }
}

/// `{"type":"summary",…}`.
#[derive(Debug, Serialize)]
pub struct Summary {
    #[serde(rename = "type")]
    kind: &'static str,
    tasks: u64,
    succeeded: u64,
    declined: u64,
    dead: u64,
    cancelled: u64,
    pending: u64,
    gaps: u64,
    exit: u8,
}

impl Summary {
    /// Of what is known at the end.
    #[must_use]
    pub fn new(counts: Counts, gaps: u64, exit: Exit) -> Self {
        let Counts { tasks, succeeded, declined, dead, cancelled, pending, .. } = counts;
        Self { kind: "summary", tasks, succeeded, declined, dead, cancelled, pending, gaps, exit: exit as u8 }
    }
}

/// A change for people.
#[must_use]
pub fn state(task: &Task, paint: Paint) -> String {
    // As many digits in each line: columns stay columns.
    let at = jiff::Timestamp::from(changed_at(task));
    let mut line = format!("{at:.6}  {}  {}", task.id, paint.status(task.status));
    if task.status.is_final() {
        if let Some(settled) = task.settled_at {
            let took = super::screen::milliseconds(settled.since(task.accepted_at));
            line.push_str(&format!("  after {took}, {}", attempts(task.attempts)));
        }
    } else if task.attempts > 0 {
        line.push_str(&format!("  attempt {}", task.attempts));
    } else if let Some(due_at) = task.due_at {
        line.push_str(&format!("  for {due_at}"));
    }
    if let Some(error) = &task.error {
        line.push_str(&format!("  {error}"));
    }
    line
}

/// The end for people.
#[must_use]
pub fn summary(counts: Counts, gaps: u64, paint: Paint) -> String {
    let mut parts = vec![if counts.tasks == 1 { "1 task".to_owned() } else { format!("{} tasks", counts.tasks) }];
    for (count, text) in [
        (counts.succeeded, paint.good(format!("{} succeeded", counts.succeeded))),
        (counts.declined, paint.warn(format!("{} declined", counts.declined))),
        (counts.dead, paint.bad(format!("{} dead", counts.dead))),
        (counts.cancelled, paint.warn(format!("{} cancelled", counts.cancelled))),
        (counts.pending, paint.warn(format!("{} pending", counts.pending))),
        (gaps, paint.warn(if gaps == 1 { "1 gap".to_owned() } else { format!("{gaps} gaps") })),
    ] {
        if count > 0 {
            parts.push(text);
        }
    }
    parts.join(", ")
}

/// How far a submission is, for who sees no bar.
#[must_use]
pub fn counts(counts: Counts, expected: u64) -> String {
    let mut parts = vec![format!("{}/{expected} accepted", counts.tasks)];
    for (count, what) in [
        (counts.succeeded, "succeeded"),
        (counts.declined, "declined"),
        (counts.dead, "dead"),
        (counts.cancelled, "cancelled"),
        (counts.retrying, "retrying"),
        (counts.pending, "pending"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

fn attempts(count: u32) -> String {
    if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}

/// When the state began. The wire has no time for the end of an attempt that will be repeated: then it is now.
fn changed_at(task: &Task) -> Instant {
    let known = match task.status {
        Status::Queued if task.attempts == 0 => Some(task.accepted_at),
        Status::Running => task.started_at,
        Status::Succeeded | Status::Declined | Status::Dead | Status::Cancelled => task.settled_at,
        _ => None,
    };
    known.unwrap_or_else(Instant::now)
}
