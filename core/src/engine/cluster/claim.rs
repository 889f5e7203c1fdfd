//! Claiming: waits for the wake-up, takes from Redis, tells who listens. And keeping leases, in a Redis that forgot them, too.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::delivery::{Channel, Ready};
use super::{ClusterEngine, copies, failure, messages, reads};
use crate::engine::{Claim, ClaimRequest, EngineError, Lease, claim_or_wait};
use crate::time::Instant;

/// A waiting claim looks everywhere this often, whatever the messages say; also how late a lease that ran out is seen.
const LOOK: Duration = Duration::from_millis(250);

impl ClusterEngine {
    /// Hands out what is due, waiting for the first.
    pub(super) async fn hand_out(&self, request: &ClaimRequest) -> Result<Vec<Claim>, EngineError> {
        let delivery = &self.shared.delivery;
        let kinds: Vec<_> =
            request.kinds.iter().map(|kind| self.shared.kinds.known(*kind)).collect::<Result<_, _>>()?;
        // A Redis that is full refuses this, and must be worked off all the same.
        let _ = delivery.see(request.worker, Some(&request.host), self.shared.clock.now()).await;
        claim_or_wait(request, &delivery.wake_up, LOOK, || async {
            self.check_open()?;
            delivery.look(LOOK);
            if delivery.foreign.load(Ordering::Acquire) {
                return Err(copies::foreign());
            }
            if delivery.paused.load(Ordering::Acquire) || request.max == 0 {
                return Ok(Vec::new());
            }
            let now = self.shared.clock.now();
            let found = delivery.claim(request, &kinds, now).await.map_err(failure::redis)?;
            Ok(if found.is_empty() { Vec::new() } else { self.begin(found, now) })
        })
        .await
    }

    /// Renews leases; answers those that are lost.
    pub(super) async fn renew(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, EngineError> {
        let shared = &self.shared;
        if let Some(first) = leases.first() {
            // Whether it is heard or not: the leases matter more.
            let _ = shared.delivery.see(first.worker, None, shared.clock.now()).await;
        }
        let (mut lost, unknown) = shared.delivery.extend(leases, lease).await.map_err(failure::redis)?;
        if !unknown.is_empty() {
            // Redis forgot them, or they are over: the ledger knows which.
            let ids: Vec<_> = unknown.iter().map(|lease| lease.task.uuid()).collect();
            let open = reads::read(|| {
                sqlx::query_scalar!("SELECT id FROM tasks WHERE id = ANY ($1) AND status + 0 < 4", &ids)
                    .fetch_all(&shared.pool)
            })
            .await?;
            let (open, over): (Vec<_>, Vec<_>) =
                unknown.into_iter().partition(|lease| open.contains(&lease.task.uuid()));
            lost.extend(over);
            lost.extend(shared.delivery.adopt(&open, lease, shared.clock.now()).await.map_err(failure::redis)?);
        }
        Ok(lost)
    }

    fn begin(&self, found: Vec<(Ready, Lease)>, started_at: Instant) -> Vec<Claim> {
        let shared = &self.shared;
        let tasks: Vec<_> = found.iter().map(|(ready, _)| ready).collect();
        if !tasks.is_empty() {
            shared.notifier.tell(Channel::Running, messages::running(shared.origin, started_at, &tasks));
        }
        let listened = !shared.hub.is_idle();
        let begun = found.into_iter().map(|(ready, lease)| {
            if listened {
                shared.hub.announce_transient(&Arc::new(ready.identity.running(ready.attempts + 1, started_at)));
            }
            ready.claim(lease, started_at)
        });
        begun.collect()
    }
}
