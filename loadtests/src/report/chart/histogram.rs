//! How values are spread, on a logarithmic axis.

use maud::{Markup, html};

use super::{Scale, part, pixels};
use crate::report::format;

/// At most so many bars: more would be thinner than the space between them on a phone.
const BARS: usize = 64;
/// How much wider than its lower end a bucket may be, where the one before it is missing.
const WIDEST: f64 = 1.2;
const HEIGHT: f64 = 120.0;
/// Room above for the percentiles, four rows of them.
const ABOVE: f64 = 4.0 * ROW;
const ROW: f64 = 14.0;
const BELOW: f64 = 24.0;

/// What is spread.
pub(in super::super) struct Heap<'a> {
    /// Unique on the page.
    pub(in super::super) id: &'static str,
    pub(in super::super) title: &'static str,
    pub(in super::super) style: &'static str,
    /// `(upper bound in ms, how many)`, in order.
    pub(in super::super) buckets: &'a [(f64, u64)],
    pub(in super::super) marks: Vec<Mark>,
}

/// A percentile to point out.
pub(in super::super) struct Mark {
    pub(in super::super) name: &'static str,
    /// Milliseconds.
    pub(in super::super) value: f64,
}

/// The heap on an axis that others may share.
pub(in super::super) fn histogram(heap: &Heap, scale: &Scale) -> Markup {
    let bars = bars(heap.buckets, scale);
    let tallest = bars.iter().map(|bar| bar.2).fold(0.0, f64::max);
    let total: u64 = heap.buckets.iter().map(|bucket| bucket.1).sum();
    let marks = heap.marks.iter().map(|mark| format!("{} {}", mark.name, format::millis(mark.value)));
    let description = format!("{} values: {}.", format::count(total), marks.collect::<Vec<_>>().join(", "));
    html! {
        figure.chart id=(heap.id) {
            figcaption {
                h3 { (heap.title) small { " " (format::count(total)) " values, tallest bar " (format::percent(tallest)) } }
            }
            div.plot {
                svg role="img" aria-labelledby={ (heap.id) "-title " (heap.id) "-desc" } width="100%"
                    height=(pixels(ABOVE + HEIGHT + BELOW)) {
                    title id={ (heap.id) "-title" } { (heap.title) }
                    desc id={ (heap.id) "-desc" } { (description) }
                    @for (from, to, share) in &bars {
                        @let tall = HEIGHT * share / tallest;
                        rect.bar.(heap.style) x=(part(*from)) width=(part(to - from))
                            y=(pixels(ABOVE + HEIGHT - tall)) height=(pixels(tall)) {}
                    }
                    line.base x1="0" x2="100%" y1=(pixels(ABOVE + HEIGHT)) y2=(pixels(ABOVE + HEIGHT)) {}
                    @for tick in &scale.ticks {
                        @let x = part(scale.share(*tick));
                        line.tick x1=(x) x2=(x) y1=(pixels(ABOVE + HEIGHT)) y2=(pixels(ABOVE + HEIGHT + 4.0)) {}
                        text.time x=(x) y=(pixels(ABOVE + HEIGHT + 17.0)) { (scale.millis(*tick)) }
                    }
                    (percentiles(&heap.marks, scale))
                }
            }
        }
    }
}

/// Lines with names, each in a row of its own, so that names can't run into each other however narrow the page is. Near
/// the right end a name stands left of its line; those rows are in the other order, so that no line crosses a name.
fn percentiles(marks: &[Mark], scale: &Scale) -> Markup {
    let right = marks.iter().take_while(|mark| scale.share(mark.value) <= 0.7).count();
    let row = |index: usize| {
        let row = if index < right { index } else { right + marks.len() - 1 - index };
        10.0 + ROW * row as f64
    };
    html! {
        @for (index, mark) in marks.iter().enumerate() {
            @let x = part(scale.share(mark.value));
            line.percentile x1=(x) x2=(x) y1=(pixels(row(index) - 8.0)) y2=(pixels(ABOVE + HEIGHT)) {}
        }
        @for (index, mark) in marks.iter().enumerate() {
            @let share = scale.share(mark.value);
            @let left = index >= right;
            text.percentile.left[left] x=(part(share)) dx=(if left { "-5" } else { "5" }) y=(pixels(row(index))) {
                tspan.name { (mark.name) " " } (format::millis(mark.value))
            }
        }
    }
}

/// Bars as `(from, to, share of all values)`, places as shares of the width. Buckets are poured into bars of the same
/// width, evenly over the stretch that each covers.
fn bars(buckets: &[(f64, u64)], scale: &Scale) -> Vec<(f64, f64, f64)> {
    let total: u64 = buckets.iter().map(|bucket| bucket.1).sum();
    if total == 0 {
        return Vec::new();
    }
    let number = BARS.min(buckets.len().max(1) * 4);
    let mut heights = vec![0.0; number];
    let mut before = 0.0;
    for (upper, count) in buckets.iter().filter(|(upper, _)| upper.is_finite()) {
        let lower = f64::max(before, upper / WIDEST);
        let (from, to) = (scale.share(lower) * number as f64, scale.share(*upper) * number as f64);
        pour(&mut heights, from, to, *count as f64 / total as f64);
        before = *upper;
    }
    let width = 1.0 / number as f64;
    let bars = heights.into_iter().enumerate().filter(|(_, height)| *height > 0.0);
    bars.map(|(at, height)| (at as f64 * width, (at + 1) as f64 * width, height)).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places between 0 and the number of bars")]
fn pour(heights: &mut [f64], from: f64, to: f64, share: f64) {
    let last = heights.len() - 1;
    if to - from < 1e-9 {
        heights[(to as usize).min(last)] += share;
        return;
    }
    let (first, last) = ((from as usize).min(last), (to as usize).min(last));
    for (at, height) in heights.iter_mut().enumerate().take(last + 1).skip(first) {
        let covered = f64::min(to, (at + 1) as f64) - f64::max(from, at as f64);
        *height += share * covered.max(0.0) / (to - from);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_value_gets_lost_on_the_way_into_the_bars(
            steps in proptest::collection::vec((1.0001f64..3.0, 0u64..1_000_000), 0..200)
        ) {
            let mut bound = 0.001;
            let mut bucket = |(by, count): (f64, u64)| {
                bound = f64::min(bound * by, 1e12);
                (bound, count)
            };
            let buckets: Vec<(f64, u64)> = steps.into_iter().map(&mut bucket).collect();
            let scale = Scale::logarithmic(0.001, bound);
            let bars = bars(&buckets, &scale);
            let sum: f64 = bars.iter().map(|bar| bar.2).sum();
            let all = buckets.iter().any(|bucket| bucket.1 > 0);
            prop_assert!((sum - f64::from(u8::from(all))).abs() < 1e-6, "{sum}");
            prop_assert!(bars.iter().all(|(from, to, _)| 0.0 <= *from && from < to && *to <= 1.0 + 1e-9));
        }
    }
}
