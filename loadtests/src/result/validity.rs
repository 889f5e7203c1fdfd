//! Whether the measurements are valid.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;

/// Whether the measurements are valid.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Validity {
    /// `inconclusive` if one of the reasons stands.
    pub verdict: Verdict,
    /// This process's share of all cores, mean over the measured time.
    #[schemars(range(min = 0.0))]
    pub generator_cpu: f64,
    /// The largest second of it.
    #[schemars(range(min = 0.0))]
    pub generator_cpu_max: f64,
    /// How busy the machine was, mean over the measured time; none where that can't be read.
    #[schemars(range(min = 0.0))]
    pub machine_cpu: Option<f64>,
    /// Requests that began later than they should have by more than 10 ms, as a fraction.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub late_starts: f64,
    /// How late a start was: 99 of a hundred were at most this.
    #[schemars(range(min = 0.0))]
    pub late_p99_ms: f64,
    /// Of the planned arrivals, how many were sent (open model), as a fraction.
    #[schemars(range(min = 0.0))]
    pub offered_ratio: Option<f64>,
    /// Whether the limit on requests at once held arrivals back.
    pub held_back: u64,
    /// Requests that this machine could not send; they are no errors and not among those offered.
    #[serde(default)]
    pub unsent: u64,
    /// What it lacked, and how often: `local-files`, `local-ports`, `local-memory`, `local-name`, `local-network`.
    #[serde(default)]
    pub by_lack: BTreeMap<String, u64>,
    /// For how many seconds of the measured time a generator did not run at all: it was stopped, its machine slept, or
    /// others had the processor.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub stood_still_s: f64,
    /// The share of the machine's processor that its host gave to others, mean over the measured time; none where that
    /// can't be read.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub stolen: Option<f64>,
    /// The share of its quota's periods in which a generator's control group had no processor time left, mean over the
    /// measured time; none where there is no quota.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub throttled: Option<f64>,
    /// How often the event stream's past was gone, so that ends were not heard when they happened.
    pub stream_gaps: u64,
    /// How often the event stream broke off and came back without a gap.
    pub stream_reconnects: u64,
    /// Why the event stream was lost for good, if it was.
    pub stream_lost: Option<String>,
    /// Why the figures say nothing.
    pub reasons: Vec<String>,
    /// What should be known when reading them.
    pub notes: Vec<String>,
}
