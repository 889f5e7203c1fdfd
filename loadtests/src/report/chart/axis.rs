//! Axes: what they span, where they are labelled, and how.

use crate::report::format::short;

/// Beyond this, a value is drawn as if it were this: no figure of a load test is, and sums stay finite.
const LARGEST: f64 = 1e15;
/// Below this, a logarithmic axis ends: a tenth of a microsecond.
const SMALLEST: f64 = 1e-4;

/// An axis of values.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Where it is labelled, in order.
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// From 0 to a round number that is at least `largest`, in about as many steps as `most`.
    pub(in super::super) fn linear(largest: f64, most: u32) -> Self {
        let largest = if largest.is_finite() { largest.clamp(0.0, LARGEST) } else { 0.0 };
        let ticks = ticks(if largest > 0.0 { largest } else { 1.0 }, most);
        Self { low: 0.0, high: ticks.last().copied().unwrap_or(1.0), logarithmic: false, ticks }
    }

    /// From 0 to 1, labelled at the quarters.
    pub(in super::super) fn shares() -> Self {
        Self { low: 0.0, high: 1.0, logarithmic: false, ticks: vec![0.0, 0.25, 0.5, 0.75, 1.0] }
    }

    /// By powers, from 1, 2 or 5 of a decade to another; what is 0 lies on the lower end.
    pub(in super::super) fn logarithmic(smallest: f64, largest: f64) -> Self {
        let high = if largest.is_finite() { largest.clamp(SMALLEST * 10.0, LARGEST) } else { 1.0 };
        let low = if smallest.is_finite() { smallest.clamp(SMALLEST, high) } else { SMALLEST };
        let round: Vec<f64> =
            decades(low, high).flat_map(|decade| [1.0, 2.0, 5.0].map(|times| times * decade)).collect();
        // The float nearest to 5 × 10⁻³ may be a hair beyond the value that was meant.
        let begin = round.iter().rposition(|tick| *tick <= low * (1.0 + 1e-9)).unwrap_or(0);
        let end = round.iter().position(|tick| *tick >= high * (1.0 - 1e-9)).unwrap_or(round.len() - 1);
        let end = end.max(begin + 1).min(round.len() - 1);
        let span = round[end].log10() - round[begin].log10();
        let every = (span / 8.0).ceil().max(1.0);
        let labelled = |tick: &f64| span <= 2.0 || is_power(*tick) && (tick.log10().round() % every).abs() < 0.5;
        let ticks = round[begin..=end].iter().copied().filter(labelled).collect();
        Self { low: round[begin], high: round[end], logarithmic: true, ticks }
    }

    /// Linear, unless the values lie so far apart that the small ones would lie on the axis.
    pub(in super::super) fn fitting(values: &[f64], largest: f64) -> Self {
        let mut positive: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0 && value.is_finite()).collect();
        positive.sort_by(f64::total_cmp);
        match (positive.first(), positive.get(positive.len() / 2)) {
            (Some(first), Some(middle)) if largest > 40.0 * middle => Self::logarithmic(*first, largest),
            _ => Self::linear(largest, 5),
        }
    }

    /// Linear, unless the largest value is so many times the smallest that this would lie on the axis.
    pub(super) fn spanning(values: &[f64]) -> Self {
        let positive = || values.iter().copied().filter(|value| *value > 0.0 && value.is_finite());
        match (positive().reduce(f64::min), positive().reduce(f64::max)) {
            (Some(smallest), Some(largest)) if largest > 25.0 * smallest => Self::logarithmic(smallest, largest),
            (_, largest) => Self::linear(largest.unwrap_or(0.0), 5),
        }
    }

    /// Where a value lies: 0 at the lower end, 1 at the upper.
    pub(super) fn share(&self, value: f64) -> f64 {
        if value.is_nan() {
            0.0
        } else if self.logarithmic {
            let value = value.max(self.low);
            (value / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        }
        .clamp(0.0, 1.0)
    }

    /// Where the line of a promise is drawn, unless that would be beyond the axis.
    pub(super) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    pub(super) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Milliseconds for a label: on a linear axis all in one unit.
    pub(in super::super) fn millis(&self, value: f64) -> String {
        let by = if self.logarithmic { value } else { self.high };
        match by {
            _ if value == 0.0 => "0".to_owned(),
            ..1000.0 => format!("{} ms", short(value, 4)),
            ..180_000.0 => format!("{} s", short(value / 1000.0, 4)),
            _ => format!("{} min", short(value / 60_000.0, 2)),
        }
    }
}

/// Multiples of 1, 2 or 5 times a power of ten from 0 to the first that is at least `largest`; at most `most` + 2.
pub(super) fn ticks(largest: f64, most: u32) -> Vec<f64> {
    let step = round_step(largest / f64::from(most.max(1)));
    let count = (largest / step - 1e-9).ceil().max(1.0);
    // Multiplied, not summed: sums of 0.1 drift.
    (0..).map(f64::from).take_while(|index| *index <= count).map(|index| tidy(index * step)).collect()
}

/// Seconds at which the axis of time is labelled.
pub(super) fn time_ticks(end: f64) -> Vec<f64> {
    const STEPS: [f64; 21] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
        10_800.0, 21_600.0, 43_200.0, 86_400.0,
    ];
    let step = STEPS.into_iter().find(|step| end / step <= 10.0).unwrap_or_else(|| round_step(end / 8.0));
    (0..).map(|index| tidy(f64::from(index) * step)).take_while(|tick| *tick <= end * (1.0 + 1e-9)).collect()
}

/// A point of time for a label: all labels of an axis up to `end` in one unit.
pub(super) fn time_label(at: f64, end: f64) -> String {
    match end {
        _ if at == 0.0 => "0".to_owned(),
        ..=300.0 => format!("{} s", short(at, 1)),
        ..=10_800.0 => format!("{} min", short(at / 60.0, 1)),
        ..=864_000.0 => format!("{} h", short(at / 3600.0, 1)),
        _ => format!("{} d", short(at / 86_400.0, 1)),
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least `raw`.
fn round_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| raw <= times * power * (1.0 + 1e-9)).unwrap_or(10.0);
    tidy(times * power)
}

/// The number that was meant: 0.30000000000000004 is 0.3.
fn tidy(value: f64) -> f64 {
    format!("{value:.12e}").parse().unwrap_or(value)
}

fn decades(low: f64, high: f64) -> impl Iterator<Item = f64> {
    #[expect(clippy::cast_possible_truncation, reason = "between -4 and 16")]
    let (from, to) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    (from..=to).map(|power| tidy(10f64.powi(power)))
}

fn is_power(tick: f64) -> bool {
    (tick.log10() - tick.log10().round()).abs() < 1e-9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_and_reach_beyond_the_largest() {
        assert_eq!(ticks(96.0, 5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(0.3, 5), [0.0, 0.1, 0.2, 0.3]);
        assert_eq!(ticks(1.0, 5), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        assert_eq!(ticks(7301.0, 5), [0.0, 2000.0, 4000.0, 6000.0, 8000.0]);
    }

    #[test]
    fn time_is_labelled_at_whole_seconds_minutes_and_hours() {
        let labels = |end| time_ticks(end).into_iter().map(|at| time_label(at, end)).collect::<Vec<_>>();
        assert_eq!(labels(96.0), ["0", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s", "70 s", "80 s", "90 s"]);
        assert_eq!(labels(1800.0), ["0", "5 min", "10 min", "15 min", "20 min", "25 min", "30 min"]);
        assert_eq!(labels(14_400.0), ["0", "0.5 h", "1 h", "1.5 h", "2 h", "2.5 h", "3 h", "3.5 h", "4 h"]);
    }

    #[test]
    fn a_logarithmic_axis_begins_and_ends_at_a_round_number() {
        let scale = Scale::logarithmic(3.0, 1800.0);
        assert_eq!(scale.ticks, [10.0, 100.0, 1000.0]);
        assert_eq!((scale.share(2.0), scale.share(0.0), scale.share(2000.0)), (0.0, 0.0, 1.0));
        assert!((scale.share(63.245_553_203_367_59) - 0.5).abs() < 1e-12);
        assert_eq!(Scale::logarithmic(12.0, 180.0).ticks, [10.0, 20.0, 50.0, 100.0, 200.0]);
    }

    #[test]
    fn labels_of_a_linear_axis_share_a_unit() {
        let scale = Scale::linear(1400.0, 5);
        let labels: Vec<_> = scale.ticks.iter().map(|tick| scale.millis(*tick)).collect();
        assert_eq!(labels, ["0", "0.5 s", "1 s", "1.5 s"]);
    }

    proptest! {
        #[test]
        fn every_axis_is_finite_round_and_short(low in proptest::num::f64::ANY, high in proptest::num::f64::ANY) {
            let (fitting, spanning) = (Scale::fitting(&[low, high], high), Scale::spanning(&[low, high]));
            for scale in [Scale::linear(high, 5), Scale::logarithmic(low, high), fitting, spanning] {
                prop_assert!((1..=16).contains(&scale.ticks.len()), "{scale:?}");
                prop_assert!(scale.ticks.iter().all(|tick| tick.is_finite() && scale.holds(*tick)), "{scale:?}");
                prop_assert!(scale.ticks.windows(2).all(|pair| pair[0] < pair[1]), "{scale:?}");
                if low.is_finite() {
                    prop_assert!((0.0..=1.0).contains(&scale.share(low)), "{scale:?}");
                }
            }
        }

        #[test]
        fn the_axis_of_time_has_few_ticks_in_range(end in 0.01f64..1e9) {
            let ticks = time_ticks(end);
            prop_assert!((1..=12).contains(&ticks.len()));
            prop_assert!(ticks.iter().all(|tick| (0.0..=end * 1.000_001).contains(tick)));
        }
    }
}
