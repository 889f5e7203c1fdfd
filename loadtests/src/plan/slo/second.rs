//! What one second of the timeline says about a promise.

use super::{Metric, Slo, Stat};
use crate::result::Sample;

impl Slo {
    /// Whether the seconds of a timeline have its figure at all.
    #[must_use]
    pub const fn is_by_the_second(&self) -> bool {
        matches!(
            (self.metric, self.stat),
            (Metric::Accept | Metric::EndToEnd | Metric::Read, Some(Stat::P50 | Stat::P95 | Stat::P99))
                | (Metric::Errors | Metric::Offered | Metric::Accepted | Metric::Completed, _)
                | (Metric::Backlog | Metric::OldestAge, _)
        )
    }

    /// Its figure in a second, in the unit of [`Slo::bound`]; none if that second has no samples of it.
    ///
    /// Errors are of what was sent in that second, and never more than all of it, although an error may be the answer
    /// to a request of the second before.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a backlog and an age in ms are far below 2^52")]
    pub fn in_second(&self, second: &Sample) -> Option<f64> {
        match (self.metric, self.stat) {
            (Metric::Accept, Some(Stat::P50)) => second.accept_p50,
            (Metric::Accept, Some(Stat::P95)) => second.accept_p95,
            (Metric::Accept, Some(Stat::P99)) => second.accept_p99,
            (Metric::EndToEnd, Some(Stat::P50)) => second.e2e_p50,
            (Metric::EndToEnd, Some(Stat::P95)) => second.e2e_p95,
            (Metric::EndToEnd, Some(Stat::P99)) => second.e2e_p99,
            (Metric::Read, Some(Stat::P50)) => second.read_p50,
            (Metric::Read, Some(Stat::P95)) => second.read_p95,
            (Metric::Read, Some(Stat::P99)) => second.read_p99,
            (Metric::Errors, _) => (second.offered > 0.0).then(|| (second.errors / second.offered).min(1.0)),
            (Metric::Offered, _) => Some(second.offered),
            (Metric::Accepted, _) => Some(second.accepted),
            (Metric::Completed, _) => Some(second.completed),
            (Metric::Backlog, _) => second.backlog.map(|backlog| backlog as f64),
            (Metric::OldestAge, _) => second.oldest_age_ms.map(|age| age as f64),
            _ => None,
        }
    }
}
