//! The percentiles of any choice of seconds, from three percentiles of each.
//!
//! A second's latencies are taken as spread like a logarithmic normal distribution between its p50, p95 and p99 and beyond
//! them, cut into a few portions. All portions lie in order, so a percentile of a choice is where its weights are reached.

use crate::result::Sample;

/// Each portion: where its middle lies, in standard deviations of a normal distribution, and how much of it there is.
/// Finer where p95 and p99 are.
const PORTIONS: [(f64, f64); 14] = [
    (-1.645, 0.1),
    (-1.036, 0.1),
    (-0.674, 0.1),
    (-0.385, 0.1),
    (-0.126, 0.1),
    (0.126, 0.1),
    (0.385, 0.1),
    (0.674, 0.1),
    (1.036, 0.1),
    (1.440, 0.05),
    (1.812, 0.03),
    (2.170, 0.01),
    (2.432, 0.005),
    (2.807, 0.005),
];
/// Where p95 and p99 lie, in the same unit.
const P95: f64 = 1.645;
const P99: f64 = 2.326;
/// Nothing takes less: it is what the clocks can tell. In milliseconds.
const SHORTEST: f64 = 1e-3;

/// What one run is known to have taken, second by second.
pub(super) struct Latencies {
    /// In order of `log`.
    portions: Vec<Portion>,
    /// Second by second.
    weights: Vec<f64>,
}

struct Portion {
    log: f64,
    second: usize,
    weight: f64,
}

impl Latencies {
    /// `of` reads a second's p50, p95 and p99 in milliseconds, and of how many they are.
    pub(super) fn new(seconds: &[&Sample], of: impl Fn(&Sample) -> Option<([f64; 3], f64)>) -> Self {
        let weights = seconds.iter().map(|sample| of(sample).map_or(0.0, |(_, count)| count)).collect();
        let known = seconds.iter().enumerate().filter_map(|(second, sample)| Some((second, of(sample)?)));
        let mut portions: Vec<Portion> = known
            .flat_map(|(second, (percentiles, count))| {
                let logs = percentiles.map(|millis| millis.max(SHORTEST).ln());
                PORTIONS.map(|(at, share)| Portion { log: log_at(logs, at), second, weight: share * count })
            })
            .collect();
        portions.sort_by(|one, other| one.log.total_cmp(&other.log));
        Self { portions, weights }
    }

    /// Logarithms of p50, p95 and p99 of a choice in which each second comes so many times; none if it has nothing.
    pub(super) fn percentiles(&self, times: &[f64]) -> [Option<f64>; 3] {
        let whole: f64 = self.weights.iter().zip(times).map(|(weight, times)| weight * times).sum();
        let weighed = self.portions.iter().map(|portion| (portion.log, portion.weight * times[portion.second]));
        let mut portions = weighed.filter(|(_, weight)| *weight > 0.0);
        let (mut passed, mut reached) = (0.0, None);
        // Each goes on where the one before it stopped.
        [0.5, 0.95, 0.99].map(|share| {
            while reached.is_none() || passed < share * whole {
                let Some((log, weight)) = portions.next() else { break };
                passed += weight;
                reached = Some(log);
            }
            reached
        })
    }
}

/// The logarithm of the latency at so many standard deviations.
fn log_at([p50, p95, p99]: [f64; 3], at: f64) -> f64 {
    if at <= P95 { p50 + (p95 - p50) * at / P95 } else { p95 + (p99 - p95) * (at - P95) / (P99 - P95) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds with such a p50, and so many in each.
    fn latencies(seconds: &[(f64, f64)]) -> Latencies {
        let sample =
            |(p50, completed): &(f64, f64)| Sample { e2e_p50: Some(*p50), completed: *completed, ..Sample::default() };
        let samples: Vec<_> = seconds.iter().map(sample).collect();
        let of = |second: &Sample| second.e2e_p50.map(|p50| ([p50, p50 * 3.0, p50 * 5.0], second.completed));
        Latencies::new(&samples.iter().collect::<Vec<_>>(), of)
    }

    fn millis(logs: [Option<f64>; 3]) -> [f64; 3] {
        logs.map(|log| log.unwrap().exp())
    }

    #[test]
    fn of_equal_seconds_the_percentiles_are_about_those_of_each() {
        let found = millis(latencies(&[(10.0, 50.0), (10.0, 70.0)]).percentiles(&[1.0, 1.0]));
        for (found, expected) in found.into_iter().zip([10.0, 30.0, 50.0]) {
            assert!((found / expected - 1.0).abs() < 0.15, "{found} is not about {expected}");
        }
    }

    #[test]
    fn bad_seconds_make_the_percentiles_that_their_share_reaches() {
        let latencies = latencies(&[vec![(10.0, 50.0); 18], vec![(1000.0, 50.0); 2]].concat());
        let [p50, p95, p99] = millis(latencies.percentiles(&[1.0; 20]));
        assert!(p50 < 15.0 && p95 > 500.0 && p99 > 1000.0, "{p50} {p95} {p99}");
        let good: Vec<f64> = (0..20).map(|second| f64::from(u8::from(second < 18))).collect();
        assert!(millis(latencies.percentiles(&good)).into_iter().all(|millis| millis < 60.0));
    }

    #[test]
    fn what_has_no_weight_has_no_percentiles() {
        assert_eq!(latencies(&[]).percentiles(&[]), [None; 3]);
        assert_eq!(latencies(&[(10.0, 0.0)]).percentiles(&[1.0]), [None; 3]);
        assert_eq!(latencies(&[(10.0, 5.0)]).percentiles(&[0.0]), [None; 3]);
    }
}
