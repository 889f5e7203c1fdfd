//! What a search for the limit found.

use maud::{Markup, html};

use super::table::{code, text};
use super::{facts, nothing, section};
use crate::report::format;
use crate::result::{Breakpoint, Report};

pub(in super::super) fn breakpoint(report: &Report) -> Markup {
    let Some(found) = &report.breakpoint else {
        return section("breakpoint", "Limit", None, "", &nothing("No limit was searched for."));
    };
    let size = |value| format::size(report.plan.model, value);
    let sentence = match (found.holds, found.breaks) {
        (Some(holds), Some(breaks)) => format!("It holds at {} and breaks at {}.", size(holds), size(breaks)),
        (Some(holds), None) => {
            format!("It holds at {}, the largest size that was tried: the limit lies beyond.", size(holds))
        }
        (None, Some(breaks)) => format!("It breaks at {}, the smallest size that was tried already.", size(breaks)),
        (None, None) => "The search found no size that holds and none that breaks.".to_owned(),
    };
    section("breakpoint", "Limit", None, "", &html! { p.finding { (sentence) } (evidence(found)) })
}

fn evidence(found: &Breakpoint) -> Markup {
    let none = || text(format::NONE);
    facts(&[
        ("What broke", found.broke.as_ref().map_or_else(none, code)),
        ("Accepted at the largest size that held", found.accepted.map_or_else(none, |rate| text(format::rate(rate)))),
        ("What was the limit", found.limit.as_ref().map_or_else(none, text)),
        ("Evidence", found.because.as_ref().map_or_else(none, text)),
    ])
}
