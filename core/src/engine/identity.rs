//! What of a task never changes, as both engines' rows have it, and its way to a worker.

use serde_json::value::RawValue;

use super::{Claim, KnownKind, Lease};
use crate::ids::{RunId, TaskId, UserId};
use crate::tasks::{Priority, Status, Task};
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
    pub(super) priority: Priority,
    /// As it was asked for.
    pub(super) due_at: Option<Instant>,
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
            priority: self.priority,
            accepted_at: self.accepted_at,
            due_at: self.due_at,
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

/// A task on its way to a worker: all that a claim needs, so that claiming reads no ledger.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub(super) identity: Identity,
    pub(super) payload: Box<RawValue>,
    /// Attempts that ended.
    pub(super) attempts: u32,
    pub(super) due_at: Instant,
}

impl Ready {
    /// The task as it is handed out.
    pub(super) fn claim(self, lease: Lease, started_at: Instant) -> Claim {
        let Self { identity, payload, attempts, .. } = self;
        Claim {
            lease,
            kind: identity.kind.kind,
            owner: identity.owner,
            run: identity.run,
            payload,
            attempt: attempts + 1,
            accepted_at: identity.accepted_at,
            started_at,
        }
    }
}
