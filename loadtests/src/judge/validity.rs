//! Whether the figures can be believed.

use super::limit::{BUSY, Limit};
use super::{generators, interrupted, measured, step};
use crate::plan::{grouped, percent};
use crate::result::{Report, Sample, Step, Verdict};

/// Of the planned arrivals, fewer than this are another load than was planned.
const REACHED: f64 = 0.99;

/// More late starts than this, and the load was not what the plan says.
const FEW_LATE: f64 = 0.05;

/// A machine that is busier than this makes everything on it slower.
const FULL: f64 = 0.95;

pub(super) fn judge(report: &mut Report) {
    let reasons = reasons(report);
    report.validity.verdict = if reasons.is_empty() { Verdict::Pass } else { Verdict::Inconclusive };
    report.validity.notes = notes(report);
    report.validity.reasons = reasons;
}

/// Whether fewer arrivals were sent than planned, or too many of them late.
pub(super) fn is_behind(offered_ratio: Option<f64>, late_starts: f64) -> bool {
    offered_ratio.is_some_and(|ratio| ratio < REACHED) || late_starts > FEW_LATE
}

/// Whether the generator had no processor left during a step, in words.
pub(super) fn saturated_at(report: &Report, step: &Step) -> Option<String> {
    saturated(&measured::seconds_of(step, &report.timeline))
}

/// Why the figures of one step say nothing.
pub(super) fn of_step(report: &Report, step: &Step) -> Vec<String> {
    of_generator(report, step.offered_ratio, step.late_starts, saturated_at(report, step))
}

fn reasons(report: &Report) -> Vec<String> {
    let mut reasons: Vec<String> = generators::missing(report).collect();
    if interrupted(report) {
        let by = report.ended_early.as_deref().and_then(|reason| reason.split_once(": "));
        let by = by.map(|(_, by)| format!(" ({by})")).unwrap_or_default();
        reasons.push(format!("only what came until it was interrupted{by} is in the figures"));
    }
    if report.accept_intended_ms.n == 0 {
        reasons.push("there are no samples: nothing was accepted in the measured time".to_owned());
    }
    match (&report.breakpoint, report.steps.is_empty()) {
        (Some(_), _) => reasons.extend(of_search(report)),
        (None, true) => reasons.extend(of_run(report)),
        (None, false) => reasons.extend(report.steps.iter().flat_map(|one| at(one, of_step(report, one)))),
    }
    let validity = &report.validity;
    if let Some(lost) = &validity.stream_lost {
        reasons.push(format!("the event stream was lost, so ends were not heard: {lost}"));
    }
    if validity.stream_gaps > 0 {
        let times = times(validity.stream_gaps);
        reasons.push(format!("the event stream had a gap {times}, so ends were heard later than they came"));
    }
    let of_each = generators::reasons(report, &reasons);
    reasons.extend(of_each);
    reasons
}

fn of_run(report: &Report) -> Vec<String> {
    let validity = &report.validity;
    let saturated = saturated(&measured::seconds(report));
    of_generator(report, validity.offered_ratio, validity.late_starts, saturated)
}

/// Beyond the answer the generator may have no processor left; up to it, and at the size that broke, it must have.
fn of_search(report: &Report) -> Vec<String> {
    let Some(found) = &report.breakpoint else { return Vec::new() };
    let mut steps: Vec<&Step> = report.steps.iter().filter(|step| step.verdict != Verdict::Pass).collect();
    steps.sort_by(|one, other| step::size(one).total_cmp(&step::size(other)));
    let Some(bad) = steps.first() else { return Vec::new() };
    let named = step::named(bad);
    if found.limit.as_deref() == Some(Limit::Generator.as_str()) {
        let because = found.because.as_deref().unwrap_or_default();
        return vec![format!("at {named} the generator was the limit: {because}")];
    }
    let unsure = bad.verdict == Verdict::Inconclusive;
    Vec::from_iter(unsure.then(|| format!("{named} could not be judged: {}", bad.broke.as_deref().unwrap_or_default())))
}

fn at(one: &Step, reasons: Vec<String>) -> impl Iterator<Item = String> {
    let named = step::named(one);
    reasons.into_iter().map(move |reason| format!("at {named}: {reason}"))
}

fn of_generator(
    report: &Report,
    offered_ratio: Option<f64>,
    late_starts: f64,
    saturated: Option<String>,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(ratio) = offered_ratio.filter(|ratio| *ratio < REACHED) {
        let held_back = report.validity.held_back;
        let why = if held_back > 0 {
            let limit = grouped(report.plan.max_in_flight);
            format!("; the limit of {limit} requests at once held {} back", grouped(held_back))
        } else if saturated.is_some() {
            "; the generator had no processor left".to_owned()
        } else {
            String::new()
        };
        reasons.push(format!("the rate was not reached: {} of the planned arrivals were sent{why}", percent(ratio)));
    }
    if late_starts > FEW_LATE {
        reasons
            .push(format!("{} of the requests began late, so the load was not what was planned", percent(late_starts)));
    }
    reasons.extend(saturated);
    reasons
}

/// Says so if it used nearly all cores in at least a tenth of these seconds.
fn saturated(seconds: &[&Sample]) -> Option<String> {
    let full = seconds.iter().filter(|second| second.generator_cpu >= BUSY).count();
    (full > 0 && full * 10 >= seconds.len()).then(|| {
        let whole = seconds.len();
        format!("the generator was saturated: it used {} or more of all cores in {full} of {whole} s", percent(BUSY))
    })
}

fn notes(report: &Report) -> Vec<String> {
    let mut notes: Vec<String> = generators::note(report).into_iter().collect();
    if let Some(busy) = report.validity.machine_cpu.filter(|busy| report.generator.shared && *busy >= FULL) {
        let busy = percent(busy);
        notes.push(format!("generator and platform share a machine that was {busy} busy: each slows the other down"));
    }
    if report.validity.stream_reconnects > 0 {
        let times = times(report.validity.stream_reconnects);
        notes.push(format!("the event stream broke off {times} and came back without a gap"));
    }
    if report.correctness.unanswered > 0 {
        let unanswered = grouped(report.correctness.unanswered);
        notes.push(format!("requests without an answer: {unanswered}; nobody knows whether they were accepted"));
    }
    notes
}

fn times(times: u64) -> String {
    match times {
        1 => "once".to_owned(),
        times => format!("{} times", grouped(times)),
    }
}
