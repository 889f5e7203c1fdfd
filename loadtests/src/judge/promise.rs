//! Whether the promises are kept.

use super::measured::{self, Measured, in_run, in_step};
use super::standstill;
use crate::plan::{Slo, Unit, grouped};
use crate::result::{Report, Sample, SloResult, Step, Verdict};

/// Every promise of the plan. In a search for the limit they are about the largest size that held, or the smallest if
/// none did; what only the audit can tell is always about the whole run.
pub(super) fn judge(report: &Report) -> Vec<SloResult> {
    let step = if report.plan.growth.is_some() { decisive(report) } else { None };
    report.plan.slo.iter().map(|slo| one(slo, report, step)).collect()
}

fn one(slo: &Slo, report: &Report, step: Option<&Step>) -> SloResult {
    let measured = step.and_then(|step| in_step(slo, step, &report.timeline));
    let measured = measured.unwrap_or_else(|| in_run(slo, report));
    let seconds = match step {
        Some(step) => measured::seconds_of(step, &report.timeline),
        None => measured::seconds(report),
    };
    SloResult {
        expr: slo.text.clone(),
        actual: measured.actual,
        n: measured.n,
        verdict: verdict(slo, measured, report.plan.min_samples, excused(slo, report, &seconds)),
        broken_s: broken(slo, &seconds),
    }
}

/// Whether a promise may have been missed because of this side: the generator stood still, had no
/// processor, or could not send.
pub(super) fn excused(slo: &Slo, report: &Report, seconds: &[&Sample]) -> bool {
    standstill::excuses(slo, seconds) || (slo.unit() == Unit::Rate && slo.op.is_floor() && report.validity.unsent > 0)
}

/// Never kept without samples, and never broken by who measured it.
pub(super) fn verdict(slo: &Slo, measured: Measured, min_samples: u64, excused: bool) -> Verdict {
    match measured.actual {
        Some(_) if measured.n < needed(slo, min_samples) => Verdict::Inconclusive,
        Some(actual) if slo.holds(actual) => Verdict::Pass,
        Some(_) if excused => Verdict::Inconclusive,
        Some(_) => Verdict::Fail,
        None => Verdict::Inconclusive,
    }
}

/// How many samples a judgement takes. A rate and a largest value are of all seconds there were.
fn needed(slo: &Slo, min_samples: u64) -> u64 {
    if slo.is_latency() || slo.unit() == Unit::Share { min_samples.max(1) } else { 1 }
}

/// A broken promise in words: `e2e.p95 2.31 s, SLO < 2 s`.
pub(super) fn told(slo: &Slo, actual: f64) -> String {
    format!("{} {}, SLO {}", slo.figure(), slo.describe(actual), slo.promised())
}

/// A promise that is not judged, in words: `e2e.p95 of 7 samples, at least 20 are needed`.
pub(super) fn untold(slo: &Slo, actual: Option<f64>, n: u64, min_samples: u64) -> String {
    let enough = needed(slo, min_samples);
    if let Some(actual) = actual.filter(|_| n >= enough) {
        return format!("{}, which may be caused by the generator", told(slo, actual));
    }
    let needed = grouped(enough);
    let samples = if n == 1 { "sample" } else { "samples" };
    format!("{} of {} {samples}, at least {needed} needed", slo.figure(), grouped(n))
}

fn broken(slo: &Slo, seconds: &[&Sample]) -> Option<(f64, f64)> {
    let bad = |second: &&&Sample| slo.in_second(second).is_some_and(|actual| !slo.holds(actual));
    let mut bad = seconds.iter().filter(bad).map(|second| second.t);
    let first = bad.next()?;
    Some((first, bad.next_back().unwrap_or(first)))
}

/// The step that a search's promises are judged on.
fn decisive(report: &Report) -> Option<&Step> {
    let holds = report.breakpoint.as_ref().and_then(|found| found.holds);
    let mut steps = report.steps.iter();
    match holds {
        Some(size) => steps.find(|step| super::step::size(step) == size),
        None => steps.min_by(|one, other| super::step::size(one).total_cmp(&super::step::size(other))),
    }
}
