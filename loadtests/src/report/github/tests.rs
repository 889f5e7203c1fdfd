use super::*;
use crate::compare;
use crate::report::fixture;
use crate::result::{SloResult, Verdict};

const PATH: &str = "out/7hq2m1/report.html";

#[test]
fn what_failed_is_an_error_and_what_is_unknown_a_warning() {
    let lines = annotations(&fixture::report(), PATH);
    let count = |level: &str| lines.iter().filter(|line| line.starts_with(level)).count();
    assert_eq!((count("::error "), count("::warning "), lines.len()), (4, 6, 10), "{lines:#?}");
    assert_eq!(
        lines[0],
        "::error title=Load test 7hq2m1%3A correctness::2 lost, 1 duplicate, 2 stuck of 16,794 accepted%0A\
         Report: out/7hq2m1/report.html"
    );
}

#[test]
fn a_run_that_passed_is_a_notice() {
    let mut report = compare::tests::report();
    report.verdict = Verdict::Pass;
    let lines = annotations(&report, PATH);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("::notice title=Load test 7hq2m1%3A PASS::3,000 accepted, each completed exactly once"),
        "{lines:?}"
    );
    report.correctness.dead = 3;
    let lines = annotations(&report, PATH);
    assert!(lines.len() == 2 && lines[1].contains("3 of 3,000 accepted died"), "{lines:?}");
    report.correctness.cancelled = 2;
    let lines = annotations(&report, PATH);
    assert!(lines[2].contains("2 of 3,000 accepted were cancelled by an operator"), "{lines:?}");
}

#[test]
fn of_many_the_last_line_says_how_many_more() {
    let promise = |number| SloResult {
        expr: format!("e2e.p95<{number}ms"),
        actual: Some(2310.0),
        n: 100,
        verdict: Verdict::Fail,
        broken_s: None,
    };
    let report = Report { slo: (0..30).map(promise).collect(), ..fixture::report() };
    let lines = annotations(&report, PATH);
    let errors: Vec<_> = lines.iter().filter(|line| line.starts_with("::error ")).collect();
    assert_eq!(errors.len(), 10);
    assert!(errors[0].contains("2 lost") && errors[9].contains("more::and 24 more%0A"), "{errors:#?}");
}

#[test]
fn the_summary_is_the_markdown_report() {
    assert_eq!(summary(&fixture::report()), markdown::render(&fixture::report()));
}

#[test]
fn a_summary_that_is_too_long_is_cut_between_lines_and_closed() {
    let mut report = fixture::report();
    let finding = report.correctness.findings[0].clone();
    report.correctness.findings = vec![finding; 20_000];
    let text = summary(&report);
    assert!(text.len() <= SUMMARY_LIMIT && text.len() > SUMMARY_LIMIT - 1000, "{}", text.len());
    assert!(text.ends_with(&format!(" |\n\n</details>\n{CUT}")), "{}", &text[text.len() - 300..]);
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
}

#[test]
fn any_room_is_kept_to() {
    let text = "ä\n".repeat(100) + "<details>\nö";
    for limit in 0..text.len() + 1 {
        let fitted = fit(text.clone(), limit);
        assert!(fitted.len() <= limit && (fitted == text || fitted.is_empty() || fitted.ends_with(CUT)), "{limit}");
    }
}

#[test]
fn the_summary_is_added_to_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("summary.md");
    std::fs::write(&path, "before").unwrap();
    write_summary(&path, &fixture::report()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("before\n{}", markdown::render(&fixture::report())));
    // No more than the limit in all, however often.
    std::fs::write(&path, "x".repeat(SUMMARY_LIMIT - 500)).unwrap();
    write_summary(&path, &fixture::report()).unwrap();
    write_summary(&path, &fixture::report()).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() <= SUMMARY_LIMIT as u64);
    assert!(write_summary(directory.path(), &fixture::report()).is_err());
}
