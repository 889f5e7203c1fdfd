//! A figure against the size of the load.

use maud::{Markup, html};

use super::{Scale, part, pixels};
use crate::result::Verdict;

const HEIGHT: f64 = 150.0;
const ABOVE: f64 = 14.0;
const BELOW: f64 = 24.0;
const DESCRIPTION: &str =
    "The figures are those of the table of steps. Filled mark: passed; cross: failed; empty mark: inconclusive.";
/// Room left and right, so that the first and the last mark are whole.
const MARGIN: f64 = 0.07;

/// One size of the load.
pub(in super::super) struct Size {
    /// As it is labelled.
    pub(in super::super) label: String,
    /// What was measured, in the order of the lines.
    pub(in super::super) values: Vec<f64>,
    pub(in super::super) verdict: Verdict,
}

/// A line for each of `lines` (name and style) over the sizes, which stand at equal distances in the given order.
pub(in super::super) fn sizes(
    id: &str,
    title: &str,
    lines: &[(&str, &'static str)],
    sizes: &[Size],
    label: fn(&Scale, f64) -> String,
) -> Markup {
    let values: Vec<f64> = sizes.iter().flat_map(|size| size.values.iter().copied()).collect();
    let scale = Scale::spanning(&values);
    let across = |at: usize| match sizes.len() {
        1 => 0.5,
        n => MARGIN + (1.0 - 2.0 * MARGIN) * at as f64 / (n - 1) as f64,
    };
    let y = |value: f64| ABOVE + HEIGHT * (1.0 - scale.share(value));
    // Where they are many, some are named.
    let every = sizes.len().div_ceil(8).max(1);
    html! {
        figure.chart id=(id) {
            figcaption {
                h3 { (title) @if scale.is_logarithmic() { small { " logarithmic scale" } } }
                ul.legend {
                    @for (name, style) in lines {
                        li {
                            svg.sample aria-hidden="true" width="26" height="10" {
                                line.(style) x1="1" x2="25" y1="5" y2="5" {}
                            }
                            span { (name) }
                        }
                    }
                }
            }
            div.plot {
                svg role="img" aria-labelledby={ (id) "-title " (id) "-desc" } width="100%"
                    height=(pixels(ABOVE + HEIGHT + BELOW)) {
                    title id={ (id) "-title" } { (title) }
                    desc id={ (id) "-desc" } { (DESCRIPTION) }
                    @for tick in &scale.ticks {
                        line.grid x1="0" x2="100%" y1=(pixels(y(*tick))) y2=(pixels(y(*tick))) {}
                        text.value x="-8" y=(pixels(y(*tick))) dy=".34em" { (label(&scale, *tick)) }
                    }
                    @for (at, size) in sizes.iter().enumerate().filter(|(at, _)| at % every == 0) {
                        text.time x=(part(across(at))) y=(pixels(ABOVE + HEIGHT + 17.0)) { (size.label) }
                    }
                    @for (line, (_, style)) in lines.iter().enumerate() {
                        @for at in 1..sizes.len() {
                            line.(style) x1=(part(across(at - 1))) y1=(pixels(y(sizes[at - 1].values[line])))
                                x2=(part(across(at))) y2=(pixels(y(sizes[at].values[line]))) {}
                        }
                        @for (at, size) in sizes.iter().enumerate() {
                            (mark(across(at), y(size.values[line]), style, size.verdict))
                        }
                    }
                }
            }
        }
    }
}

/// What the marks mean.
pub(in super::super) fn marks() -> Markup {
    let meanings = [(Verdict::Pass, "held"), (Verdict::Fail, "broke"), (Verdict::Inconclusive, "inconclusive")];
    html! {
        ul.legend.marks {
            @for (verdict, meaning) in meanings {
                li {
                    svg.sample aria-hidden="true" width="12" height="12" { (mark(0.5, 6.0, "any", verdict)) }
                    span { (meaning) }
                }
            }
        }
    }
}

fn mark(across: f64, y: f64, style: &str, verdict: Verdict) -> Markup {
    html! {
        @match verdict {
            Verdict::Pass => circle.dot.(style) cx=(part(across)) cy=(pixels(y)) r="4" {}
            Verdict::Inconclusive => circle.dot.hollow.(style) cx=(part(across)) cy=(pixels(y)) r="4" {}
            Verdict::Fail => {
                // A drawing of no size at the place: percentages and pixels can't be mixed in a path.
                svg.cross x=(part(across)) y=(pixels(y)) { path.(style) d="M-5 -5L5 5M5 -5L-5 5" {} }
            }
        }
    }
}
