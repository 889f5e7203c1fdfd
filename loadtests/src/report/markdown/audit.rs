//! Whether what was accepted was done, once.

use super::escape;
use crate::report::format::{count, whole_millis};
use crate::report::remarks::loud;
use crate::report::table::{Side, Table};
use crate::result::Report;

pub(super) fn section(report: &Report) -> String {
    let found = &report.correctness;
    let figures = [
        ("accepted", found.accepted),
        ("succeeded", found.succeeded),
        ("declined", found.declined),
        ("dead", found.dead),
        ("cancelled", found.cancelled),
        ("lost", found.lost),
        ("duplicate", found.duplicate),
        ("stuck", found.stuck),
        ("unverified", found.unverified),
    ];
    let mut table = Table::new(figures.map(|(name, _)| (name, Side::Right)));
    table.row(figures.map(|(_, figure)| count(figure)));
    let mut text = format!("## Correctness: {}\n\n{}", loud(found.verdict), table.markdown());
    text += &format!(
        "\nCompared with the sender's journal of requests answered with 202. Drained in {}, watched for {} more, audited in {}.\n",
        whole_millis(found.drain_ms),
        whole_millis(found.settle_ms),
        whole_millis(found.audit_ms)
    );
    if found.reads > 0 {
        text += &format!(
            "{} compared with what its user knew: {} stale.\n",
            super::times(found.reads, "read"),
            count(found.stale)
        );
    }
    if found.unanswered > 0 {
        text += &format!(
            "{} without an answer: it is unknown whether they were accepted.\n",
            super::times(found.unanswered, "request")
        );
    }
    if let Some(reason) = &found.unverified_reason {
        text += &format!("Unverified: {}.\n", escape::text(reason));
    }
    if !found.findings.is_empty() {
        text += &findings(report);
    }
    text
}

fn findings(report: &Report) -> String {
    let findings = &report.correctness.findings;
    let mut table = Table::new([("task", Side::Left), ("verdict", Side::Left), ("evidence", Side::Left)]);
    for finding in findings {
        table.row([escape::code(&finding.task), escape::text(&finding.verdict), escape::text(&finding.detail)]);
    }
    let summary = format!("Evidence on {}", super::times(super::as_count(findings.len()), "task"));
    "\n".to_owned() + &super::details(&summary, &table.markdown())
}
