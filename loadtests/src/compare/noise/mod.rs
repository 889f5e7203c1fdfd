//! How much each figure moves by itself between two such runs.
//!
//! The measured seconds are drawn again and again, with repetition, in blocks of seconds that follow one another, the same
//! blocks from both runs, and each time the change of every figure is worked out anew: the *moving-block bootstrap*. The
//! spread of these changes is the standard error of the change, and Student's t with one less than the number of blocks
//! makes of it the band that about 95 of a hundred changes stay in if only the load's own unrest is at work.
//!
//! - Blocks, because seconds that follow one another are alike (a queue that is long stays long), and drawing them one by
//!   one would promise more than there is: H. Künsch, "The jackknife and the bootstrap for general stationary
//!   observations", Annals of Statistics 17 (1989). Ten or more of about √n seconds: B. Schmeiser, "Batch size effects in
//!   the analysis of simulation output", Operations Research 30 (1982).
//! - The same blocks from both runs, because both follow the same course: what a ramp, a spike or a step does to both is
//!   no noise. It is the *paired* comparison of two systems: A. Law, "Simulation Modeling and Analysis", chapter 10.
//! - Of the percentiles of the whole, from what is known of each second ([`latencies`]), and not of a mean over the
//!   seconds' percentiles: where a few bad seconds make the p99, it comes and goes with them, and no mean shows that.
//!
//! The draws are always the same, so the same two documents have the same noise. How well the band keeps what it promises
//! is tried out in the tests. It is a lower bound: a stall that comes once in a few minutes is in one of two short runs
//! and not in the other, and what is the same throughout one run and another in the next, such as a neighbour on the
//! machine, can't be seen in two runs at all. That is what the tolerance is for, and longer runs.

mod latencies;
#[cfg(test)]
mod tests;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::latencies::Latencies;
use crate::result::{Phase, Report, Sample};

/// How often is drawn. The error of the band is then about one in twenty-five.
const DRAWS: usize = 300;
/// With fewer blocks the band is not told.
const MIN_BLOCKS: usize = 8;
/// One second alone is no block: it says nothing of how seconds depend on one another.
const MIN_BLOCK: usize = 2;
/// The seconds that the smallest number of smallest blocks needs.
pub(super) const MIN_SECONDS: usize = MIN_BLOCKS * MIN_BLOCK;
/// A figure that moves a thousandfold by itself says nothing, and infinity is no JSON.
const WIDEST: f64 = 1000.0;

/// Each figure's band around no change; none where it can't be told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Noise {
    /// p50, p95 and p99, as fractions.
    pub(super) accept: [Option<f64>; 3],
    /// The same, end to end.
    pub(super) e2e: [Option<f64>; 3],
    pub(super) completed: Option<f64>,
    pub(super) accepted: Option<f64>,
    /// As a difference of shares.
    pub(super) errors: Option<f64>,
}

/// Of both runs together.
pub(super) fn noise(before: &Report, after: &Report) -> Noise {
    let pairs = measured(before).zip(measured(after));
    let (before, after): (Vec<&Sample>, Vec<&Sample>) =
        pairs.filter(|(before, after)| same_load(before.target, after.target)).unzip();
    let seconds = before.len();
    if seconds < MIN_SECONDS {
        return Noise::default();
    }
    let (before, after) = (Run::new(&before), Run::new(&after));
    let mut changes = [const { Vec::new() }; FIGURES];
    let mut rng = StdRng::seed_from_u64(0);
    for _ in 0..DRAWS {
        let times = draw(&mut rng, seconds);
        for (changes, change) in changes.iter_mut().zip(change(before.figures(&times), after.figures(&times))) {
            changes.extend(change.filter(|change| change.is_finite()));
        }
    }
    let width = student(as_f64(seconds / block(seconds) - 1));
    let band = |changes: Vec<f64>| Some(width * spread(&changes)?);
    let ratio = |band: Option<f64>| band.map(|band| band.exp_m1().min(WIDEST));
    let [accept50, accept95, accept99, e2e50, e2e95, e2e99, completed, accepted, errors] = changes.map(band);
    Noise {
        accept: [accept50, accept95, accept99].map(ratio),
        e2e: [e2e50, e2e95, e2e99].map(ratio),
        completed: ratio(completed),
        accepted: ratio(accepted),
        errors: errors.map(|band| band.min(WIDEST)),
    }
}

const FIGURES: usize = 9;

/// Of drawn seconds: six percentiles, two rates and the share of errors; all but the last as logarithms, so that their
/// differences are ratios.
type Figures = [Option<f64>; FIGURES];

fn change(before: Figures, after: Figures) -> Figures {
    std::array::from_fn(|figure| Some(after[figure]? - before[figure]?))
}

/// The seconds of one run.
struct Run<'a> {
    seconds: &'a [&'a Sample],
    accept: Latencies,
    e2e: Latencies,
}

impl<'a> Run<'a> {
    fn new(seconds: &'a [&'a Sample]) -> Self {
        let accept =
            |second: &Sample| Some(([second.accept_p50?, second.accept_p95?, second.accept_p99?], second.accepted));
        let e2e = |second: &Sample| Some(([second.e2e_p50?, second.e2e_p95?, second.e2e_p99?], second.completed));
        Self { seconds, accept: Latencies::new(seconds, accept), e2e: Latencies::new(seconds, e2e) }
    }

    /// Of a draw in which each second comes so many times.
    fn figures(&self, times: &[f64]) -> Figures {
        let sum = |of: fn(&Sample) -> f64| {
            self.seconds.iter().zip(times).map(|(second, times)| of(second) * times).sum::<f64>()
        };
        let [accept50, accept95, accept99] = self.accept.percentiles(times);
        let [e2e50, e2e95, e2e99] = self.e2e.percentiles(times);
        let completed = Some(sum(|second| second.completed).ln());
        let accepted = Some(sum(|second| second.accepted).ln());
        let offered = sum(|second| second.offered);
        let errors = (offered > 0.0).then(|| sum(|second| second.errors) / offered);
        [accept50, accept95, accept99, e2e50, e2e95, e2e99, completed, accepted, errors]
    }
}

fn measured(report: &Report) -> impl Iterator<Item = &Sample> {
    report.timeline.iter().filter(|sample| sample.phase == Phase::Steady)
}

/// A moment on a ramp is never exactly the same; and the seconds of two runs may be off by one.
fn same_load(one: f64, other: f64) -> bool {
    (one - other).abs() <= 0.1 * one.abs().max(other.abs())
}

/// How many times each second comes when as many blocks are drawn as there are.
fn draw(rng: &mut StdRng, seconds: usize) -> Vec<f64> {
    let block = block(seconds);
    let mut times = vec![0.0; seconds];
    for _ in 0..seconds / block {
        let from = rng.random_range(0..=seconds - block);
        times[from..from + block].iter_mut().for_each(|times| *times += 1.0);
    }
    times
}

/// About √n seconds, but no longer than leaves ten blocks.
fn block(seconds: usize) -> usize {
    seconds.isqrt().min(seconds / 10).max(MIN_BLOCK)
}

/// The standard deviation; none if most draws had no such figure.
fn spread(changes: &[f64]) -> Option<f64> {
    if changes.len() < DRAWS / 2 {
        return None;
    }
    let n = as_f64(changes.len());
    let mean = changes.iter().sum::<f64>() / n;
    let variance = changes.iter().map(|change| (change - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Some(variance.sqrt()).filter(|spread| spread.is_finite())
}

/// The two-sided 95 % quantile of Student's t, by its expansion around the normal one (Abramowitz and Stegun, 26.7.5):
/// right to a hundredth from seven degrees of freedom.
fn student(freedom: f64) -> f64 {
    const Z: f64 = 1.959_964;
    let first = (Z.powi(3) + Z) / 4.0;
    let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    Z + first / freedom + second / freedom.powi(2)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of seconds and blocks are far below 2^52")]
fn as_f64(n: usize) -> f64 {
    n as f64
}
