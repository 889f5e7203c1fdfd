//! What was promised, and what became of it.

use maud::{Markup, html};

use super::super::verdict::{chip, worst};
use super::table::{code, figures, table, text, words};
use super::{nothing, section};
use crate::plan::Slo;
use crate::report::format;
use crate::result::{Report, SloResult, Verdict};

pub(in super::super) fn promises(report: &Report) -> Markup {
    let lead = format!("An SLO needs at least {} samples.", format::count(report.plan.min_samples));
    if report.slo.is_empty() {
        let text = "No SLOs were set: the run was measured, but not judged.";
        return section("promises", "SLOs", None, "", &nothing(text));
    }
    let verdict = worst(report.slo.iter().map(|result| result.verdict));
    let rows: Vec<_> = report.slo.iter().map(|result| row(report, result)).collect();
    let columns = [
        words("Promise"),
        words("Verdict"),
        figures("Measured"),
        figures("Bound"),
        words("Distance"),
        figures("Samples"),
        words("Broken"),
    ];
    section("promises", "SLOs", verdict, &lead, &table("SLOs and measured values", &columns, &rows))
}

fn row(report: &Report, result: &SloResult) -> Vec<Markup> {
    let promise = report.plan.slo.iter().find(|slo| slo.text == result.expr);
    let broken = match (result.broken_s, result.verdict) {
        (Some((from, to)), _) => format!("{} to {}", format::point(from), format::point(to)),
        (None, Verdict::Pass) => "never".to_owned(),
        (None, _) => format::NONE.to_owned(),
    };
    vec![
        code(&result.expr),
        chip(result.verdict),
        html! { strong { (format::actual(&report.plan, result)) } },
        text(promise.map_or_else(|| format::NONE.to_owned(), |slo| slo.promised().replace(" %", "%"))),
        text(promise.and_then(|slo| distance(slo, result)).unwrap_or_else(|| format::NONE.to_owned())),
        text(format::count(result.n)),
        text(broken),
    ]
}

/// How far from the bound, as a share of it.
fn distance(slo: &Slo, result: &SloResult) -> Option<String> {
    let actual = result.actual.filter(|_| slo.bound > 0.0)?;
    let share = actual / slo.bound - 1.0;
    let spare = if slo.op.is_floor() { share } else { -share };
    let size = format::percent(spare.abs());
    Some(if spare >= 0.0 { format!("{size} to spare") } else { format!("missed by {size}") })
}
