//! A verdict as people see it: a word, a mark that can be told without colours, a colour.

use maud::{Markup, html};

pub(super) use crate::report::remarks::word;
use crate::result::Verdict;

/// The verdict of several; none of none.
pub(super) fn worst(verdicts: impl Iterator<Item = Verdict>) -> Option<Verdict> {
    verdicts.max_by_key(|verdict| match verdict {
        Verdict::Pass => 0,
        Verdict::Inconclusive => 1,
        Verdict::Fail => 2,
    })
}

/// The class that brings the colour.
pub(super) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "unsure",
    }
}

/// The mark: a tick, a cross, a question mark, each in a circle.
pub(super) fn mark(verdict: Verdict) -> Markup {
    html! {
        svg.mark.(class(verdict)) viewBox="0 0 20 20" aria-hidden="true" focusable="false" {
            circle cx="10" cy="10" r="10" {}
            @match verdict {
                Verdict::Pass => path d="M5.5 10.4l3 3 6-6.6" {}
                Verdict::Fail => path d="M6.4 6.4l7.2 7.2m0-7.2l-7.2 7.2" {}
                Verdict::Inconclusive => path d="M7.3 7.6c.2-3.4 5.4-3.4 5.4-.3 0 2-2.7 2.1-2.7 4.2m0 3.2v.1" {}
            }
        }
    }
}

/// Mark and word.
pub(super) fn chip(verdict: Verdict) -> Markup {
    html! { span.chip.(class(verdict)) { (mark(verdict)) (word(verdict)) } }
}
