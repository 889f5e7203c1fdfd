//! How long the issuer takes.
//!
//! Lognormal, as the times of real services nearly are: most calls near the median, a long tail to the right. From the
//! median and the 99th percentile: with `z` = 2.326…, the standard normal's 99th percentile,
//!
//! ```text
//! mu = ln(p50)      sigma = ln(p99 / p50) / z      latency = exp(mu + sigma · N(0, 1))
//! ```

use std::f64::consts::TAU;
use std::time::Duration;

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;
/// No call takes longer, however unlucky.
const LONGEST: Duration = Duration::from_secs(60);

/// A lognormal distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// The median, in milliseconds. With 0 every call is answered at once.
    pub p50_ms: f64,
    /// The 99th percentile, in milliseconds; at least the median.
    pub p99_ms: f64,
}

impl Latency {
    /// The latency for two random numbers in `0.0..1.0`: arguments, so that this is a pure function.
    #[must_use]
    pub fn sample(&self, one: f64, other: f64) -> Duration {
        if self.p50_ms <= 0.0 {
            return Duration::ZERO;
        }
        let sigma = (self.p99_ms / self.p50_ms).ln().max(0.0) / Z99;
        // Box and Muller's transform; 1 - one lies in (0, 1], whose logarithm is finite.
        let normal = (-2.0 * (1.0 - one).ln()).sqrt() * (TAU * other).cos();
        let millis = (self.p50_ms.ln() + sigma * normal).exp();
        Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(LONGEST).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn the_samples_have_the_percentiles_that_were_asked_for() {
        let latency = Latency { p50_ms: 8.0, p99_ms: 40.0 };
        let mut random = StdRng::seed_from_u64(7);
        let mut samples: Vec<_> =
            (0..100_000).map(|_| latency.sample(random.random(), random.random()).as_secs_f64() * 1000.0).collect();
        samples.sort_by(f64::total_cmp);
        let (p50, p99) = (samples[50_000], samples[99_000]);
        assert!((7.8..8.2).contains(&p50), "{p50}");
        assert!((38.0..42.0).contains(&p99), "{p99}");
    }

    #[test]
    fn without_a_spread_every_call_takes_the_median() {
        let latency = Latency { p50_ms: 5.0, p99_ms: 5.0 };
        assert_eq!(latency.sample(0.3, 0.9).as_micros(), 5000);
        assert_eq!(Latency { p50_ms: 0.0, p99_ms: 40.0 }.sample(0.3, 0.9), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_sample_is_never_beyond_its_bound(
            p50_ms in 0.0..60_000.0_f64, factor in 1.0..1e6_f64, one in 0.0..1.0_f64, other in 0.0..1.0_f64,
        ) {
            let latency = Latency { p50_ms, p99_ms: p50_ms * factor };
            prop_assert!(latency.sample(one, other) <= LONGEST);
        }
    }
}
