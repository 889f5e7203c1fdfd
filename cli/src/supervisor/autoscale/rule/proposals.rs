//! What each metric alone would have.

use card_core::settings::{Autoscale, AutoscaleMetric};
use card_core::time::format_duration;

use super::Sample;

/// A ratio this near to 1 is 1.
const TOLERANCE: f64 = 0.1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) workers: usize,
    pub(super) reason: String,
}

/// One for each metric that is followed; none for one that is missing.
pub(super) fn proposals(settings: &Autoscale, sample: &Sample) -> Vec<Option<Proposal>> {
    match settings.metric {
        AutoscaleMetric::Backlog => vec![backlog(settings, sample), age(settings, sample)],
        AutoscaleMetric::Cpu => vec![cpu(settings, sample)],
    }
}

fn backlog(settings: &Autoscale, sample: &Sample) -> Option<Proposal> {
    let backlog = sample.backlog?;
    let wanted = backlog as f64 / settings.target_backlog as f64;
    let workers = unless_near(wanted / sample.workers as f64, sample.workers, wanted);
    Some(Proposal { workers, reason: format!("backlog {backlog}, {} per worker", settings.target_backlog) })
}

fn age(settings: &Autoscale, sample: &Sample) -> Option<Proposal> {
    let age = sample.oldest_age?;
    let ratio = age.as_secs_f64() / settings.target_age.as_secs_f64();
    let workers = unless_near(ratio, sample.workers, ratio * sample.workers as f64);
    let reason = format!("oldest waiting {}, {} at most", format_duration(age), format_duration(settings.target_age));
    Some(Proposal { workers, reason })
}

/// Workers that can't be told count against a change: as idle if it adds, as on target if it takes away.
fn cpu(settings: &Autoscale, sample: &Sample) -> Option<Proposal> {
    let known: Vec<f64> = sample.cpu.iter().copied().flatten().collect();
    if known.is_empty() {
        return None;
    }
    let target = settings.target_cpu;
    let used: f64 = known.iter().sum();
    let mean = used / known.len() as f64;
    let unknown = sample.cpu.len() - known.len();
    let assumed = if mean < target { target } else { 0.0 };
    let ratio = (used + assumed * unknown as f64) / (sample.cpu.len() as f64 * target);
    let turned = (ratio < 1.0) != (mean < target);
    let workers =
        if turned { sample.workers } else { unless_near(ratio, sample.workers, ratio * sample.workers as f64) };
    Some(Proposal { workers, reason: format!("CPU {mean:.2} cores per worker, target {target}") })
}

fn unless_near(ratio: f64, workers: usize, wanted: f64) -> usize {
    if (ratio - 1.0).abs() <= TOLERANCE {
        return workers;
    }
    // `as` saturates. What floating point adds above a whole number is not one more worker.
    (wanted - 1e-9).ceil().max(0.0) as usize
}
