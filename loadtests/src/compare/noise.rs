//! How much a figure moves by itself between two such runs.
//!
//! The measured time is cut into blocks, the same for both runs, and each block is taken as a small run of its own: its
//! figure is the mean over its seconds. Block by block, `after` is set against `before`, as a ratio for latencies and
//! rates and as a difference for shares. If nothing but the load's own unrest were at work, these would differ from their
//! mean by chance only, so their spread gives the standard error of that mean, and Student's t with one less than the
//! number of blocks the band that 95 of a hundred such comparisons stay in.
//!
//! - Blocks, because seconds that follow one another are alike (a queue that is long stays long), and the spread of
//!   single seconds would promise more than there is: *batch means*. Ten or more blocks of about √n seconds: B. Schmeiser,
//!   "Batch size effects in the analysis of simulation output", Operations Research 30 (1982).
//! - Block against block, because both runs follow the same course: what a ramp, a spike or a step does to both is not
//!   noise. It is the *paired-t* comparison of two systems: A. Law, "Simulation Modeling and Analysis", chapter 10.
//! - Ratios, because a platform that became twice as slow did so in quiet and in busy seconds alike.
//!
//! It is a lower bound. What is the same throughout one run and another in the next, such as a neighbour on the machine,
//! can't be seen in two runs; that is what the tolerance is for.

use crate::result::{Phase, Report, Sample};

/// With fewer blocks the band is not told.
const MIN_BLOCKS: usize = 8;
/// One second alone is no block: it says nothing of how seconds depend on one another.
const MIN_BLOCK: usize = 2;
/// The seconds that the smallest number of smallest blocks needs.
pub(super) const MIN_SECONDS: usize = MIN_BLOCKS * MIN_BLOCK;

/// A figure that moves a thousandfold by itself says nothing, and infinity is no JSON.
const WIDEST: f64 = 1000.0;

/// How two blocks are set against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    /// By their ratio; the band is a fraction.
    Ratio,
    /// By their difference; the band is in the figure's own unit.
    Difference,
}

/// The band around no change; none with too few blocks. `of` reads the figure of one second, if it has one.
pub(super) fn noise(
    before: &Report,
    after: &Report,
    against: Against,
    of: impl Fn(&Sample) -> Option<f64>,
) -> Option<f64> {
    let pairs: Vec<(f64, f64)> = measured(before)
        .zip(measured(after))
        .filter(|(before, after)| same_load(before.target, after.target))
        .filter_map(|(before, after)| Some((of(before)?, of(after)?)))
        .collect();
    let moves: Vec<f64> = pairs
        .chunks_exact(block(pairs.len()))
        .map(|block| (mean(block.iter().map(|pair| pair.0)), mean(block.iter().map(|pair| pair.1))))
        .filter_map(|(before, after)| match against {
            Against::Ratio => (before > 0.0 && after > 0.0).then(|| (after / before).ln()),
            Against::Difference => Some(after - before),
        })
        .filter(|moved| moved.is_finite())
        .collect();
    if moves.len() < MIN_BLOCKS {
        return None;
    }
    let band = half_width(&moves);
    Some(if against == Against::Ratio { band.exp_m1() } else { band }.min(WIDEST))
}

fn measured(report: &Report) -> impl Iterator<Item = &Sample> {
    report.timeline.iter().filter(|sample| sample.phase == Phase::Steady)
}

/// A search for the limit may go other ways in two runs; and a moment on a ramp is never exactly the same.
fn same_load(one: f64, other: f64) -> bool {
    (one - other).abs() <= 0.1 * one.abs().max(other.abs())
}

/// About √n seconds, but no longer than leaves ten blocks.
fn block(seconds: usize) -> usize {
    seconds.isqrt().min(seconds / 10).max(MIN_BLOCK)
}

/// Half the width of the 95 % confidence interval of the mean.
fn half_width(values: &[f64]) -> f64 {
    let n = as_f64(values.len());
    let mean = mean(values.iter().copied());
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    student(n - 1.0) * (variance / n).sqrt()
}

/// The two-sided 95 % quantile of Student's t, by its expansion around the normal one (Abramowitz and Stegun, 26.7.5):
/// right to a hundredth from seven degrees of freedom.
fn student(freedom: f64) -> f64 {
    const Z: f64 = 1.959_964;
    let first = (Z.powi(3) + Z) / 4.0;
    let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    Z + first / freedom + second / freedom.powi(2)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = as_f64(values.len());
    values.sum::<f64>() / n
}

#[expect(clippy::cast_precision_loss, reason = "numbers of seconds and blocks are far below 2^52")]
fn as_f64(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn students_quantiles_are_those_of_the_tables() {
        for (freedom, expected) in [(7.0, 2.365), (9.0, 2.262), (14.0, 2.145), (30.0, 2.042), (1000.0, 1.962)] {
            assert!((student(freedom) - expected).abs() < 0.01, "{freedom}: {}", student(freedom));
        }
    }

    #[test]
    fn blocks_are_at_least_two_seconds_and_leave_ten_where_they_can() {
        assert_eq!([0, 15, 16, 20, 30, 120, 1800].map(block), [2, 2, 2, 2, 3, 10, 42]);
    }

    /// The claim of this module, tried out: of pairs of runs between which nothing changed, how many leave the band?
    #[test]
    fn of_runs_that_did_not_change_few_leave_the_band() {
        for (seconds, kept, at_most) in [(30, 0.0, 0.08), (120, 0.0, 0.08), (30, 0.5, 0.16), (120, 0.5, 0.11)] {
            let mut rng = StdRng::seed_from_u64(1);
            let trials = 1000;
            let outside = (0..trials).filter(|_| {
                let (before, after) = (unrest(&mut rng, seconds, kept), unrest(&mut rng, seconds, kept));
                let band = noise(&before, &after, Against::Ratio, |second| second.e2e_p95).unwrap();
                let whole = |report: &Report| mean(report.timeline.iter().map(|second| second.e2e_p95.unwrap()));
                (whole(&after) / whole(&before)).ln().abs() > band.ln_1p()
            });
            let share = as_f64(outside.count()) / as_f64(trials);
            assert!((0.02..=at_most).contains(&share), "{seconds} s, {kept} kept: {share} left the band");
        }
    }

    /// Seconds around 100 ms, of which each keeps so much of the one before.
    fn unrest(rng: &mut StdRng, seconds: usize, kept: f64) -> Report {
        let mut off = 0.0;
        let timeline = (0..seconds).map(|_| {
            // The sum of uniform numbers is near enough to a normal one.
            let shock = (0..4).map(|_| rng.random_range(-1.0..1.0)).sum::<f64>() * 5.0;
            off = kept * off + shock;
            Sample { phase: Phase::Steady, e2e_p95: Some(100.0 + off), ..Sample::default() }
        });
        Report { timeline: timeline.collect(), ..super::super::tests::report() }
    }
}
