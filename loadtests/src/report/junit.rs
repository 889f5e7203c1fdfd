//! The verdicts as JUnit XML, which every CI system reads: one case a verdict.
//!
//! What failed is a `<failure>`. What could not be found out is an `<error>`, because readers show a skipped case as
//! green. The cases of correctness, `validity` and `verdict` are always there, so that a history lines up.

use std::time::Duration;

use card_core::plain;
use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::remarks::{broken, judged_steps, remarks, size, slow, word};
use super::{comparison, format};
use crate::judge::why;
use crate::result::{Audit, Report, Verdict};

/// The whole document.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut suite = TestSuite::new(format!("loadtest {}", report.run));
    suite.set_time(Duration::from_millis(report.took_ms));
    // Readers take nothing but a time there.
    if report.started_at.parse::<jiff::Timestamp>().is_ok() {
        suite.extra.insert("timestamp".into(), report.started_at.as_str().into());
    }
    let seed = report.seed.to_string();
    suite.add_properties([("run", report.run.as_str()), ("seed", &seed), ("target", &report.target)]);
    suite.add_test_cases(correctness(&report.correctness));
    suite.add_test_cases(
        report.slo.iter().map(|promise| case("slo", &promise.expr, promise.verdict, &broken(report, promise))),
    );
    suite.add_test_cases(
        judged_steps(report).iter().map(|step| case("steps", &size(report, step), step.verdict, &slow(report, step))),
    );
    suite.add_test_cases(regression(report));
    suite.add_test_case(validity(report));
    suite.add_test_case(verdict(report));
    let mut document = Document::new("cardctl loadtest");
    document.set_time(Duration::from_millis(report.took_ms));
    document.add_test_suite(suite);
    // Only a writer can fail, and a string does not.
    // Neither has XML a place for control characters, nor a terminal that shows the file.
    plain::document(&document.to_string().unwrap_or_default())
}

fn correctness(found: &Audit) -> Vec<TestCase> {
    let accepted = format::count(found.accepted);
    let nothing = found.accepted == 0;
    let mut cases = Vec::new();
    for (count, name) in found.wrong() {
        // Without reads nothing can be said of them.
        if name == "stale" && found.reads == 0 {
            continue;
        }
        let verdict = match count {
            0 if nothing => Verdict::Inconclusive,
            0 => Verdict::Pass,
            _ => Verdict::Fail,
        };
        let evidence = found.findings.iter().filter(|finding| finding.verdict == name);
        let evidence: Vec<_> = evidence.map(|finding| format!("{}: {}", finding.task, finding.detail)).collect();
        let message = format!("{} {name} of {accepted} accepted", format::count(count));
        cases.push(with_details(case("correctness", name, verdict, &message), &evidence));
    }
    let known = found.unverified == 0 && !nothing && found.verdict != Verdict::Inconclusive;
    let verdict = if known { Verdict::Pass } else { Verdict::Inconclusive };
    let message = format!("{} unverified of {accepted} accepted", format::count(found.unverified));
    let reason: Vec<_> = found.unverified_reason.iter().cloned().collect();
    cases.push(with_details(case("correctness", "unverified", verdict, &message), &reason));
    cases
}

fn regression(report: &Report) -> Vec<TestCase> {
    let Some(regression) = &report.regression else { return Vec::new() };
    let counted = regression.changes.iter().filter(|change| change.counts);
    let mut cases: Vec<_> = counted
        .map(|change| case("regression", &change.figure, change.verdict, &comparison::sentence(change)))
        .collect();
    if cases.is_empty() || !regression.unlike.is_empty() {
        let verdict = if regression.unlike.is_empty() { regression.verdict } else { Verdict::Inconclusive };
        let message = format!("not comparable with {}", regression.baseline);
        cases.push(with_details(case("regression", "baseline", verdict, &message), &regression.unlike));
    }
    cases
}

fn validity(report: &Report) -> TestCase {
    let message = report.validity.reasons.first().map_or("whether the measurements are valid", String::as_str);
    with_details(case("validity", "validity", report.validity.verdict, message), &report.validity.reasons)
}

/// All in one. It does not pass where something has none of the cases above, such as an end before the time.
fn verdict(report: &Report) -> TestCase {
    let message = format!("{} (exit {}): {}", word(report.verdict), report.exit, why(report));
    let remarks: Vec<_> =
        remarks(report).into_iter().map(|remark| format!("{}: {}", remark.about, remark.text)).collect();
    with_details(case("loadtest", "verdict", report.verdict, &message), &remarks)
}

fn case(class: &str, name: &str, verdict: Verdict, message: &str) -> TestCase {
    let not = |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(message).set_type(word(verdict));
        status
    };
    let status = match verdict {
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Fail => not(NonSuccessKind::Failure),
        Verdict::Inconclusive => not(NonSuccessKind::Error),
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    if verdict == Verdict::Pass {
        case.set_system_out(message);
    }
    case
}

/// What readers show below the message.
fn with_details(mut case: TestCase, lines: &[String]) -> TestCase {
    if !lines.is_empty() && !matches!(case.status, TestCaseStatus::Success { .. }) {
        case.status.set_description(lines.join("\n"));
    }
    case
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::compare;

    /// Each case as `class name: outcome`, read back from the XML.
    fn outcomes(xml: &str) -> Vec<String> {
        let document = Document::deserialize_from_str(xml).unwrap();
        let outcome = |case: &TestCase| {
            let outcome = match &case.status {
                TestCaseStatus::Success { .. } => "pass",
                TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. } => "failure",
                TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, .. } => "error",
                TestCaseStatus::Skipped { .. } => "skipped",
            };
            format!("{} {}: {outcome}", case.classname.as_ref().unwrap().as_str(), case.name.as_str())
        };
        let suite = &document.test_suites[0];
        let count = |outcome: &str| outcomes_of(suite, outcome);
        assert_eq!(
            (suite.tests, suite.failures, suite.errors),
            (suite.test_cases.len(), count("failure"), count("error"))
        );
        suite.test_cases.iter().map(outcome).collect()
    }

    fn outcomes_of(suite: &TestSuite, outcome: &str) -> usize {
        let is = |case: &&TestCase| match &case.status {
            TestCaseStatus::NonSuccess { kind, .. } => (*kind == NonSuccessKind::Failure) == (outcome == "failure"),
            _ => false,
        };
        suite.test_cases.iter().filter(is).count()
    }

    #[test]
    fn each_verdict_is_a_case() {
        assert_eq!(
            outcomes(&render(&fixture::report())),
            [
                "correctness lost: failure",
                "correctness duplicate: failure",
                "correctness stuck: failure",
                "correctness unverified: error",
                "slo accept.p95<50ms: pass",
                "slo e2e.p95<2s: failure",
                "slo errors<1%: pass",
                "slo accepted>=220/s: pass",
                "slo work.p99<500ms: error",
                "steps 100/s: pass",
                "steps 200/s: error",
                "steps 400/s: failure",
                "regression accept.p95: pass",
                "regression e2e.p95: failure",
                "regression completed: pass",
                "regression errors: error",
                "validity validity: error",
                "loadtest verdict: failure",
            ]
        );
    }

    #[test]
    fn where_nothing_was_measured_nothing_is_green() {
        let outcomes = outcomes(&render(&fixture::empty()));
        assert_eq!(outcomes.len(), 6, "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| outcome.ends_with(": error")), "{outcomes:?}");
    }

    #[test]
    fn a_sound_run_passes_throughout() {
        let mut report = compare::tests::report();
        report.verdict = Verdict::Pass;
        report.regression = Some(compare::compare(&report, &report, &compare::Options::default()));
        let outcomes = outcomes(&render(&report));
        assert!(outcomes.len() > 6 && outcomes.iter().all(|outcome| outcome.ends_with(": pass")), "{outcomes:?}");
    }

    #[test]
    fn a_baseline_that_can_not_be_compared_is_an_error() {
        let mut report = compare::tests::report();
        report.regression = Some(compare::missing("there is no earlier run", &compare::Options::default()));
        let outcomes = outcomes(&render(&report));
        assert!(outcomes.contains(&"regression baseline: error".to_owned()), "{outcomes:?}");
    }

    #[test]
    fn evidence_stands_below_and_nothing_breaks_the_xml() {
        let mut report = fixture::report();
        report.correctness.findings[0].detail = "1 < 2 & \"x\" ]]>\u{1b}[0m\u{0}".to_owned();
        report.slo[1].expr = "e2e.p95<2s & \"more\"".to_owned();
        let xml = render(&report);
        let document = Document::deserialize_from_str(&xml).unwrap();
        let cases = &document.test_suites[0].test_cases;
        let TestCaseStatus::NonSuccess { message, description, .. } = &cases[0].status else { panic!("{xml}") };
        assert_eq!(message.as_ref().unwrap().as_str(), "2 lost of 16,794 accepted");
        let evidence = description.as_ref().unwrap().as_str();
        assert!(
            evidence.contains("1 < 2 & \"x\" ]]>") && evidence.contains("9e4") || evidence.contains("9e01"),
            "{evidence}"
        );
        assert!(cases.iter().any(|case| case.name.as_str() == "e2e.p95<2s & \"more\""), "{xml}");
    }
}
