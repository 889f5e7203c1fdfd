//! Whether the measurements are valid.

use super::limit::{BUSY, Limit, MANY_REFUSED};
use super::{generators, interrupted, measured, standstill, step};
use crate::plan::{Slo, grouped, percent};
use crate::result::{Report, Sample, Step, Verdict};
use card_client::LocalFault;

/// Of the planned arrivals, fewer than this are another load than was planned.
const REACHED: f64 = 0.99;

/// More late starts than this, and the load was not what the plan says.
const FEW_LATE: f64 = 0.05;

/// More requests that had to be sent again than this, and the load was not what the plan says.
const FEW_REPEATED: f64 = 0.05;

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
    doubts(report, &Stretch::of_step(report, step))
}

/// What is looked at: all that was measured, or one step of it.
struct Stretch<'a> {
    offered_ratio: Option<f64>,
    late_starts: f64,
    seconds: Vec<&'a Sample>,
    /// Of all answers, how many were not the platform's, and how those were named mostly.
    foreign: (f64, Option<&'a str>),
    repeated_ratio: f64,
    unsent: u64,
    accepts: u64,
    accepted_rate: f64,
    ends: u64,
}

impl<'a> Stretch<'a> {
    fn of_run(report: &'a Report) -> Self {
        let (errors, validity) = (&report.errors, &report.validity);
        let foreign: u64 = errors.by_gateway.values().sum();
        let own: u64 = errors
            .by_code
            .iter()
            .filter(|(code, _)| !errors.by_gateway.contains_key(*code))
            .map(|(_, count)| count)
            .sum();
        let answered = report.correctness.accepted + report.correctness.reads;
        let requests = answered + errors.by_code.values().sum::<u64>();
        let most = errors.by_gateway.iter().max_by_key(|(_, count)| **count).map(|(name, _)| name.as_str());
        Self {
            offered_ratio: validity.offered_ratio,
            late_starts: validity.late_starts,
            seconds: measured::seconds(report),
            foreign: (share(foreign, answered + own + foreign), most),
            repeated_ratio: share(errors.repeated, requests),
            unsent: validity.unsent,
            accepts: report.accept_ms.n,
            accepted_rate: report.rates.accepted,
            ends: report.e2e_ms.n,
        }
    }

    fn of_step(report: &'a Report, step: &'a Step) -> Self {
        Self {
            offered_ratio: step.offered_ratio,
            late_starts: step.late_starts,
            seconds: measured::seconds_of(step, &report.timeline),
            foreign: (step.foreign_ratio, step.main_foreign.as_deref()),
            repeated_ratio: step.repeated_ratio,
            unsent: step.unsent,
            accepts: step.n,
            accepted_rate: step.rates.accepted,
            ends: step.e2e_n,
        }
    }
}

fn reasons(report: &Report) -> Vec<String> {
    let mut reasons: Vec<String> = generators::missing(report).collect();
    if interrupted(report) {
        let by = report.ended_early.as_deref().and_then(|reason| reason.split_once(": "));
        let by = by.map(|(_, by)| format!(" ({by})")).unwrap_or_default();
        reasons.push(format!("the measurements only cover the time until the interruption{by}"));
    }
    if report.plan.journey.orders() {
        if report.accept_intended_ms.n == 0 {
            reasons.push("there are no samples: nothing was accepted in the measured time".to_owned());
        }
    } else if report.reads.is_none() {
        reasons.push("there are no samples: nothing was read in the measured time".to_owned());
    }
    match (&report.breakpoint, report.steps.is_empty()) {
        (Some(_), _) => reasons.extend(of_search(report)),
        (None, true) => reasons.extend(doubts(report, &Stretch::of_run(report))),
        (None, false) => reasons.extend(report.steps.iter().flat_map(|one| at(one, of_step(report, one)))),
    }
    let validity = &report.validity;
    if let Some(lost) = &validity.stream_lost {
        reasons.push(format!("the event stream was lost, so completions are missing: {lost}"));
    }
    if validity.stream_gaps > 0 {
        let times = times(validity.stream_gaps);
        reasons.push(format!("the event stream had a gap {times}, so completions were observed late"));
    }
    let of_each = generators::reasons(report, &reasons);
    reasons.extend(of_each);
    reasons
}

/// Beyond the answer the generator may have no processor left; up to it, and at the size that broke, it must have.
fn of_search(report: &Report) -> Vec<String> {
    let Some(found) = &report.breakpoint else { return Vec::new() };
    let mut steps: Vec<&Step> = report.steps.iter().filter(|step| step.verdict != Verdict::Pass).collect();
    steps.sort_by(|one, other| step::size(one).total_cmp(&step::size(other)));
    let Some(bad) = steps.first() else { return Vec::new() };
    let named = step::named(bad);
    let because = found.because.as_deref().unwrap_or_default();
    if found.limit.as_deref() == Some(Limit::Generator.as_str()) {
        return vec![format!("at {named} the generator was the bottleneck: {because}")];
    }
    if found.limit.as_deref() == Some(Limit::Gateway.as_str()) {
        return vec![format!("at {named} a proxy in front of the platform was the bottleneck: {because}")];
    }
    let unsure = bad.verdict == Verdict::Inconclusive;
    Vec::from_iter(unsure.then(|| format!("{named} could not be judged: {}", bad.broke.as_deref().unwrap_or_default())))
}

fn at(one: &Step, reasons: Vec<String>) -> impl Iterator<Item = String> {
    let named = step::named(one);
    reasons.into_iter().map(move |reason| format!("at {named}: {reason}"))
}

/// What speaks against the figures of a stretch, the clearest first.
fn doubts(report: &Report, of: &Stretch<'_>) -> Vec<String> {
    let mut doubts = Vec::new();
    doubts.extend(foreign(of).filter(|_| of.foreign.0 >= MANY_REFUSED));
    doubts.extend(unsent(report, of));
    // Of several, each says so of itself.
    if report.generators.is_empty() {
        doubts.extend(standstill::found(&of.seconds));
    }
    doubts.extend(pace(report, of));
    if of.repeated_ratio > FEW_REPEATED {
        let repeated = percent(of.repeated_ratio);
        doubts.push(format!("{repeated} of the requests had to be resent, so the load was not as planned"));
    }
    doubts.extend(standstill::robbed(&of.seconds));
    if of.ends < of.accepts {
        let (ends, accepts) = (grouped(of.ends), grouped(of.accepts));
        doubts.push(format!(
            "completions of {ends} of {accepts} accepted requests were observed, so the end-to-end times are incomplete"
        ));
    }
    if of.accepts > 0 && of.accepted_rate <= 0.0 {
        doubts.push("the measured time was too short to compute rates".to_owned());
    }
    doubts
}

/// What was answered by something else, in words.
fn foreign(of: &Stretch<'_>) -> Option<String> {
    let (ratio, most) = of.foreign;
    let mostly = most.map_or_else(String::new, |most| format!(", mostly as {most}"));
    (ratio > 0.0)
        .then(|| format!("{} of the answers came from a proxy in front of the platform{mostly}", percent(ratio)))
}

/// What this machine could not send, in words: one request is enough, because nobody knows how the others were held up.
fn unsent(report: &Report, of: &Stretch<'_>) -> Option<String> {
    let by_lack = &report.validity.by_lack;
    let lack = by_lack.iter().max_by_key(|(_, count)| **count).map(|(name, _)| name.as_str());
    let lack = LocalFault::ALL.into_iter().find(|fault| Some(fault.name()) == lack);
    let because = lack.map_or_else(String::new, |lack| format!(": {}; {}", lack.in_words(), lack.fix()));
    let requests = if of.unsent == 1 { "request" } else { "requests" };
    (of.unsent > 0).then(|| format!("this machine could not send {} {requests}{because}", grouped(of.unsent)))
}

/// Whether the load was made as fast as planned.
fn pace(report: &Report, of: &Stretch<'_>) -> Vec<String> {
    let mut doubts = Vec::new();
    let saturated = saturated(&of.seconds);
    if let Some(ratio) = of.offered_ratio.filter(|ratio| *ratio < REACHED) {
        let held_back = report.validity.held_back;
        let why = if held_back > 0 {
            let limit = grouped(report.plan.max_in_flight);
            format!("; the limit of {limit} requests at once held {} back", grouped(held_back))
        } else if saturated.is_some() {
            "; the generator's CPU was saturated".to_owned()
        } else {
            String::new()
        };
        doubts.push(format!("the rate was not reached: {} of the planned arrivals were sent{why}", percent(ratio)));
    }
    if of.late_starts > FEW_LATE {
        let late = percent(of.late_starts);
        doubts.push(format!("{late} of the requests started late, so the load was not as planned"));
    }
    doubts.extend(saturated);
    doubts
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
    notes.extend(report.plan.weakened().iter().map(|(known, taken)| weakened(known, taken)));
    if let Some(busy) = report.validity.machine_cpu.filter(|busy| report.generator.shared && *busy >= FULL) {
        let busy = percent(busy);
        notes.push(format!("generator and platform share a machine that was {busy} busy, and slow each other down"));
    }
    if report.validity.stream_reconnects > 0 {
        let times = times(report.validity.stream_reconnects);
        notes.push(format!("the event stream was interrupted {times} and resumed without a gap"));
    }
    let of = Stretch::of_run(report);
    notes.extend(foreign(&of).filter(|_| of.foreign.0 < MANY_REFUSED));
    if report.errors.repeated > 0 {
        let (repeated, resent) = (grouped(report.errors.repeated), times(report.errors.resent));
        notes.push(format!("requests resent because the platform did not answer: {repeated}, {resent} in all"));
    }
    if let Some(took) = standstill::little(&of.seconds) {
        notes.push(took);
    }
    if report.correctness.unanswered > 0 {
        let unanswered = grouped(report.correctness.unanswered);
        notes.push(format!("requests without an answer: {unanswered}; it is unknown whether they were accepted"));
    }
    notes
}

/// A built-in promise that something easier to keep took the place of, in words.
#[must_use]
pub fn weakened(known: &Slo, taken: &Slo) -> String {
    format!("{taken} ({}) replaced the default {known}, which is stricter", taken.promised())
}

fn times(times: u64) -> String {
    match times {
        1 => "once".to_owned(),
        times => format!("{} times", grouped(times)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
