//! What was measured over the whole, and the promises about it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use card_client::latency::Percentiles;

/// Histograms: each entry is `[upper bound in ms, how many up to there and above the entry before]`, in order, without
/// empty ones. From the intended start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Of the accept latency.
    pub accept: Vec<(f64, u64)>,
    /// Of the end-to-end latency.
    pub e2e: Vec<(f64, u64)>,
}

/// A second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Requests sent.
    #[schemars(range(min = 0.0))]
    pub offered: f64,
    /// Answered with 202.
    #[schemars(range(min = 0.0))]
    pub accepted: f64,
    /// Tasks that became final.
    #[schemars(range(min = 0.0))]
    pub completed: f64,
}

/// Reads of what users have, by the journeys that read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reads {
    /// Answered.
    pub count: u64,
    /// A second.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub rate: f64,
    /// Of these, with 304.
    pub not_modified: u64,
    /// From the platform's memory, as it says itself.
    #[serde(default)]
    pub cached: u64,
    /// Questions to the ledger that all of them have cost, as the platform says itself.
    #[serde(default)]
    pub ledger_reads: u64,
    /// Request to the whole answer, from when it should have been sent.
    pub ms: Percentiles,
}

/// Requests that failed: orders that were not accepted, reads that were not answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Errors {
    /// Of those sent, as a fraction.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rate: f64,
    /// How many of which problem; `unreachable`, `no-answer` and `protocol` are the client's own, `http-429` and the like
    /// are answers of a proxy in front of the platform.
    pub by_code: BTreeMap<String, u64>,
    /// Sends beyond a request's first: nobody knew whether that was accepted.
    #[serde(default)]
    pub resent: u64,
    /// Requests that were sent more than once.
    #[serde(default)]
    pub repeated: u64,
    /// Every answer that was not the platform's, by HTTP status, whether or not a later send was accepted.
    #[serde(default)]
    pub by_gateway: BTreeMap<String, u64>,
}

/// A promise and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SloResult {
    /// As it was typed.
    pub expr: String,
    /// What was measured, in the promise's unit: milliseconds, a fraction, a second; none without samples.
    pub actual: Option<f64>,
    /// Of how many samples.
    pub n: u64,
    /// Whether it was kept.
    pub verdict: Verdict,
    /// First and last second of the timeline in which it did not hold, for promises that can be looked at by the second.
    pub broken_s: Option<(f64, f64)>,
}
