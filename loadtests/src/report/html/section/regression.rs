//! Against another run.

use maud::{Markup, html};

use super::super::verdict::chip;
use super::table::{code, figures, table, text, words};
use super::{list, nothing, section};
use crate::report::{comparison, format};
use crate::result::{Change, Regression, Report};

pub(in super::super) fn regression(report: &Report) -> Markup {
    let Some(regression) = &report.regression else {
        return section("regression", "Baseline", None, "", &nothing("There was no baseline to compare with."));
    };
    let lead = format!("Against {}. {}", comparison::named(regression), comparison::terms(regression));
    let content = html! {
        @if !regression.unlike.is_empty() {
            p.warning { strong { "The two runs can't be compared:" } }
            (list(&regression.unlike))
        }
        (changes(regression))
        @if !regression.notes.is_empty() { (list(&regression.notes)) }
    };
    section("regression", "Baseline", Some(regression.verdict), &lead, &content)
}

fn changes(regression: &Regression) -> Markup {
    if regression.changes.is_empty() {
        return nothing("No figures were compared.");
    }
    let rows: Vec<_> = regression.changes.iter().map(row).collect();
    let columns = [
        words("Figure"),
        words("Verdict"),
        figures("Before"),
        figures("After"),
        figures("Change"),
        figures("Noise"),
        words("Counts"),
    ];
    table("Figure by figure", &columns, &rows)
}

fn row(change: &Change) -> Vec<Markup> {
    vec![
        code(&change.figure),
        chip(change.verdict),
        text(format::figure(&change.figure, change.before)),
        html! { strong { (format::figure(&change.figure, change.after)) } },
        text(comparison::moved(change)),
        text(comparison::noise(change)),
        text(if change.counts { "yes" } else { "no" }),
    ]
}
