//! Each step: whether the promises hold at its size, and how much slower it is than the first.

use super::measured::{in_step, seconds_of};
use super::{broken_rule, pace, promise, standstill, validity};
use crate::plan::{Slo, Unit, described, grouped, percent};
use crate::result::{Report, Step, Verdict};
use card_client::latency::Percentiles;

/// A difference of accept latencies that is none, in milliseconds: twice half a millisecond is still fast.
const NO_DIFFERENCE_MS: f64 = 2.0;

pub(super) fn judge(report: &mut Report) {
    let mut steps = std::mem::take(&mut report.steps);
    let first = steps.first().cloned();
    let told = steps.iter().any(|step| step.ended_early.is_some());
    let last = steps.len();
    for (index, step) in steps.iter_mut().enumerate() {
        let first = first.as_ref().filter(|_| index > 0);
        step.degradation = first.and_then(|first| slower(first.accept_p95, step.accept_p95));
        step.degradation_p50 = first.and_then(|first| slower(first.accept_p50, step.accept_p50));
        step.degradation_read = first.and_then(|first| slower(read(first).p95, read(step).p95));
        step.degradation_e2e = first.and_then(|first| slower(first.e2e_p95, step.e2e_p95));
        // A rule that ended the load and no step in particular ended the last one.
        let rule = if told || index + 1 < last { step.ended_early.as_deref() } else { broken_rule(report) };
        let (broken, unsure) = findings(report, first, step, rule.map(str::to_owned));
        (step.verdict, step.broke) = if !broken.is_empty() {
            (Verdict::Fail, Some(broken.join("; ")))
        } else if !unsure.is_empty() {
            (Verdict::Inconclusive, Some(unsure.join("; ")))
        } else {
            (Verdict::Pass, None)
        };
    }
    report.steps = steps;
}

/// Its size: users, or arrivals a second.
#[expect(clippy::cast_precision_loss, reason = "a number of users")]
pub(super) fn size(step: &Step) -> f64 {
    step.rate.or(step.users.map(|users| users as f64)).unwrap_or(0.0)
}

/// Its size in words: `1,000 users`, `400/s`.
pub(super) fn named(step: &Step) -> String {
    size_named(step.rate.is_some(), size(step))
}

/// A size in words.
pub(super) fn size_named(is_rate: bool, size: f64) -> String {
    match is_rate {
        true => described(Unit::Rate, size),
        false if size == 1.0 => "1 user".to_owned(),
        false => format!("{} users", described(Unit::Count, size)),
    }
}

/// What broke, and what could not be judged.
fn findings(report: &Report, first: Option<&Step>, step: &Step, rule: Option<String>) -> (Vec<String>, Vec<String>) {
    let (mut broken, mut unsure) = (Vec::from_iter(rule), validity::of_step(report, step));
    for slo in report.plan.slo.iter().filter(|slo| binds(slo)) {
        let Some(measured) = in_step(slo, step, &report.timeline) else { continue };
        let excused = promise::excused(slo, report, &seconds_of(step, &report.timeline));
        match (promise::verdict(slo, measured, report.plan.min_samples, excused), measured.actual) {
            (Verdict::Pass, _) => {}
            (Verdict::Fail, Some(actual)) => broken.push(promise::told(slo, actual)),
            _ => unsure.push(promise::untold(slo, measured.actual, measured.n, report.plan.min_samples)),
        }
    }
    broken.extend(pace::behind(report, step));
    if let (Some(most), Some(first)) = (report.plan.max_degradation, first) {
        let samples = |of: &Step| if report.plan.journey.orders() { of.n } else { read(of).n };
        let samples = samples(first).min(samples(step));
        if samples < report.plan.min_samples.max(1) {
            unsure.push(format!("too few samples to compute the degradation: {}", grouped(samples)));
        } else if !standstill::slows(&seconds_of(step, &report.timeline)) {
            broken.extend(degraded(first, step, most));
        }
    }
    (broken, unsure)
}

/// Whether a promise is about each size. A small step can't reach the rate that is promised of the whole.
fn binds(slo: &Slo) -> bool {
    !(slo.unit() == Unit::Rate && slo.op.is_floor())
}

fn degraded(first: &Step, step: &Step, most: f64) -> Option<String> {
    let (first_read, this_read) = (read(first), read(step));
    let figures = [
        ("accept.p50", first.accept_p50, step.accept_p50),
        ("accept.p95", first.accept_p95, step.accept_p95),
        ("read.p50", first_read.p50, this_read.p50),
        ("read.p95", first_read.p95, this_read.p95),
    ];
    let too_slow = |(_, first, this): &(_, f64, f64)| *this > f64::max(first * (1.0 + most), first + NO_DIFFERENCE_MS);
    figures.into_iter().find(too_slow).map(|(name, first, this)| {
        let by = slower(first, this).map_or_else(String::new, |by| format!("{} ", percent(by)));
        let (this, first) = (described(Unit::Time, this), described(Unit::Time, first));
        format!("{name} {this}, {by}slower than {first} at the first step, at most {} allowed", percent(most))
    })
}

fn read(step: &Step) -> Percentiles {
    step.reads.as_ref().map(|reads| reads.ms).unwrap_or_default()
}

/// How much slower, as a fraction; none if there is nothing to compare with.
fn slower(first: f64, this: f64) -> Option<f64> {
    (first > 0.0 && this > 0.0).then(|| (this - first) / first)
}
