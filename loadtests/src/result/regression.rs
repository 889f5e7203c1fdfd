//! Against a baseline.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;

/// Against a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Regression {
    /// `inconclusive` if the two can't be compared.
    pub verdict: Verdict,
    /// The baseline: its file, and its run if it could be read.
    pub baseline: String,
    /// The baseline's run.
    pub baseline_run: Option<String>,
    /// What is taken as no difference, as a fraction.
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
    /// Why the two can't be compared; empty if they can.
    pub unlike: Vec<String>,
    /// What should be known, such as another machine or version.
    pub notes: Vec<String>,
    /// Figure by figure.
    pub changes: Vec<Change>,
}

/// One figure of two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Such as `accept.p95`, `e2e.p50`, `completed`, `errors`.
    pub figure: String,
    /// In the baseline.
    pub before: f64,
    /// In this run.
    pub after: f64,
    /// Relative; positive is more. None if the baseline has 0.
    pub change: Option<f64>,
    /// How much it moves by itself between such runs, as a fraction (`errors`: as a difference of fractions); none if that
    /// can't be told.
    #[schemars(range(min = 0.0))]
    pub noise: Option<f64>,
    /// `fail` is a regression, `inconclusive` more than the tolerance and within the noise.
    pub verdict: Verdict,
    /// Whether it counts for the verdict (`--fail-on`).
    pub counts: bool,
}
