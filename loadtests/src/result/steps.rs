//! A load of several sizes, and the search for the limit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Rates, Reads, Verdict};
use card_client::latency::Percentiles;

/// One step of a rising load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Users at once; none in the open model.
    pub users: Option<u64>,
    /// Arrivals a second; none in the closed model.
    #[schemars(range(min = 0.0))]
    pub rate: Option<f64>,
    /// When its course began, in seconds on the timeline.
    #[schemars(range(min = 0.0))]
    pub from_s: f64,
    /// When its course ended.
    #[schemars(range(min = 0.0))]
    pub to_s: f64,
    /// All figures of the accepts from the intended start, for promises about other percentiles than those below.
    pub accept_intended_ms: Percentiles,
    /// The same from when they were really sent.
    pub accept_ms: Percentiles,
    /// End to end, from the intended start.
    pub e2e_intended_ms: Percentiles,
    /// End to end, from when they were really sent.
    pub e2e_ms: Percentiles,
    /// Accepted until the last attempt began.
    pub queue_wait_ms: Percentiles,
    /// The last attempt.
    pub work_ms: Percentiles,
    /// Reads, by the journeys that read; none if there were none.
    #[serde(default)]
    pub reads: Option<Reads>,
    /// Half of the accepts took at most this, from the intended start.
    #[schemars(range(min = 0.0))]
    pub accept_p50: f64,
    /// 95 of a hundred did.
    #[schemars(range(min = 0.0))]
    pub accept_p95: f64,
    /// 99 of a hundred did.
    #[schemars(range(min = 0.0))]
    pub accept_p99: f64,
    /// The same, end to end.
    #[schemars(range(min = 0.0))]
    pub e2e_p50: f64,
    /// 95 of a hundred.
    #[schemars(range(min = 0.0))]
    pub e2e_p95: f64,
    /// 99 of a hundred.
    #[schemars(range(min = 0.0))]
    pub e2e_p99: f64,
    /// How many accepts were measured.
    pub n: u64,
    /// How many ends were measured.
    pub e2e_n: u64,
    /// 95 of a hundred waited at most this in the queue.
    #[schemars(range(min = 0.0))]
    pub queue_wait_p95: f64,
    /// 95 of a hundred last attempts took at most this.
    #[schemars(range(min = 0.0))]
    pub work_p95: f64,
    /// Over its measured time.
    pub rates: Rates,
    /// Of those sent, as a fraction.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub error_rate: f64,
    /// The error that came most often.
    pub main_error: Option<String>,
    /// Of all answers, how many were not the platform's, as a fraction.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub foreign_ratio: f64,
    /// The status that came most often among those.
    #[serde(default)]
    pub main_foreign: Option<String>,
    /// Of those sent, how many were sent more than once, as a fraction.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub repeated_ratio: f64,
    /// Requests that this machine could not send.
    #[serde(default)]
    pub unsent: u64,
    /// Arrivals that began late, as a fraction.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub late_starts: f64,
    /// Of its planned arrivals, how many were sent (open model), as a fraction.
    #[schemars(range(min = 0.0))]
    pub offered_ratio: Option<f64>,
    /// The generator's share of the machine, mean over the measured time.
    #[schemars(range(min = 0.0))]
    pub generator_cpu: f64,
    /// How busy the machine was, mean over the measured time; none where that can't be read.
    #[schemars(range(min = 0.0))]
    pub machine_cpu: Option<f64>,
    /// How much the backlog grew over the measured time; none where it can't be read.
    pub backlog_growth: Option<f64>,
    /// Accept p95 against the first step, as a fraction: 0.1 is ten percent slower. None for the first.
    pub degradation: Option<f64>,
    /// Accept p50 against the first step.
    pub degradation_p50: Option<f64>,
    /// End-to-end p95 against the first step.
    pub degradation_e2e: Option<f64>,
    /// Read p95 against the first step.
    #[serde(default)]
    pub degradation_read: Option<f64>,
    /// The rule that ended it before its time.
    pub ended_early: Option<String>,
    /// Whether the promises (and the bound on degradation) hold at this size.
    pub verdict: Verdict,
    /// What broke, or why it could not be judged.
    pub broke: Option<String>,
}

/// What a search for the limit found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Breakpoint {
    /// The largest size at which everything held: users, or arrivals a second. None if the first did not.
    #[schemars(range(min = 0.0))]
    pub holds: Option<f64>,
    /// The smallest at which something broke; none if nothing did.
    #[schemars(range(min = 0.0))]
    pub breaks: Option<f64>,
    /// What broke.
    pub broke: Option<String>,
    /// Accepted a second at the largest size that held.
    #[schemars(range(min = 0.0))]
    pub accepted: Option<f64>,
    /// Which resource was the limit: `gateway`, `generator`, `admission`, `processor`,
    /// `workers`, `issuer`, `ledger`, `unknown`.
    pub limit: Option<String>,
    /// The evidence for that, in words.
    pub because: Option<String>,
}
