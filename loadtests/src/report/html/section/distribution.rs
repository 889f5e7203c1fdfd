//! How the latencies are spread: a mean hides it, a percentile shows one point of it.

use maud::{Markup, html};

use super::{nothing, section};
use crate::report::chart::{Heap, Mark, Scale, histogram};
use crate::result::Report;
use card_client::latency::Percentiles;

const LEAD: &str = "From the intended start, over the measured time. The axis is logarithmic and the same for both.";

pub(in super::super) fn distribution(report: &Report) -> Markup {
    let (accept, e2e) = (&report.distribution.accept, &report.distribution.e2e);
    let bounds = || accept.iter().chain(e2e).filter(|(_, count)| *count > 0).map(|(bound, _)| *bound);
    let (Some(smallest), Some(largest)) = (bounds().reduce(f64::min), bounds().reduce(f64::max)) else {
        return section("distribution", "Distribution", None, "", &nothing("No latencies were measured."));
    };
    // The axis begins below the first bucket, whose upper bound is known only.
    let scale = Scale::logarithmic(smallest / 1.2, largest);
    let content = html! {
        @for (id, title, style, buckets, read) in [
            ("spread-accept", "Accept", "accepted", accept, &report.accept_intended_ms),
            ("spread-e2e", "End to end", "completed", e2e, &report.e2e_intended_ms),
        ] {
            @if buckets.is_empty() { (nothing(&format!("{title}: nothing was measured."))) }
            @else { (histogram(&Heap { id, title, style, buckets, marks: marks(read) }, &scale)) }
        }
    };
    section("distribution", "Distribution", None, LEAD, &content)
}

fn marks(read: &Percentiles) -> Vec<Mark> {
    let marks = [("p50", read.p50), ("p95", read.p95), ("p99", read.p99), ("max", read.max)];
    marks.into_iter().filter(|_| read.n > 0).map(|(name, value)| Mark { name, value }).collect()
}
