//! What a task that succeeded leaves behind besides its result: a card, a purchase.

use serde_json::value::RawValue;
use uuid::Uuid;

use super::Kind;
use crate::ids::{TaskId, UserId};
use crate::time::Instant;

/// An effect, as a step asks for it. The ledger applies it in the transaction that settles the task, at most one for a
/// task (P2).
#[derive(Debug, Clone)]
pub struct Effect {
    /// Of an owner's effects of one kind, one at most is active in each slot: this one, from now on. None: it stays active
    /// beside all others.
    pub slot: Option<String>,
    /// The kind's own, as JSON.
    pub data: Box<RawValue>,
}

/// An effect, as a ledger holds it.
#[derive(Debug, Clone)]
pub struct StoredEffect {
    /// Its own id, a UUID version 7.
    pub id: Uuid,
    /// The task that left it.
    pub task: TaskId,
    /// The task's kind.
    pub kind: Kind,
    /// The task's owner.
    pub owner: Option<UserId>,
    /// See [`Effect::slot`].
    pub slot: Option<String>,
    /// The kind's own, as JSON.
    pub data: Box<RawValue>,
    /// Whether no later one has its slot.
    pub is_active: bool,
    /// When it was applied.
    pub at: Instant,
    /// The one that was active in its slot before.
    pub replaces: Option<Uuid>,
}
