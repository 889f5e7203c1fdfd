//! The real engine behind one that fails on demand and counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use card_core::engine::{Claim, ClaimRequest, EngineError, ErrorKind, Lease, Settled, Work};
use card_core::tasks::End;
use card_core::time::Instant;
use tokio::sync::RwLock;

pub(crate) struct Faulty {
    engine: Arc<dyn Work>,
    /// So many of the next claims fail.
    pub(crate) claims_fail: AtomicUsize,
    /// So many of the next settles take effect and their answer is lost.
    pub(crate) settle_answers_lost: AtomicUsize,
    /// So many of the next settles fail.
    pub(crate) settles_fail: AtomicUsize,
    pub(crate) extensions: AtomicUsize,
    /// Leases in the last extension.
    pub(crate) extended: AtomicUsize,
    /// So many seconds the ledger's clock is behind this machine's.
    pub(crate) clock_behind: AtomicU64,
    /// Whoever holds it for writing holds up all ends.
    pub(crate) ends: RwLock<()>,
}

impl Faulty {
    pub(crate) fn new(engine: Arc<dyn Work>) -> Arc<Self> {
        let [claims_fail, settle_answers_lost, settles_fail, extensions, extended] =
            std::array::from_fn(|_| AtomicUsize::new(0));
        let clock_behind = AtomicU64::new(0);
        let ends = RwLock::new(());
        Arc::new(Self {
            engine,
            claims_fail,
            settle_answers_lost,
            settles_fail,
            extensions,
            extended,
            clock_behind,
            ends,
        })
    }

    fn behind(&self) -> Duration {
        Duration::from_secs(self.clock_behind.load(Ordering::SeqCst))
    }
}

fn takes_one(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn fault(kind: ErrorKind) -> EngineError {
    EngineError::new(kind, "a fault of the test's")
}

#[async_trait]
impl Work for Faulty {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>, EngineError> {
        if takes_one(&self.claims_fail) {
            return Err(fault(ErrorKind::Unavailable));
        }
        let mut claims = self.engine.claim(request).await?;
        for claim in &mut claims {
            claim.accepted_at = claim.accepted_at.minus(self.behind());
            claim.started_at = claim.started_at.minus(self.behind());
        }
        Ok(claims)
    }

    async fn extend(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, EngineError> {
        let lost = self.engine.extend(leases, lease).await;
        self.extended.store(leases.len(), Ordering::SeqCst);
        self.extensions.fetch_add(1, Ordering::SeqCst);
        lost
    }

    async fn end(&self, lease: &Lease, started_at: Instant, end: End) -> Result<Settled, EngineError> {
        let _open = self.ends.read().await;
        let settles = matches!(end, End::Settle(_));
        if settles && takes_one(&self.settles_fail) {
            return Err(fault(ErrorKind::Unavailable));
        }
        let end = match end {
            End::RetryAt { due, error, counts } => End::RetryAt { due: due.plus(self.behind()), error, counts },
            other => other,
        };
        let settled = self.engine.end(lease, started_at.plus(self.behind()), end).await;
        if settles && takes_one(&self.settle_answers_lost) { Err(fault(ErrorKind::Unknown)) } else { settled }
    }
}
