//! What of a task never changes, as both engines' rows have it.

use super::KnownKind;
use crate::ids::{RunId, TaskId, UserId};
use crate::tasks::{Status, Task};
use crate::time::Instant;

/// The immutable part of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Place of its accept in the log; also what names its row.
    pub(super) seq: i64,
    pub(super) id: TaskId,
    pub(super) kind: KnownKind,
    pub(super) owner: Option<UserId>,
    pub(super) run: Option<RunId>,
    pub(super) accepted_at: Instant,
}

impl Identity {
    /// The task as it was right after it was accepted.
    pub(super) fn queued(&self) -> Task {
        Task {
            id: self.id,
            kind: self.kind.kind,
            owner: self.owner,
            run: self.run.clone(),
            status: Status::Queued,
            attempts: 0,
            accepted_at: self.accepted_at,
            started_at: None,
            settled_at: None,
            result: None,
            error: None,
        }
    }

    /// The task while a worker holds a lease on it.
    pub(super) fn running(&self, attempt: u32, started_at: Instant) -> Task {
        Task { status: Status::Running, attempts: attempt, started_at: Some(started_at), ..self.queued() }
    }
}
