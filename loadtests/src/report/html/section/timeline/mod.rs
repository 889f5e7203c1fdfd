//! Second by second: what was asked, what came of it, and what it cost, on one axis of time.

mod charts;
mod figures;

use maud::{Markup, html};

use super::{nothing, section};
use crate::report::chart::{Course, name};
use crate::report::format;
use crate::result::{Phase, Report};

const LEAD: &str = "All charts share one axis of time. Gaps are seconds in which there was nothing to measure.";

pub(in super::super) fn timeline(report: &Report) -> Markup {
    let Some(course) = Course::of(report) else {
        return section("timeline", "Over time", None, "", &nothing("There is no timeline: nothing was sampled."));
    };
    let content = html! {
        (phases(&course))
        @for chart in charts::charts(report, &course) { (chart.draw()) }
        (figures::figures(report))
    };
    section("timeline", "Over time", None, LEAD, &content)
}

/// What the shades mean, and when it was so.
fn phases(course: &Course) -> Markup {
    html! {
        ul.legend.phases {
            @for phase in [Phase::Ramp, Phase::Steady, Phase::Drain] {
                @let stretches: Vec<_> = course.phases.iter().filter(|(other, ..)| *other == phase).collect();
                @if !stretches.is_empty() {
                    li {
                        svg.sample aria-hidden="true" width="18" height="12" {
                            rect.(name(phase)).framed width="18" height="12" {}
                        }
                        span { (name(phase)) }
                        span.when {
                            @match stretches.as_slice() {
                                [(_, from, to)] => { (format::point(*from)) " to " (format::point(*to)) },
                                many => { "in " (many.len()) " stretches" },
                            }
                        }
                    }
                }
            }
        }
    }
}
