//! Whether the platform keeps pace at a size: a short step may keep every promise while work piles up behind it.

use crate::plan::{grouped, percent};
use crate::result::{Phase, Report, Sample, Step};

/// More than this of what arrives may not be left to pile up.
const LEFT: f64 = 0.1;
/// Fewer tasks than this are no pile.
const FEW: f64 = 20.0;

/// What piles up at a size of a search, in words. Looked at over the second half of its measured time: where the work
/// takes long, what is under way grows at first, and then no more.
pub(super) fn behind(report: &Report, step: &Step) -> Option<String> {
    step.rate.filter(|_| report.plan.growth.is_some())?;
    let steady =
        |sample: &&Sample| sample.phase == Phase::Steady && sample.t > step.from_s && sample.t <= step.to_s + 0.5;
    let samples: Vec<&Sample> = report.timeline.iter().filter(steady).collect();
    let later = &samples[samples.len() / 2..];
    let (first, last) = (later.first()?, later.last()?);
    #[expect(clippy::cast_precision_loss, reason = "numbers of tasks")]
    let grown = last.backlog? as f64 - first.backlog? as f64;
    let arrived = step.rates.accepted * (last.t - first.t);
    let share = grown / arrived;
    (grown >= FEW && share.is_finite() && share > LEFT).then(|| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least twenty")]
        let grown = grouped(grown as u64);
        format!("the backlog grew by {grown}, {} of the arrivals: the platform does not keep up", percent(share))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Growth, presets};
    use crate::report::fixture;
    use crate::result::Rates;

    /// A size of a search at which the backlog went like this, second by second.
    fn found(backlog: &[u64]) -> Option<String> {
        let mut report = fixture::empty();
        report.plan = presets::custom();
        report.plan.growth = Some(Growth { from: 50.0, up_to: 100.0, refinements: 0 });
        report.timeline = (1..)
            .zip(backlog)
            .map(|(t, backlog)| Sample {
                t: f64::from(t),
                phase: Phase::Steady,
                backlog: Some(*backlog),
                ..Sample::default()
            })
            .collect();
        let rates = Rates { offered: 100.0, accepted: 100.0, completed: 80.0 };
        let step = Step { rate: Some(100.0), from_s: 0.0, to_s: 6.0, rates, ..Step::default() };
        behind(&report, &step)
    }

    #[test]
    fn what_piles_up_to_the_end_is_behind() {
        let told = "the backlog grew by 60, 30% of the arrivals: the platform does not keep up";
        assert_eq!(found(&[10, 40, 70, 100, 130, 160]).as_deref(), Some(told));
    }

    #[test]
    fn what_levels_off_or_is_small_keeps_pace() {
        assert_eq!(found(&[0, 100, 200, 300, 301, 299]), None);
        assert_eq!(found(&[0, 3, 6, 9, 12, 15]), None);
        assert_eq!(found(&[50, 40, 30, 20, 10, 0]), None);
        assert_eq!(found(&[]), None);
    }
}
