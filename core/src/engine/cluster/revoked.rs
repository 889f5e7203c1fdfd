//! What is revoked, as every process on the ledger must know it, whatever Redis does.
//!
//! Each process reads revocations from the ledger several times a second and believes its memory for [`TRUST`] after such
//! a read began; beyond that it waits for the next read. Who revokes something answers its caller only when [`TRUST`] has
//! passed since the commit. So from that answer on no process accepts what was revoked, and a request costs no read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Clock};

use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::delivery::Channel;
use super::reads::read;
use super::shared::Shared;
use crate::engine::revocations::Revocations;
use crate::engine::{EngineError, ErrorKind};
use crate::ids::{SessionId, UserId};
use crate::time::Instant;

/// How long what a read has found is believed.
const TRUST: Duration = Duration::from_secs(1);
/// Between reads.
const LOOK: Duration = Duration::from_millis(250);
/// How long a request waits for a read.
const WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Revoked {
    pub(super) revocations: Revocations,
    /// When the latest read that worked began.
    as_of: watch::Sender<Option<Clock>>,
    /// The first transaction that the latest read may have missed.
    horizon: Mutex<i64>,
    wanted: Notify,
}

impl Revoked {
    /// Reads before the next read is due.
    pub(super) fn look(&self) {
        self.wanted.notify_one();
    }

    pub(super) fn forget(&self, now: Instant) -> Instant {
        self.revocations.forget(now)
    }
}

/// Reads until the engine stops.
pub(super) async fn follow(shared: Arc<Shared>) {
    loop {
        let pause = timeout(LOOK, shared.revoked.wanted.notified());
        if shared.stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
        // That Postgres is unreachable is said elsewhere, once.
        if shared.stop.run_until_cancelled(read_once(&shared)).await.is_none() {
            return;
        }
    }
}

/// Takes in what was revoked since the last read.
pub(super) async fn read_once(shared: &Shared) -> Result<(), EngineError> {
    let revoked = &shared.revoked;
    let since = *revoked.horizon.lock().unwrap_or_else(PoisonError::into_inner);
    let mut began = Clock::now();
    // One snapshot for both: what it does not show is of a transaction that it names as running.
    let rows = read(|| {
        began = Clock::now();
        sqlx::query!(
            r#"SELECT d.id AS "id?", d.deleted_at AS "deleted_at?",
                      pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "horizon!"
               FROM (SELECT 1) one LEFT JOIN deleted_users d ON d.xid >= $1::bigint::text::xid8"#,
            since
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    if let Some(row) = rows.first() {
        *revoked.horizon.lock().unwrap_or_else(PoisonError::into_inner) = row.horizon;
    }
    let found = rows.iter().filter_map(|row| Some((row.id?, Instant::from_micros(row.deleted_at?))));
    revoked.revocations.add(found);
    revoked.as_of.send_replace(Some(began));
    Ok(())
}

/// Whether tokens of the session are refused.
pub(super) async fn refuses(shared: &Shared, user: UserId, session: SessionId) -> Result<bool, EngineError> {
    let revoked = &shared.revoked;
    let asked = Clock::now();
    let fresh = |as_of: &Option<Clock>| as_of.is_some_and(|as_of| asked.saturating_duration_since(as_of) < TRUST);
    if !fresh(&revoked.as_of.borrow()) {
        let mut as_of = revoked.as_of.subscribe();
        revoked.look();
        let waited = timeout(WAIT, as_of.wait_for(fresh)).await;
        if !matches!(waited, Ok(Ok(_))) {
            return Err(EngineError::new(ErrorKind::Unavailable, "it can't be known which tokens are revoked"));
        }
    }
    Ok(revoked.revocations.refuses(user, session))
}

/// Ids whose tokens are refused from now on: here at once, elsewhere soon, everywhere [`in_force`].
pub(super) fn tell(shared: &Shared, ids: &[Uuid]) {
    if ids.is_empty() {
        return;
    }
    let now = Instant::now();
    shared.revoked.revocations.add(ids.iter().map(|id| (*id, now)));
    shared.notifier.tell(Channel::Note, shared.origin.to_be_bytes().to_vec());
}

/// Returns when every process refuses what was committed before.
pub(super) async fn in_force() {
    sleep(TRUST).await;
}
