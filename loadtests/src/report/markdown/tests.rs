use super::*;
use crate::report::fixture;
use crate::result::{Finding, SloResult, Verdict};

/// Something of everything that could end a cell, a line, a tag or a terminal's patience.
const HOSTILE: &str = "a|b\r\n<script>`|`</details>\u{1b}[31m # *x* \\";

/// A full result with hostile text wherever text comes from elsewhere.
fn hostile() -> Report {
    let text = || HOSTILE.to_owned();
    let mut report = fixture::report();
    report.run = text();
    report.target = text();
    report.platform.version = Some(text());
    report.ended_early = Some(text());
    report.correctness.unverified_reason = Some(text());
    report.correctness.findings = vec![Finding { task: text(), verdict: text(), detail: text() }];
    report.slo = vec![SloResult { expr: text(), actual: None, n: 0, verdict: Verdict::Fail, broken_s: None }];
    report.errors.by_code.insert(text(), 1);
    for step in &mut report.steps {
        (step.main_error, step.broke) = (Some(text()), Some(text()));
    }
    let found = report.breakpoint.as_mut().unwrap();
    (found.broke, found.limit, found.because) = (Some(text()), Some(text()), Some(text()));
    report.validity.reasons = vec![text()];
    report.validity.notes = vec![text()];
    report.validity.stream_lost = Some(text());
    (report.generators[0].reasons, report.generators[1].missing) = (vec![text()], Some(text()));
    let regression = report.regression.as_mut().unwrap();
    (regression.baseline, regression.unlike, regression.notes) = (text(), vec![text()], vec![text()]);
    regression.changes[0].figure = text();
    report
}

/// The tables of a text, each row as its number of cells.
fn tables(text: &str) -> Vec<Vec<usize>> {
    let mut tables: Vec<Vec<usize>> = vec![Vec::new()];
    for line in text.lines() {
        if line.starts_with("| ") {
            let bars = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
            tables.last_mut().unwrap().push(bars - 1);
        } else if !tables.last().unwrap().is_empty() {
            tables.push(Vec::new());
        }
    }
    tables.pop();
    tables
}

#[test]
fn a_full_result_has_every_section() {
    let text = render(&fixture::report());
    let headings: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert_eq!(
        headings,
        [
            "# Load test 7hq2m1: FAIL",
            "## Correctness: FAIL",
            "## Promises",
            "## Latencies",
            "## Rates and errors",
            "## Steps",
            "## Limit",
            "## Regression",
            "## Validity: INCONCLUSIVE",
        ]
    );
    for line in [
        "**FAIL** (exit 9): 2 lost, 1 duplicate, 2 stuck of 16,794 accepted",
        "- **correctness**: 2 lost, 1 duplicate, 2 stuck of 16,794 accepted",
        "|   16,794 |    16,310 |      452 |   25 |         0 |    2 |         1 |     2 |          2 |",
        "| `e2e.p95<2s`      |   2.31 s |  16,789 | fail         | 38 s to 52 s |",
        "| e2e             | 16,789 |  214 ms |  905 ms |  1.46 s |  2.38 s |  3.56 s |",
        "| rate-limited |       28 |",
        "Passes at **200/s**, fails at **400/s**: e2e.p95\\<2s.",
        "Generator 41% of the processor (at most 92%), machine 77%; late starts 0.12% (p99 4.10 ms); planned arrivals sent \
         99.9%.",
        "| course    | to 100% in 5 s, to 100% in 25 s; measured after 5 s; drain up to 1 min |",
    ] {
        assert!(text.lines().any(|there| there == line), "{line}\nis not in\n{text}");
    }
}

#[test]
fn of_a_result_without_anything_the_sections_that_say_nothing_are_left_out() {
    let text = render(&fixture::empty());
    let headings: Vec<_> = text.lines().filter(|line| line.starts_with("## ")).collect();
    let expected = ["## Correctness: INCONCLUSIVE", "## Latencies", "## Rates and errors", "## Validity: INCONCLUSIVE"];
    assert_eq!(headings, expected);
    assert!(text.contains("| e2e             |   0 |   – |"), "what was not measured is no 0 ms: {text}");
}

#[test]
fn every_row_has_the_cells_of_its_head() {
    for (report, expected) in [(fixture::report(), 9), (fixture::empty(), 3), (hostile(), 9)] {
        let tables = tables(&render(&report));
        assert_eq!(tables.len(), expected);
        for table in tables {
            assert!(table.len() > 2 && table.iter().all(|cells| *cells == table[0]), "{table:?}");
        }
    }
}

#[test]
fn text_from_elsewhere_is_shown_as_text() {
    let text = render(&hostile());
    assert!(!text.contains('\u{1b}') && !text.contains('\r'));
    assert_eq!(text.matches("</details>").count() - text.matches("\\</details>").count(), in_code(&text) + 2);
    assert_eq!(text.lines().filter(|line| line.starts_with("# ")).count(), 1);
    let outside: Vec<_> = text.match_indices("<script>").filter(|(at, _)| !text[..*at].ends_with('\\')).collect();
    assert_eq!(outside.len(), in_code(&text), "unescaped only where it is code");
}

/// How often the hostile text stands as code: the task of the finding, and the promise.
fn in_code(text: &str) -> usize {
    text.matches("`` a\\|b <script>`\\|`</details>").count()
}

#[test]
fn a_search_without_a_limit_says_so() {
    let mut report = fixture::report();
    let found = report.breakpoint.as_mut().unwrap();
    (found.breaks, found.broke, found.limit) = (None, None, None);
    assert!(render(&report).contains("Passes at **200/s**, the largest size tested.\n"));
}
