//! How long things took: a shared histogram and what is read from it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::recorded::Recorded;

/// A histogram that many may add to. Three significant digits, from a microsecond up.
#[derive(Default)]
pub struct Latency(Mutex<Recorded>);

/// Percentiles in milliseconds; all zero with `n` = 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// How many were measured.
    pub n: u64,
    /// Half took at most this.
    #[schemars(range(min = 0.0))]
    pub p50: f64,
    /// Nine of ten took at most this.
    #[schemars(range(min = 0.0))]
    pub p90: f64,
    /// 95 of a hundred took at most this.
    #[schemars(range(min = 0.0))]
    pub p95: f64,
    /// 99 of a hundred took at most this.
    #[schemars(range(min = 0.0))]
    pub p99: f64,
    /// The longest.
    #[schemars(range(min = 0.0))]
    pub max: f64,
    /// The mean.
    #[schemars(range(min = 0.0))]
    pub mean: f64,
}

impl Latency {
    /// Adds one.
    pub fn record(&self, took: Duration) {
        self.open().record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// What was added since the last time this was asked; begins anew.
    #[must_use]
    pub fn take(&self) -> Recorded {
        let mut recorded = self.open();
        let taken = recorded.clone();
        recorded.clear();
        taken
    }

    /// What was added so far.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        self.open().clone()
    }

    /// What can be read from what was added so far.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        self.open().percentiles()
    }

    // A value is added whole or not at all.
    fn open(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_recorded() {
        let latency = Latency::default();
        assert_eq!(latency.percentiles(), Percentiles::default());
        for millis in 1..=1000 {
            latency.record(Duration::from_millis(millis));
        }
        let read = latency.percentiles();
        assert_eq!(read.n, 1000);
        for (value, expected) in [(read.p50, 500.0), (read.p95, 950.0), (read.p99, 990.0), (read.max, 1000.0)] {
            assert!((value - expected).abs() <= expected * 0.002, "{value} is not {expected}");
        }
    }
}
