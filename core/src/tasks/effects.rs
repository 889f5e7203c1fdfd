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
    /// The kind's own, as JSON. An integer `amount` in it is ten-thousandths, from 0 to 10^17: ledgers add it up.
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
    /// The place in the log of the event that it came with; below 1 if the log forgot it before places were kept.
    pub seq: i64,
}

/// Which of an owner's effects of one kind are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct History {
    /// Whose.
    pub owner: UserId,
    /// Of which kind.
    pub kind: Kind,
    /// Applied at this time or later.
    pub from: Option<Instant>,
    /// Applied before this time.
    pub to: Option<Instant>,
}

/// One page of a history.
#[derive(Debug, Clone)]
pub struct HistoryPage {
    /// Newest first.
    pub items: Vec<StoredEffect>,
    /// The cursor of the next page; none on the last.
    pub next: Option<String>,
    /// See [`HistorySummary::version`].
    pub version: i64,
}

/// What a history comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistorySummary {
    /// How many effects.
    pub count: u64,
    /// The sum of their amounts, in ten-thousandths.
    pub total: i128,
    /// When the first was applied.
    pub first_at: Option<Instant>,
    /// When the last was.
    pub last_at: Option<Instant>,
    /// The place in the log of the owner's newest effect of the kind, whatever the times asked for; 0 if there is none.
    /// Whatever is read of the history is the same for the same version.
    pub version: i64,
}
