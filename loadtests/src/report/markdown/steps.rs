//! The same load at each size, and where it breaks.

use super::escape;
use crate::report::format::{self, NONE, millis, percent, rate};
use crate::report::remarks::{size, word};
use crate::report::table::{Side, Table};
use crate::result::{Report, Step};

pub(super) fn section(report: &Report) -> Option<String> {
    if report.steps.is_empty() {
        return None;
    }
    let mut table = Table::new([
        ("size", Side::Right),
        ("accept p50", Side::Right),
        ("accept p95", Side::Right),
        ("e2e p95", Side::Right),
        ("read p95", Side::Right),
        ("p50 vs first", Side::Right),
        ("p95 vs first", Side::Right),
        ("e2e p95 vs first", Side::Right),
        ("accepted", Side::Right),
        ("errors", Side::Right),
        ("verdict", Side::Left),
        ("why", Side::Left),
    ]);
    for step in &report.steps {
        table.row(row(report, step));
    }
    let bound = report
        .plan
        .max_degradation
        .map_or_else(String::new, |bound| format!("\nA step may be {} slower than the first.\n", percent(bound)));
    Some(format!("## Steps\n\n{}{bound}", table.markdown()))
}

fn row(report: &Report, step: &Step) -> [String; 12] {
    let time = |n: u64, value: f64| if n == 0 { NONE.to_owned() } else { millis(value) };
    let change = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), format::change);
    let broke = step.broke.as_deref().map(escape::text);
    let error = step.main_error.as_deref().map(|code| format!(", mostly {}", escape::text(code)));
    [
        size(report, step),
        time(step.n, step.accept_p50),
        time(step.n, step.accept_p95),
        time(step.e2e_n, step.e2e_p95),
        step.reads.as_ref().map_or_else(|| NONE.to_owned(), |reads| millis(reads.ms.p95)),
        change(step.degradation_p50),
        change(step.degradation),
        change(step.degradation_e2e),
        rate(step.rates.accepted),
        percent(step.error_rate) + &error.unwrap_or_default(),
        word(step.verdict).to_owned(),
        broke.unwrap_or_default(),
    ]
}

pub(super) fn breakpoint(report: &Report) -> Option<String> {
    let found = report.breakpoint.as_ref()?;
    let size = |value: f64| format::size(report.plan.model, value);
    let mut text = "## Limit\n\n".to_owned();
    text += &match (found.holds, found.breaks) {
        (Some(holds), Some(breaks)) => format!("Passes at **{}**, fails at **{}**", size(holds), size(breaks)),
        (Some(holds), None) => format!("Passes at **{}**, the largest size tested", size(holds)),
        (None, Some(breaks)) => format!("Fails at **{}**, the smallest size tested", size(breaks)),
        (None, None) => "No size was tested completely".to_owned(),
    };
    text += &found.broke.as_deref().map_or_else(String::new, |broke| format!(": {}", escape::text(broke)));
    text += ".\n";
    if let Some(accepted) = found.accepted {
        text += &format!("Accepted at the largest size that passed: {}.\n", rate(accepted));
    }
    if let Some(limit) = &found.limit {
        let because =
            found.because.as_deref().map_or_else(String::new, |because| format!(": {}", escape::text(because)));
        text += &format!("Limited by **{}**{because}.\n", escape::text(limit));
    }
    Some(text)
}
