//! What a search for the limit found.

use maud::{Markup, html};

use super::table::{code, text};
use super::{facts, nothing, section};
use crate::report::format;
use crate::result::{Breakpoint, Report};

pub(in super::super) fn breakpoint(report: &Report) -> Markup {
    let Some(found) = &report.breakpoint else {
        return section("breakpoint", "Limit", None, "", &nothing("This run did not search for a limit."));
    };
    let size = |value| format::size(report.plan.model, value);
    let sentence = match (found.holds, found.breaks) {
        (Some(holds), Some(breaks)) => format!("Passes at {}, fails at {}.", size(holds), size(breaks)),
        (Some(holds), None) => {
            format!("Passes at {}, the largest size tested; the limit is higher.", size(holds))
        }
        (None, Some(breaks)) => format!("Fails at {}, the smallest size tested.", size(breaks)),
        (None, None) => "The search found no size that passes and none that fails.".to_owned(),
    };
    section("breakpoint", "Limit", None, "", &html! { p.finding { (sentence) } (evidence(found)) })
}

fn evidence(found: &Breakpoint) -> Markup {
    let none = || text(format::NONE);
    facts(&[
        ("What broke", found.broke.as_ref().map_or_else(none, code)),
        ("Accepted at the largest size that passed", found.accepted.map_or_else(none, |rate| text(format::rate(rate)))),
        ("Bottleneck", found.limit.as_ref().map_or_else(none, text)),
        ("Evidence", found.because.as_ref().map_or_else(none, text)),
    ])
}
