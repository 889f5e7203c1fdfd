//! Why the verdict is what it is, in one sentence.

use crate::report::format;
use crate::result::{Report, Verdict};

/// The sentence. The weightiest reason comes first, as in the exit code.
pub(super) fn why(report: &Report) -> String {
    let early = report.ended_early.as_ref().map(|reason| format!("It ended before its time: {reason}."));
    let reason = unsound(report)
        .or_else(|| missed(report))
        .or_else(|| slower(report))
        .or_else(|| unsure(report))
        .or_else(|| (report.verdict == Verdict::Pass).then(|| kept(report)));
    let reason = reason.unwrap_or_else(|| match report.verdict {
        Verdict::Pass => String::new(),
        Verdict::Fail => format!("The run ended with exit code {}.", report.exit),
        Verdict::Inconclusive => "The run says nothing about the platform.".to_owned(),
    });
    match early {
        Some(early) => format!("{early} {reason}").trim_end().to_owned(),
        None => reason,
    }
}

fn unsound(report: &Report) -> Option<String> {
    let found = &report.correctness;
    if found.verdict != Verdict::Fail {
        return None;
    }
    let kinds = [(found.lost, "lost"), (found.duplicate, "duplicate"), (found.stuck, "stuck")];
    let said = |(n, kind): &(u64, &str)| format!("{} {} {kind}", format::count(*n), if *n == 1 { "is" } else { "are" });
    let kinds: Vec<String> = kinds.iter().filter(|(n, _)| *n > 0).map(said).collect();
    Some(match kinds.as_slice() {
        [] => "The audit found that the platform did not keep its word.".to_owned(),
        _ => format!("Of {} accepted tasks, {}.", format::count(found.accepted), listed(&kinds)),
    })
}

fn missed(report: &Report) -> Option<String> {
    let broken: Vec<_> = report.slo.iter().filter(|slo| slo.verdict == Verdict::Fail).collect();
    let first = broken.first()?;
    let during = first
        .broken_s
        .map_or_else(String::new, |(from, to)| format!(", between {} and {}", format::point(from), format::point(to)));
    let more = match broken.len() {
        1 => String::new(),
        n => format!(", and {} more", n - 1),
    };
    let actual = format::actual(&report.plan, first);
    Some(format!("The promise {} was missed: {actual} measured{during}{more}.", first.expr))
}

fn slower(report: &Report) -> Option<String> {
    let regression = report.regression.as_ref().filter(|regression| regression.verdict == Verdict::Fail)?;
    let worse = regression.changes.iter().find(|change| change.counts && change.verdict == Verdict::Fail);
    Some(match worse {
        Some(worse) => format!(
            "Worse than the baseline: {} went from {} to {}.",
            worse.figure,
            format::figure(&worse.figure, worse.before),
            format::figure(&worse.figure, worse.after)
        ),
        None => "Worse than the baseline.".to_owned(),
    })
}

fn unsure(report: &Report) -> Option<String> {
    if report.verdict == Verdict::Pass {
        return None;
    }
    if report.verdict == Verdict::Fail && report.exit != 11 {
        return None;
    }
    let found = &report.correctness;
    let unverified = || {
        let reason = found.unverified_reason.clone();
        reason.or_else(|| (found.unverified > 0).then(|| format!("{} tasks", format::count(found.unverified))))
    };
    let unjudged = || report.slo.iter().find(|slo| slo.verdict == Verdict::Inconclusive);
    if found.verdict == Verdict::Inconclusive && unverified().is_some() {
        return unverified().map(|reason| format!("The audit could not find out everything: {reason}."));
    }
    if let Some(reason) = report.validity.reasons.first() {
        return Some(format!("The figures can't be believed: {reason}."));
    }
    if let Some(slo) = unjudged() {
        return Some(format!(
            "The promise {} can't be judged: {} samples, {} are needed.",
            slo.expr,
            format::count(slo.n),
            format::count(report.plan.min_samples)
        ));
    }
    if let Some(reason) = report.regression.as_ref().and_then(|regression| regression.unlike.first()) {
        return Some(format!("The baseline can't be compared: {reason}."));
    }
    (found.accepted == 0).then(|| "Nothing was accepted, so nothing could be looked at.".to_owned())
}

fn kept(report: &Report) -> String {
    let accepted = format::count(report.correctness.accepted);
    let promises = match report.slo.len() {
        0 => "nothing else was promised".to_owned(),
        1 => "the promise was kept".to_owned(),
        n => format!("all {n} promises were kept"),
    };
    format!("All {accepted} accepted tasks came to exactly one end, and {promises}.")
}

/// `a`, `a and b`, `a, b and c`.
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::result::{Correctness, Regression, SloResult, Validity};

    /// Nothing is wrong with it.
    fn sound() -> Report {
        let correctness =
            Correctness { verdict: Verdict::Pass, accepted: 12_000, succeeded: 12_000, ..Default::default() };
        let validity = Validity { verdict: Verdict::Pass, ..Default::default() };
        Report { verdict: Verdict::Pass, exit: 0, correctness, validity, ..fixture::empty() }
    }

    fn promise(verdict: Verdict) -> SloResult {
        SloResult { expr: "e2e.p95<2s".to_owned(), actual: Some(2310.0), n: 7, verdict, broken_s: Some((38.0, 52.0)) }
    }

    #[test]
    fn a_pass_says_what_was_looked_at() {
        let told = "All 12,000 accepted tasks came to exactly one end, and nothing else was promised.";
        assert_eq!(why(&sound()), told);
    }

    #[test]
    fn what_is_not_sound_comes_before_a_missed_promise() {
        let told = "Of 16,794 accepted tasks, 2 are lost, 1 is duplicate and 2 are stuck.";
        assert_eq!(why(&fixture::report()), told);
    }

    #[test]
    fn a_missed_promise_is_named_with_what_was_measured() {
        let slo = vec![promise(Verdict::Fail), promise(Verdict::Fail)];
        let report = Report { verdict: Verdict::Fail, exit: 7, slo, ..sound() };
        let told = "The promise e2e.p95<2s was missed: 2.31 s measured, between 38 s and 52 s, and 1 more.";
        assert_eq!(why(&report), told);
    }

    #[test]
    fn a_regression_names_the_figure_that_counts() {
        let regression = Some(Regression { verdict: Verdict::Fail, ..fixture::report().regression.unwrap() });
        let report = Report { verdict: Verdict::Fail, exit: 10, regression, ..sound() };
        assert_eq!(why(&report), "Worse than the baseline: e2e.p95 went from 1.52 s to 2.31 s.");
    }

    #[test]
    fn what_can_not_be_told_says_why() {
        let unsure = || Report { verdict: Verdict::Inconclusive, exit: 11, ..sound() };
        let reasons = vec!["the generator used 98% of the machine".to_owned()];
        let validity = Validity { reasons, ..Default::default() };
        let told = "The figures can't be believed: the generator used 98% of the machine.";
        assert_eq!(why(&Report { validity, ..unsure() }), told);
        let told = "The promise e2e.p95<2s can't be judged: 7 samples, 20 are needed.";
        assert_eq!(why(&Report { slo: vec![promise(Verdict::Inconclusive)], ..unsure() }), told);
        assert_eq!(why(&fixture::empty()), "Nothing was accepted, so nothing could be looked at.");
    }

    #[test]
    fn an_early_end_is_said_first() {
        let report = Report { ended_early: Some("interrupted".to_owned()), ..sound() };
        assert!(why(&report).starts_with("It ended before its time: interrupted. All 12,000"));
    }
}
