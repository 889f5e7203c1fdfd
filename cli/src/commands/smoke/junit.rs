//! The verdict as JUnit XML, which every CI system reads.

use std::path::Path;
use std::time::Duration;

use card_core::plain;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::artifacts::unwritable;
use super::runner::{Step, Verdict};
use crate::failure::Failure;

pub(super) fn write(file: &Path, verdict: &Verdict) -> Result<(), Failure> {
    let written = match file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => std::fs::create_dir_all(parent),
        None => Ok(()),
    };
    written.and_then(|()| std::fs::write(file, render(verdict))).map_err(|error| unwritable(file, &error))
}

fn render(verdict: &Verdict) -> String {
    let total = Duration::from_millis(verdict.steps.iter().map(|step| step.ms).sum());
    let mut suite = TestSuite::new("smoke");
    suite.set_time(total);
    suite.add_test_cases(verdict.steps.iter().map(case));
    let mut document = Report::new("cardctl smoke");
    document.set_time(total);
    document.add_test_suite(suite);
    // Only a writer can fail, and a string does not.
    plain::document(&document.to_string().unwrap_or_default())
}

fn case(step: &Step) -> TestCase {
    let mut status = match (step.ok, step.skipped) {
        (false, _) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        (true, true) => TestCaseStatus::skipped(),
        (true, false) => TestCaseStatus::success(),
    };
    let detail = XmlString::new(&step.detail);
    if !step.ok || step.skipped {
        status.set_message(detail.clone());
    }
    let mut case = TestCase::new(&*step.name, status);
    case.set_classname("smoke").set_time(Duration::from_millis(step.ms));
    if step.ok && !step.skipped {
        case.set_system_out(detail);
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_and_escapes() {
        let step = |name: &str, ok, skipped, detail: &str| Step {
            name: name.to_owned(),
            ok,
            skipped,
            ms: 1234,
            detail: detail.to_owned(),
            exit: None,
        };
        let verdict = Verdict::of(
            "run_x".parse().unwrap(),
            7,
            vec![
                step("a", true, false, "fine"),
                step("b", false, false, "1 < 2 & \"x\"\u{1b}[0m\u{9b}\u{202e}"),
                step("c", true, true, "no"),
            ],
        );
        let xml = render(&verdict);
        assert!(!xml.contains(|letter| plain::acts(letter) && letter != '\n'), "{xml:?}");
        let read = Report::deserialize_from_str(&xml).unwrap();
        let suite = &read.test_suites[0];
        assert_eq!((suite.tests, suite.failures), (3, 1), "{xml}");
        assert!(xml.contains("skipped=\"1\"") && xml.contains("<skipped message=\"no\"/>"), "{xml}");
        assert_eq!(suite.time, Some(Duration::from_millis(3702)));
        assert_eq!(suite.test_cases[0].system_out.as_deref(), Some("fine"));
        assert!(xml.contains("1 &lt; 2 &amp; &quot;x&quot;"), "{xml}");
    }
}
