//! What the lanes, the background tasks and the callers have in common.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::clock::Clock;
use super::delivery::{Channel, Delivery, Notifier};
use super::messages;
use super::operate::Aside;
use super::revoked::Revoked;
use super::sessions::Sessions;
use crate::engine::hub::{Change, Hub};
use crate::engine::kinds::Kinds;

pub(super) struct Shared {
    /// For reads and for the rare writes.
    pub(super) pool: PgPool,
    /// How connections are made, and which may be used.
    pub(super) sessions: Arc<Sessions>,
    pub(super) delivery: Arc<Delivery>,
    pub(super) kinds: Kinds,
    pub(super) notifier: Notifier,
    pub(super) hub: Arc<Hub>,
    pub(super) clock: Clock,
    /// Tells this process' messages from others'.
    pub(super) origin: u64,
    /// The latest place in the log that this process has told its subscribers of.
    pub(super) told: AtomicI64,
    /// Whether messages reach this process.
    pub(super) listens: AtomicBool,
    /// Notified when the ledger should be looked at before the next look is due.
    pub(super) look: tokio::sync::Notify,
    pub(super) revoked: Revoked,
    /// What is put off and dead by the code of its kind, while that is much, and when it was counted.
    pub(super) aside: tokio::sync::Mutex<Option<(tokio::time::Instant, BTreeMap<i16, Aside>)>>,
    /// This ledger's own name.
    pub(super) ledger: Uuid,
    /// Some read or write failed for want of Postgres, and none has worked since.
    pub(super) ledger_away: AtomicBool,
    /// The engine is closing.
    pub(super) stop: CancellationToken,
}

impl Shared {
    /// Tells subscribers here and in other processes of changes that are on disk; `last` is the place of the latest.
    pub(super) fn announce(&self, last: i64, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        for change in changes {
            self.hub.announce(change);
        }
        self.told.fetch_max(last, Ordering::AcqRel);
        self.notifier.tell(Channel::Logged, messages::logged(self.origin, last, changes));
    }
}
