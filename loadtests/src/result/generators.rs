//! The generators, where several made the load together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of several generators.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Which, from 1.
    pub number: u64,
    /// What its users and tasks are tagged with.
    pub run: String,
    /// Why there is nothing from it; none if its part is in the figures.
    pub missing: Option<String>,
    /// The last lines that it wrote, if it is missing.
    pub last_lines: Vec<String>,
    /// Answered with 202, by its own ledger; none if it is missing, as the following.
    pub accepted: Option<u64>,
    /// Cores that it may use.
    pub cores: Option<u64>,
    /// Its share of them, mean over the measured time.
    #[schemars(range(min = 0.0))]
    pub generator_cpu: Option<f64>,
    /// How far its machine's clock is ahead of the platform's, in milliseconds; negative if it is behind.
    pub clock_ahead_ms: Option<f64>,
    /// By how much that can be wrong, in milliseconds.
    #[schemars(range(min = 0.0))]
    pub clock_within_ms: Option<f64>,
    /// How much later than agreed it began, in milliseconds: the worst of all courses.
    #[schemars(range(min = 0.0))]
    pub late_ms: Option<f64>,
    /// Why its own figures say nothing.
    pub reasons: Vec<String>,
}
