//! The steps of a rising load as a table, and what a search for the limit found.

use card_loadtests::report::format;
use card_loadtests::result::{Breakpoint, Report, Step, Verdict};

use super::word::painted;
use crate::output::{Block, Paint, Printer};

const HEAD: [&str; 11] = [
    "size",
    "accepted",
    "completed",
    "accept p50",
    "accept p95",
    "e2e p50",
    "e2e p95",
    "read p95",
    "errors",
    "slower",
    "verdict",
];

/// The place of the reads in [`HEAD`].
const READ: usize = 7;

/// The table; none without steps. `slower` is the accept p95 (and p50) against the first step.
pub(super) fn table(report: &Report, printer: &Printer) -> Option<Block> {
    let rows = report.steps.iter().map(|step| row(report, step, printer.out())).collect::<Vec<_>>();
    let mut head = HEAD.to_vec();
    let mut rows = rows;
    // Few loads read; the others have no room for a column of dashes.
    if report.steps.iter().all(|step| step.reads.is_none()) {
        head.remove(READ);
        for row in &mut rows {
            row.remove(READ);
        }
    }
    (!rows.is_empty()).then(|| printer.list(&head, rows))
}

fn row(report: &Report, step: &Step, paint: Paint) -> Vec<String> {
    let time = |n: u64, value: f64| if n == 0 { format::NONE.to_owned() } else { format::millis(value) };
    let slower = match (step.degradation, step.degradation_p50) {
        (None, _) => format::NONE.to_owned(),
        (Some(p95), None) => format::change(p95),
        (Some(p95), Some(p50)) => format!("{} (p50 {})", format::change(p95), format::change(p50)),
    };
    let verdict = painted(step.verdict, paint);
    #[expect(clippy::cast_precision_loss, reason = "users are few")]
    let size = step.users.map(|users| users as f64).or(step.rate).unwrap_or_default();
    vec![
        format::size(report.plan.model, size),
        format::rate(step.rates.accepted),
        format::rate(step.rates.completed),
        time(step.n, step.accept_p50),
        time(step.n, step.accept_p95),
        time(step.e2e_n, step.e2e_p50),
        time(step.e2e_n, step.e2e_p95),
        step.reads.as_ref().map_or_else(|| format::NONE.to_owned(), |reads| format::millis(reads.ms.p95)),
        format::percent(step.error_rate),
        slower,
        step.broke.as_ref().map_or(verdict.clone(), |broke| format!("{verdict} {broke}")),
    ]
}

/// What the search found, in a sentence.
pub(super) fn breakpoint(report: &Report, found: &Breakpoint) -> (Verdict, String) {
    let size = |value: f64| format::size(report.plan.model, value);
    let accepted = found.accepted.map(|rate| format!(" ({} accepted)", format::rate(rate))).unwrap_or_default();
    let broke = found.broke.as_deref().unwrap_or("an SLO");
    let (verdict, mut sentence) = match (found.holds, found.breaks) {
        (Some(holds), Some(breaks)) => {
            (Verdict::Pass, format!("passes at {}{accepted}, fails at {}: {broke}", size(holds), size(breaks)))
        }
        (Some(holds), None) => {
            (Verdict::Inconclusive, format!("passes at {}{accepted}, the largest size tested", size(holds)))
        }
        (None, Some(breaks)) => {
            (Verdict::Fail, format!("fails at {}, the smallest size tested: {broke}", size(breaks)))
        }
        (None, None) => (Verdict::Inconclusive, "no size was tested completely".to_owned()),
    };
    if let Some(limit) = &found.limit {
        sentence.push_str(&format!("; the limit: {limit}"));
    }
    if let Some(because) = &found.because {
        sentence.push_str(&format!(" ({because})"));
    }
    (verdict, sentence)
}
