//! The numbers behind the lines, for those who read tables.

use maud::{Markup, html};

use super::super::table::{figures as heading, table, text};
use crate::report::chart::name;
use crate::report::format;
use crate::result::Report;

/// At most so many rows; of a long run every so many seconds.
const ROWS: usize = 60;

pub(super) fn figures(report: &Report) -> Markup {
    let every = report.timeline.len().div_ceil(ROWS).max(1);
    let millis = |value: Option<f64>| text(value.map_or_else(|| format::NONE.to_owned(), format::millis));
    let count = |value: Option<u64>| text(value.map_or_else(|| format::NONE.to_owned(), format::count));
    let rows: Vec<_> = report
        .timeline
        .iter()
        .step_by(every)
        .map(|sample| {
            vec![
                text(format::point(sample.t)),
                text(name(sample.phase)),
                text(format::rate(sample.offered)),
                text(format::rate(sample.accepted)),
                text(format::rate(sample.completed)),
                text(format::rate(sample.errors)),
                text(format::rate(sample.reads)),
                text(format::rate(sample.resent)),
                text(format::rate(sample.foreign)),
                millis(sample.accept_p95),
                millis(sample.e2e_p95),
                millis(sample.read_p95),
                count(sample.backlog),
                text(sample.oldest_age_ms.map_or_else(|| format::NONE.to_owned(), format::whole_millis)),
                count(sample.workers),
                text(format::percent(sample.generator_cpu)),
            ]
        })
        .collect();
    let columns = [
        "At",
        "Phase",
        "Offered",
        "Accepted",
        "Completed",
        "Errors",
        "Reads",
        "Sent again",
        "By a gateway",
        "Accept p95",
        "End to end p95",
        "Read p95",
        "Backlog",
        "Oldest",
        "Workers",
        "Generator",
    ]
    .map(heading);
    let title = match every {
        1 => "The figures behind the charts, second by second".to_owned(),
        _ => format!("The figures behind the charts, every {every} seconds; all are in result.json"),
    };
    html! { details { summary { (title) } (table(&title, &columns, &rows)) } }
}
