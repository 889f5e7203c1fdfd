//! How many workers there should be: the rule of Kubernetes' HorizontalPodAutoscaler, as a value that is fed samples.
//!
//! Owns the rule and its memory; knows no clock, no process and no platform. Source:
//! <https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details>, with the
//! default behaviours of `autoscaling/v2`:
//!
//! - Each metric proposes a number. `AverageValue` (backlog): `ceil(metric / target)`. `Value` (age): `ceil(workers ×
//!   metric / target)`. Utilisation (CPU): the same with the mean of the workers.
//! - A ratio within 0.1 of 1 proposes what there is.
//! - The largest proposal wins. A metric that is missing proposes nothing, and as long as one is missing nothing is taken
//!   away.
//! - Down: only to the highest number that was recommended within the stabilisation window. Up: at once, at most
//!   doubling or four more within 15 s, whichever is more.
//! - Last, it is kept within the bounds.

mod proposals;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use card_core::settings::{Autoscale, AutoscaleMetric};

use self::proposals::{Proposal, proposals};
use super::Bounds;

/// The period of the scale-up policies.
const PERIOD: Duration = Duration::from_secs(15);
/// At most so many more in a period, ...
const STEP: usize = 4;
/// ... or so many times as many.
const FACTOR: usize = 2;

/// What was seen at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::supervisor) struct Sample {
    /// Since any fixed moment; never goes back.
    pub(in crate::supervisor) at: Duration,
    /// Workers that are wanted now.
    pub(in crate::supervisor) workers: usize,
    /// Tasks that are due or running.
    pub(in crate::supervisor) backlog: Option<u64>,
    /// How long the oldest of those waits that nobody works on.
    pub(in crate::supervisor) oldest_age: Option<Duration>,
    /// Cores that each worker used; none for one that can't be told.
    pub(in crate::supervisor) cpu: Vec<Option<f64>>,
}

/// What to do, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::supervisor) struct Decision {
    /// Workers there should be.
    pub(in crate::supervisor) workers: usize,
    /// What the metrics alone would have.
    pub(in crate::supervisor) recommended: usize,
    /// For people.
    pub(in crate::supervisor) reason: String,
}

/// The rule with its memory.
#[derive(Debug)]
pub(in crate::supervisor) struct Rule {
    bounds: Bounds,
    settings: Autoscale,
    recommendations: VecDeque<(Duration, usize)>,
    changes: VecDeque<(Duration, isize)>,
}

impl Rule {
    pub(in crate::supervisor) const fn new(bounds: Bounds, settings: Autoscale) -> Self {
        Self { bounds, settings, recommendations: VecDeque::new(), changes: VecDeque::new() }
    }

    /// What follows from a sample. The decision counts as carried out.
    pub(in crate::supervisor) fn decide(&mut self, sample: &Sample) -> Decision {
        let Sample { at, workers, .. } = *sample;
        if self.recommendations.is_empty() {
            // What is there was somebody's recommendation: a start is no reason to take away at once.
            self.recommendations.push_back((at, workers));
        }
        let Proposal { workers: recommended, mut reason } = self.recommend(sample);
        let window = self.settings.stabilization;
        self.recommendations.retain(|(then, _)| at.saturating_sub(*then) < window);
        self.recommendations.push_back((at, recommended));
        let highest = self.recommendations.iter().map(|(_, workers)| *workers).max().unwrap_or(recommended);
        let mut wanted = recommended;
        // Fewer than the bound are not wanted by anybody.
        let least = recommended.max(self.bounds.min);
        if least < workers && highest > least {
            wanted = highest.min(workers);
            reason = format!("{reason}; {wanted} were wanted within {} s", window.as_secs());
        }
        // What came back within the period may be more than the policies would add to what was left meanwhile: it stays.
        let limit = self.limit(at, workers).max(workers);
        if wanted > limit {
            wanted = limit;
            reason = format!("{reason}; no more than {wanted} within {} s", PERIOD.as_secs());
        }
        let Bounds { min, max } = self.bounds;
        if !(min..=max).contains(&wanted) {
            wanted = wanted.clamp(min, max);
            reason = format!("{reason}; bounds {}", self.bounds);
        }
        if wanted != workers {
            self.changes.push_back((at, wanted.cast_signed() - workers.cast_signed()));
        }
        Decision { workers: wanted, recommended, reason }
    }

    /// The largest proposal, unless it takes away while a metric is missing.
    fn recommend(&self, sample: &Sample) -> Proposal {
        let proposals = proposals(&self.settings, sample);
        let missing = proposals.iter().any(Option::is_none);
        let keep = |reason: String| Proposal { workers: sample.workers, reason };
        let Some(largest) = proposals.into_iter().flatten().reduce(|largest, next| {
            // Of two that want the same, the first is named.
            if next.workers > largest.workers { next } else { largest }
        }) else {
            return keep("no metric can be had".to_owned());
        };
        if missing && largest.workers < sample.workers {
            return keep(format!("{}, but a metric is missing", largest.reason));
        }
        largest
    }

    /// The most there may be now: the policies count from what there was when the period began.
    fn limit(&mut self, at: Duration, workers: usize) -> usize {
        self.changes.retain(|(then, _)| at.saturating_sub(*then) < PERIOD);
        let changed: isize = self.changes.iter().map(|(_, change)| change).sum();
        let before = workers.saturating_add_signed(-changed);
        (before + STEP).max(before * FACTOR)
    }

    /// Whether it follows the workers' CPU.
    pub(in crate::supervisor) fn follows_cpu(&self) -> bool {
        self.settings.metric == AutoscaleMetric::Cpu
    }
}
