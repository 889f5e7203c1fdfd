//! What has to be said of a result, the gravest first: in the order in which the exit codes count. Each report says it in
//! its own way.

use super::{comparison, format};
use crate::judge::INTERRUPTED;
use crate::result::{Report, SloResult, Step, Verdict};

/// How grave it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// The run failed by it.
    Error,
    /// It could not be found out, or should be looked at.
    Warning,
}

/// One thing that has to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) weight: Weight,
    /// `correctness`, `promise`, `step`, `regression`, `validity` or `run`.
    pub(super) about: &'static str,
    /// One sentence, without a full stop.
    pub(super) text: String,
}

/// All of it; empty only if the run passed.
pub(super) fn remarks(report: &Report) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut say = |weight, about, text| remarks.push(Remark { weight, about, text });
    correctness(report, &mut say);
    for promise in &report.slo {
        if let Some(weight) = weight(promise.verdict) {
            say(weight, "slo", broken(report, promise));
        }
    }
    for step in judged_steps(report) {
        if let Some(weight) = weight(step.verdict) {
            say(weight, "step", slow(report, step));
        }
    }
    regression(report, &mut say);
    if report.validity.verdict != Verdict::Pass {
        for reason in &report.validity.reasons {
            say(Weight::Warning, "validity", reason.clone());
        }
        if report.validity.reasons.is_empty() {
            say(Weight::Warning, "validity", "it is unknown whether the measurements are valid".to_owned());
        }
    }
    if let Some(reason) = &report.ended_early {
        let text = format!("ended early: {reason}");
        if reason.starts_with(INTERRUPTED) {
            say(Weight::Warning, "run", text);
        } else if report.plan.growth.is_none() {
            // A rule that was broken; of a search, it ended one size and not the run.
            say(Weight::Error, "run", text);
        }
    }
    if remarks.is_empty()
        && let Some(weight) = weight(report.verdict)
    {
        remarks.push(Remark { weight, about: "run", text: format!("the verdict is {}", word(report.verdict)) });
    }
    remarks
}

/// In one word, as it stands in the JSON.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// The same, loud.
pub(super) fn loud(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
    }
}

/// Steps are verdicts of their own, except of a search for the limit, which is meant to break one.
pub(super) fn judged_steps(report: &Report) -> &[Step] {
    if report.plan.growth.is_none() { &report.steps } else { &[] }
}

/// What became of a promise: `e2e.p95<2s: 2.31 s of 16,789`.
pub(super) fn broken(report: &Report, promise: &SloResult) -> String {
    let actual = format::actual(&report.plan, promise);
    let n = format::count(promise.n);
    let when = promise.broken_s.map_or_else(String::new, |(from, to)| {
        format!(", missed from {} to {}", format::point(from), format::point(to))
    });
    match promise.actual {
        Some(_) if promise.verdict == Verdict::Inconclusive => {
            format!("{}: {actual} of {n} samples is inconclusive{when}", promise.expr)
        }
        Some(_) => format!("{}: {actual} of {n} samples{when}", promise.expr),
        None => format!("{}: {n} samples are too few", promise.expr),
    }
}

/// What became of a step: `at 400/s: accept p95 +110%, …`.
pub(super) fn slow(report: &Report, step: &Step) -> String {
    let against = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {}", format::change(value)));
    let parts = [
        against("accept p50", step.degradation_p50),
        against("accept p95", step.degradation),
        against("e2e p95", step.degradation_e2e),
    ];
    let mut text = format!("at {}", size(report, step));
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if !parts.is_empty() {
        text += &format!(": {} against the first step", parts.join(", "));
    }
    if let Some(bound) = report.plan.max_degradation {
        text += &format!(" (bound {})", format::change(bound));
    }
    match &step.broke {
        Some(why) if step.verdict == Verdict::Inconclusive => format!("{text}; could not be judged: {why}"),
        Some(broke) => format!("{text}; broke: {broke}"),
        None => text,
    }
}

/// How large a step is.
pub(super) fn size(report: &Report, step: &Step) -> String {
    #[expect(clippy::cast_precision_loss, reason = "numbers of users are far below 2^52")]
    let users = step.users.map(|users| users as f64);
    users.or(step.rate).map_or_else(|| format::NONE.to_owned(), |size| format::size(report.plan.model, size))
}

fn weight(verdict: Verdict) -> Option<Weight> {
    match verdict {
        Verdict::Pass => None,
        Verdict::Fail => Some(Weight::Error),
        Verdict::Inconclusive => Some(Weight::Warning),
    }
}

fn correctness(report: &Report, say: &mut impl FnMut(Weight, &'static str, String)) {
    let found = &report.correctness;
    let accepted = format::count(found.accepted);
    let wrong: Vec<String> = found
        .wrong()
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", format::count(count)))
        .collect();
    if !wrong.is_empty() {
        say(Weight::Error, "correctness", format!("{} of {accepted} accepted", wrong.join(", ")));
    } else if found.verdict == Verdict::Fail {
        say(Weight::Error, "correctness", "the audit failed".to_owned());
    }
    let because = found.unverified_reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    if found.unverified > 0 {
        let count = format::count(found.unverified);
        say(Weight::Warning, "correctness", format!("{count} of {accepted} accepted could not be verified{because}"));
    } else if found.accepted == 0 {
        say(Weight::Warning, "correctness", format!("nothing was accepted, so there was nothing to verify{because}"));
    } else if found.verdict == Verdict::Inconclusive {
        say(Weight::Warning, "correctness", format!("the audit could not find out{because}"));
    }
    if found.dead > 0 {
        // No failure of the audit, and a promise only if one was made; but nobody wants to miss it.
        say(Weight::Warning, "correctness", format!("{} of {accepted} accepted died", format::count(found.dead)));
    }
    if found.cancelled > 0 {
        let count = format::count(found.cancelled);
        say(Weight::Warning, "correctness", format!("{count} of {accepted} accepted were cancelled by an operator"));
    }
}

fn regression(report: &Report, say: &mut impl FnMut(Weight, &'static str, String)) {
    let Some(regression) = &report.regression else { return };
    for reason in &regression.unlike {
        say(Weight::Warning, "regression", format!("not comparable with {}: {reason}", regression.baseline));
    }
    let mut said = !regression.unlike.is_empty();
    for change in regression.changes.iter().filter(|change| change.counts) {
        if let Some(weight) = weight(change.verdict) {
            said = true;
            say(weight, "regression", comparison::sentence(change));
        }
    }
    if let Some(weight) = weight(regression.verdict).filter(|_| !said) {
        let text = format!("against {} it is {}", regression.baseline, word(regression.verdict));
        say(weight, "regression", text);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::compare;
    use crate::result::Audit;

    #[test]
    fn the_gravest_comes_first_and_nothing_is_left_out() {
        let remarks = remarks(&fixture::report());
        let said: Vec<_> = remarks.iter().map(|remark| (remark.weight, remark.about, remark.text.as_str())).collect();
        let (error, warning) = (Weight::Error, Weight::Warning);
        assert_eq!(
            said,
            [
                (error, "correctness", "2 lost, 1 duplicate, 2 stuck of 16,794 accepted"),
                (
                    warning,
                    "correctness",
                    "2 of 16,794 accepted could not be verified: 2 tasks: the ledger answered 503 three times"
                ),
                (warning, "correctness", "25 of 16,794 accepted died"),
                (error, "slo", "e2e.p95<2s: 2.31 s of 16,789 samples, missed from 38 s to 52 s"),
                (warning, "slo", "work.p99<500ms: 7 samples are too few"),
                (
                    warning,
                    "step",
                    "at 200/s: accept p50 +31%, accept p95 +32%, e2e p95 +74% against the first step (bound +50%)"
                ),
                (
                    error,
                    "step",
                    "at 400/s: accept p50 +108%, accept p95 +110%, e2e p95 +341% against the first step \
                     (bound +50%); broke: e2e.p95<2s"
                ),
                (error, "regression", "e2e.p95 1.52 s → 2.31 s, +52%, noise ±8%"),
                (warning, "regression", "errors 0% → 0.61%, +0.61 points"),
                (warning, "validity", "the past of the event stream was gone once: 31 ends were heard late"),
            ]
        );
    }

    #[test]
    fn of_a_run_that_passed_nothing_has_to_be_said() {
        let mut report = fixture::empty();
        report.verdict = Verdict::Pass;
        report.validity.verdict = Verdict::Pass;
        report.correctness = Audit { verdict: Verdict::Pass, accepted: 5, succeeded: 5, ..report.correctness };
        assert_eq!(remarks(&report), []);
        report.verdict = Verdict::Inconclusive;
        assert_eq!(remarks(&report).len(), 1, "what did not pass is never silent");
    }

    #[test]
    fn nothing_accepted_is_said() {
        let said = remarks(&fixture::empty());
        assert!(said[0].text.starts_with("nothing was accepted"), "{said:?}");
    }

    #[test]
    fn a_baseline_that_can_not_be_compared_is_said() {
        let options = compare::Options { baseline: Some("last".to_owned()), ..compare::Options::default() };
        let regression = Some(compare::missing("there is no earlier run", &options));
        let said = remarks(&crate::result::Report { regression, ..fixture::report() });
        let expected = "not comparable with last: there is no earlier run";
        assert!(said.iter().any(|remark| remark.weight == Weight::Warning && remark.text == expected), "{said:?}");
    }

    #[test]
    fn a_rule_that_ended_the_run_is_an_error_and_an_interruption_is_not() {
        for (reason, weight) in [("errors>5% for 10s", Weight::Error), ("interrupted by Ctrl-C", Weight::Warning)] {
            let report = Report { ended_early: Some(reason.to_owned()), ..fixture::report() };
            let text = format!("ended early: {reason}");
            assert!(remarks(&report).contains(&Remark { weight, about: "run", text }), "{reason}");
        }
    }

    #[test]
    fn a_step_that_could_not_be_judged_did_not_break() {
        let mut report = fixture::report();
        report.steps[1].broke = Some("too few accepts".to_owned());
        let said = remarks(&report);
        assert!(said.iter().any(|remark| remark.text.ends_with("; could not be judged: too few accepts")), "{said:?}");
    }

    #[test]
    fn a_broken_step_of_a_search_is_no_error() {
        let mut report = fixture::report();
        report.plan.growth = Some(crate::plan::Growth { from: 100.0, up_to: 400.0, refinements: 0 });
        assert!(remarks(&report).iter().all(|remark| remark.about != "step"));
    }
}
