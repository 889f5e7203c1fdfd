//! How long things took: a shared histogram and what is read from it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A histogram that many may add to. Three significant digits, from a microsecond up.
pub struct Latency(Mutex<Histogram<u64>>);

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

impl Default for Latency {
    fn default() -> Self {
        // Fails for a precision above 5 only; three digits are a constant.
        Self(Mutex::new(Histogram::new(3).unwrap_or_else(|error| unreachable!("{error}"))))
    }
}

impl Latency {
    /// Adds one.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        // It grows by itself; only a value near u64::MAX can't be kept, and that is no latency.
        let _ = self.open().record(micros);
    }

    /// Takes another one's values in.
    pub fn add(&self, other: &Self) {
        // One lock at a time, so that two that take each other in can't wait for each other.
        let other = other.open().clone();
        // Both grow by themselves: a value that one can hold the other can.
        let _ = self.open().add(other);
    }

    /// What was added since the last time this was asked; begins anew.
    #[must_use]
    pub fn take(&self) -> Percentiles {
        let mut histogram = self.open();
        let read = read(&histogram);
        histogram.reset();
        read
    }

    /// What was added so far.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        read(&self.open())
    }

    /// How the values are spread: `(upper bound in ms, how many)`, bounds growing by 2^(1/4), without empty ones.
    #[must_use]
    pub fn distribution(&self) -> Vec<(f64, u64)> {
        let mut buckets: Vec<(f64, u64)> = Vec::new();
        for entry in self.open().iter_recorded() {
            let value = millis(entry.value_iterated_to());
            let bound = (value.log2() * 4.0).ceil() / 4.0;
            let bound = bound.exp2();
            match buckets.last_mut().filter(|(last, _)| *last >= bound) {
                Some((_, count)) => *count += entry.count_since_last_iteration(),
                None => buckets.push((bound, entry.count_since_last_iteration())),
            }
        }
        buckets
    }

    fn open(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(histogram: &Histogram<u64>) -> Percentiles {
    if histogram.is_empty() {
        return Percentiles::default();
    }
    let at = |quantile| millis(histogram.value_at_quantile(quantile).min(histogram.max()));
    Percentiles {
        n: histogram.len(),
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        max: millis(histogram.max()),
        mean: histogram.mean() / 1000.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^52 microseconds")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
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
