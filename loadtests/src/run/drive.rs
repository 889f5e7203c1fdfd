//! One course of a plan as both generators see it: whose turn it is when, where it is counted, and when it is over.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::journeys::{Crew, Visit, Went};
use crate::meter::Meter;
use crate::plan::Plan;

/// What a generator carries out.
pub(super) struct Drive {
    pub(super) plan: Plan,
    /// Users at once, or arrivals a second; 1 if the plan's stages say it themselves.
    pub(super) size: f64,
    pub(super) crew: Arc<Crew>,
    /// Before the measured time.
    pub(super) ramp: Arc<Meter>,
    /// The measured time.
    pub(super) steady: Arc<Meter>,
    /// Nothing begins any more.
    pub(super) over: CancellationToken,
    /// What was begun and goes on: it ends by itself.
    pub(super) visits: TaskTracker,
    /// When all generators begin, if there are others.
    start: Option<Instant>,
    begun: OnceLock<Instant>,
    failed: OnceLock<io::Error>,
}

impl Drive {
    pub(super) fn new(
        plan: &Plan,
        size: f64,
        crew: &Arc<Crew>,
        meters: [Arc<Meter>; 2],
        over: CancellationToken,
        start: Option<Instant>,
    ) -> Self {
        let [ramp, steady] = meters;
        Self {
            plan: plan.clone(),
            size,
            crew: Arc::clone(crew),
            ramp,
            steady,
            over,
            visits: TaskTracker::new(),
            start,
            begun: OnceLock::new(),
            failed: OnceLock::new(),
        }
    }

    /// The clock of the course starts: now, or when all begin, if that is still to come. Both generators call this when
    /// they can begin, once.
    pub(super) fn begin(&self) -> Instant {
        *self.begun.get_or_init(|| {
            let now = Instant::now();
            self.start.map_or(now, |start| start.max(now))
        })
    }

    /// When the clock was started, if it was.
    pub(super) fn begun(&self) -> Option<Instant> {
        self.begun.get().copied()
    }

    /// A visit that should begin at `intended`.
    pub(super) async fn visit(&self, intended: Instant) -> Went {
        let into = intended.saturating_duration_since(self.begin());
        let meter = Arc::clone(if into < self.plan.warm_up { &self.ramp } else { &self.steady });
        let visit = Visit { intended, meter, over: self.over.clone() };
        match self.crew.visit(&visit).await {
            Ok(went) => went,
            Err(error) => {
                // Without its ledger the sender can't account for more.
                let _ = self.failed.set(error);
                self.over.cancel();
                Went::Not
            }
        }
    }

    /// Sleeps until a point in time; false if the course is over first.
    pub(super) async fn until(&self, point: Instant) -> bool {
        if point <= Instant::now() {
            return !self.over.is_cancelled();
        }
        tokio::select! {
            () = tokio::time::sleep_until(point) => true,
            () = self.over.cancelled() => false,
        }
    }

    /// Why the ledger can't be written, if it can't.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failed.get().map(|error| io::Error::new(error.kind(), error.to_string()))
    }
}
