//! Two runs against each other: what changed, by more than the tolerance, and by more than it moves by itself.
//!
//! Pure: a function of two documents. Runs of different shapes are refused, because the difference of their figures says
//! nothing about the platform ([`unlike`]). Each figure is then judged alone:
//!
//! | the change for the worse is | verdict |
//! |---|---|
//! | at most the tolerance, or under [`FLOOR_MS`] for a latency | `pass` |
//! | more than the tolerance and more than the [`noise`] | `fail` |
//! | more than the tolerance, within the noise | `inconclusive` |
//! | not to be told: one side has no samples | `inconclusive` |
//!
//! Where the noise can't be told (the runs are too short), the tolerance decides alone, and a note says so. A change for
//! the better passes, however large. The whole fails with any figure that counts, and is inconclusive with any that is.

mod baseline;
mod figure;
mod judge;
mod noise;
mod unlike;

#[cfg(test)]
pub(crate) mod tests;

pub use self::baseline::{LoadError, load, missing};
pub use self::figure::{Figure, InvalidFigure};
pub use self::judge::{ERRORS_TOLERANCE, FLOOR_MS};

use crate::result::{Change, Regression, Report, Verdict};

/// What is taken as a regression.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What is taken as no difference, as a fraction. The share of errors has its own: [`ERRORS_TOLERANCE`].
    pub tolerance: f64,
    /// What counts for the verdict; the other figures are shown.
    pub fail_on: Vec<Figure>,
    /// What the baseline is called in the result, such as its file; its run if none.
    pub baseline: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { tolerance: 0.1, fail_on: vec![Figure::P95, Figure::Errors, Figure::Throughput], baseline: None }
    }
}

/// Compares `after` with `before`, the baseline.
#[must_use]
pub fn compare(before: &Report, after: &Report, options: &Options) -> Regression {
    let unlike = unlike::unlike(before, after);
    let mut notes = unlike::notes(before, after);
    let changes = if unlike.is_empty() { judge::changes(before, after, options) } else { Vec::new() };
    if !changes.is_empty() && changes.iter().all(|change| change.noise.is_none()) {
        notes.push(format!(
            "the measured time is too short to tell how much the figures move by themselves ({} s are needed): \
             the tolerance decides alone",
            noise::MIN_SECONDS
        ));
    }
    Regression {
        verdict: whole(&changes),
        baseline: options.baseline.clone().unwrap_or_else(|| before.run.clone()),
        baseline_run: Some(before.run.clone()),
        tolerance: options.tolerance,
        unlike,
        notes,
        changes,
    }
}

/// Nothing that counts is no pass.
fn whole(changes: &[Change]) -> Verdict {
    let has = |verdict| changes.iter().any(|change| change.counts && change.verdict == verdict);
    if has(Verdict::Fail) {
        Verdict::Fail
    } else if has(Verdict::Inconclusive) || !has(Verdict::Pass) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}
