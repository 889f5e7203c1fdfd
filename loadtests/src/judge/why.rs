//! The verdict in one sentence.

use card_core::exit::Exit;

use super::exit::exit;
use super::{broken_rule, promise, step};
use crate::plan::{Model, grouped, percent};
use crate::result::{Audit, Breakpoint, Change, Report, Step, Verdict};

/// Why the verdict is what it is, in plain words and without a full stop: the weightiest reason, as in the exit code.
#[must_use]
pub fn why(report: &Report) -> String {
    match exit(report) {
        Exit::Incorrect => unsound(&report.correctness),
        Exit::SloMissed => missed(report),
        Exit::Regression => slower(report),
        Exit::Inconclusive => unsure(report),
        _ => kept(report),
    }
}

fn unsound(found: &Audit) -> String {
    let kinds = found.wrong().into_iter().filter(|(count, _)| *count > 0);
    let kinds: Vec<String> = kinds.map(|(count, kind)| format!("{} {kind}", grouped(count))).collect();
    format!("{} of {} accepted{}", kinds.join(", "), grouped(found.accepted), reads(found))
}

/// The reads beside what was accepted, if there were any.
fn reads(found: &Audit) -> String {
    if found.reads > 0 { format!(" and {} read", grouped(found.reads)) } else { String::new() }
}

fn missed(report: &Report) -> String {
    let rule = broken_rule(report).filter(|_| report.breakpoint.is_none());
    let promises = report.plan.slo.iter().zip(&report.slo).filter(|(_, result)| result.verdict == Verdict::Fail);
    let promises = promises.filter_map(|(slo, result)| Some(promise::told(slo, result.actual?)));
    // A step that broke what is broken over all says it no better.
    let mut reasons: Vec<String> =
        rule.map(|rule| format!("ended early: {rule}")).into_iter().chain(promises).collect();
    if reasons.is_empty() {
        reasons.extend(report.steps.iter().filter(|step| step.verdict == Verdict::Fail).map(broke));
    }
    match reasons.as_slice() {
        [] => "an SLO was missed".to_owned(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
    }
}

fn broke(step: &Step) -> String {
    format!("at {}: {}", step::named(step), step.broke.as_deref().unwrap_or("an SLO was missed"))
}

fn slower(report: &Report) -> String {
    let Some(regression) = &report.regression else { return String::new() };
    let worse = regression.changes.iter().find(|change| change.counts && change.verdict == Verdict::Fail);
    match worse {
        Some(worse) => changed(worse),
        None => "regression against the baseline".to_owned(),
    }
}

fn changed(change: &Change) -> String {
    match change.change {
        Some(by) => {
            let more = if by < 0.0 { "less" } else { "more" };
            format!("{} is {} {more} than in the baseline", change.figure, percent(by.abs()))
        }
        None => format!("{} was 0 in the baseline and no longer is", change.figure),
    }
}

fn unsure(report: &Report) -> String {
    let validity = report.validity.reasons.first().cloned();
    let nothing = || {
        let nothing = report.correctness.accepted == 0 && report.correctness.reads == 0;
        nothing.then(|| "nothing was accepted, so nothing could be verified".to_owned())
    };
    let audit = || {
        let (found, reason) = (&report.correctness, report.correctness.unverified_reason.as_deref());
        (found.unverified > 0).then(|| {
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            format!(
                "{} of {} accepted could not be verified{reason}",
                grouped(found.unverified),
                grouped(found.accepted)
            )
        })
    };
    let promise = || {
        let mut open = report.plan.slo.iter().zip(&report.slo).filter(|(_, slo)| slo.verdict == Verdict::Inconclusive);
        open.next().map(|(slo, result)| promise::untold(slo, result.actual, result.n, report.plan.min_samples))
    };
    let step = || report.steps.iter().find(|step| step.verdict == Verdict::Inconclusive).map(broke);
    let reason = validity.or_else(nothing).or_else(audit).or_else(promise).or_else(step).or_else(|| unlike(report));
    reason.unwrap_or_else(|| "the measurements are not valid".to_owned())
}

fn unlike(report: &Report) -> Option<String> {
    let regression = report.regression.as_ref().filter(|regression| regression.verdict == Verdict::Inconclusive)?;
    if let Some(unlike) = regression.unlike.first() {
        return Some(format!("the baseline is not comparable: {unlike}"));
    }
    let noisy = regression.changes.iter().find(|change| change.counts && change.verdict == Verdict::Inconclusive);
    Some(match noisy {
        Some(noisy) => format!("{}, which may be chance", changed(noisy)),
        None => "the baseline is not comparable".to_owned(),
    })
}

fn kept(report: &Report) -> String {
    if let Some(found) = &report.breakpoint {
        return limit(report, found);
    }
    let accepted = grouped(report.correctness.accepted);
    let promises = match report.slo.len() {
        0 => String::new(),
        1 => "; the SLO is met".to_owned(),
        2 => "; both SLOs are met".to_owned(),
        count => format!("; all {count} SLOs are met"),
    };
    let (orders, reads) = (report.plan.journey.orders(), report.correctness.reads);
    let orders = orders.then(|| format!("{accepted} accepted, each completed exactly once"));
    let reads = (reads > 0).then(|| format!("{} read, none of it stale", grouped(reads)));
    let kept: Vec<_> = orders.into_iter().chain(reads).collect();
    format!("{}{promises}", kept.join("; "))
}

fn limit(report: &Report, found: &Breakpoint) -> String {
    let named = |size| step::size_named(report.plan.model == Model::Open, size);
    let limit = match found.limit.as_deref() {
        None | Some("unknown") => String::new(),
        Some(limit) => format!("; the limit: {limit}"),
    };
    match (found.holds.map(named), found.breaks.map(named), &found.broke) {
        (Some(holds), Some(breaks), Some(broke)) => format!("passes at {holds}, fails at {breaks}: {broke}{limit}"),
        (Some(holds), _, _) => format!("passes at {holds}, the largest size tested"),
        (None, ..) => "nothing was tested".to_owned(),
    }
}
