//! What was measured of a promise: in a whole run, and in one step of it.

use crate::plan::{Metric, Slo, Stat};
use crate::result::{Phase, Report, Sample, Step};
use card_client::latency::Percentiles;

/// A figure and of how many samples it is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Measured {
    /// None without samples.
    pub(super) actual: Option<f64>,
    /// Accepts, ends or requests, as fits; seconds, for what is measured by the second.
    pub(super) n: u64,
}

impl Measured {
    fn of(n: u64, actual: f64) -> Self {
        Self { actual: Some(actual).filter(|_| n > 0), n }
    }
}

/// The seconds of the measured time.
pub(super) fn seconds(report: &Report) -> Vec<&Sample> {
    report.timeline.iter().filter(|second| second.phase == Phase::Steady).collect()
}

/// The seconds of a step's measured time. A sample's time is that of its end, which may be a hair after the step's.
pub(super) fn seconds_of<'t>(step: &Step, timeline: &'t [Sample]) -> Vec<&'t Sample> {
    let within = |second: &&Sample| second.t > step.from_s && second.t <= step.to_s + 0.5;
    timeline.iter().filter(|second| second.phase == Phase::Steady).filter(within).collect()
}

/// The figure of a promise in a whole run.
pub(super) fn in_run(slo: &Slo, report: &Report) -> Measured {
    let found = &report.correctness;
    let read = report.reads.as_ref().map_or(0, |reads| reads.count);
    let by_code: u64 = report.errors.by_code.values().sum();
    // Of what could not be found out, nobody knows whether it died.
    let known = found.accepted.saturating_sub(found.unverified);
    let rates = &report.rates;
    let seconds = seconds(report);
    let during = seconds.len() as u64;
    match slo.metric {
        Metric::Accept => latency(slo, &report.accept_intended_ms),
        Metric::AcceptService => latency(slo, &report.accept_ms),
        Metric::EndToEnd => latency(slo, &report.e2e_intended_ms),
        Metric::EndToEndService => latency(slo, &report.e2e_ms),
        Metric::QueueWait => latency(slo, &report.queue_wait_ms),
        Metric::Work => latency(slo, &report.work_ms),
        Metric::Read => report.reads.as_ref().map_or_else(Measured::default, |reads| latency(slo, &reads.ms)),
        Metric::Errors => Measured::of(report.accept_ms.n + read + by_code, report.errors.rate),
        Metric::Dead => Measured::of(known, share(found.dead, known)),
        Metric::Declined => Measured::of(known, share(found.declined, known)),
        Metric::Offered => Measured::of(during, rates.offered),
        Metric::Accepted => Measured::of(during, rates.accepted),
        Metric::Completed => Measured::of(during, rates.completed),
        Metric::Backlog | Metric::OldestAge => largest(slo, &seconds),
    }
}

/// The figure of a promise in one step; none for what only the audit at the end of the run can tell.
pub(super) fn in_step(slo: &Slo, step: &Step, timeline: &[Sample]) -> Option<Measured> {
    let seconds = seconds_of(step, timeline);
    let during = seconds.len() as u64;
    Some(match slo.metric {
        Metric::Accept => latency(slo, &step.accept_intended_ms),
        Metric::AcceptService => latency(slo, &step.accept_ms),
        Metric::EndToEnd => latency(slo, &step.e2e_intended_ms),
        Metric::EndToEndService => latency(slo, &step.e2e_ms),
        Metric::QueueWait => latency(slo, &step.queue_wait_ms),
        Metric::Work => latency(slo, &step.work_ms),
        Metric::Read => step.reads.as_ref().map_or_else(Measured::default, |reads| latency(slo, &reads.ms)),
        Metric::Errors => Measured::of(requests(step, &seconds), step.error_rate),
        Metric::Dead | Metric::Declined => return None,
        Metric::Offered => Measured::of(during, step.rates.offered),
        Metric::Accepted => Measured::of(during, step.rates.accepted),
        Metric::Completed => Measured::of(during, step.rates.completed),
        Metric::Backlog | Metric::OldestAge => largest(slo, &seconds),
    })
}

fn latency(slo: &Slo, of: &Percentiles) -> Measured {
    let actual = match slo.stat {
        Some(Stat::P50) => of.p50,
        Some(Stat::P90) => of.p90,
        Some(Stat::P95) => of.p95,
        Some(Stat::P99) => of.p99,
        Some(Stat::Max) => of.max,
        Some(Stat::Mean) => of.mean,
        // The grammar has no latency without one; a figure that is not named is not there.
        None => return Measured::default(),
    };
    Measured::of(of.n, actual)
}

fn largest(slo: &Slo, seconds: &[&Sample]) -> Measured {
    let told: Vec<f64> = seconds.iter().filter_map(|second| slo.in_second(second)).collect();
    Measured::of(told.len() as u64, told.iter().copied().fold(0.0, f64::max))
}

/// How many requests a step sent: what was accepted and the share that was not, or what the seconds say where nothing
/// was accepted.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "requests")]
fn requests(step: &Step, seconds: &[&Sample]) -> u64 {
    let sent: f64 = seconds.iter().map(|second| second.offered * second.lasted).sum();
    let accepted = step.n as f64;
    let sum = if step.error_rate < 1.0 { accepted / (1.0 - step.error_rate) } else { accepted };
    sum.max(sent).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "counts of tasks")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
