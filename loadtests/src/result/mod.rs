//! `result.json`: what a load test found, as one document. Reports are made of it and of nothing else.
//!
//! Programs depend on it: fields are added, never renamed or taken away within version 1. Its JSON schema is published
//! as `docs/schemas/loadtest-result.schema.json`. Times are milliseconds, shares are fractions of 1, rates are a
//! second, unless a name says otherwise.

mod figures;
mod generators;
mod regression;
mod schema;
mod steps;
mod timeline;
mod validity;

pub use card_client::audit::{Audit, Finding, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::figures::{Distribution, Errors, Rates, Reads, SloResult};
pub use self::generators::Part;
pub use self::regression::{Change, Regression};
pub use self::schema::schema;
pub use self::steps::{Breakpoint, Step};
pub use self::timeline::{Phase, Sample};
pub use self::validity::Validity;
use crate::plan::Plan;
use card_client::latency::Percentiles;

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The version of this format: 1.
    #[schemars(extend("const" = 1))]
    pub v: u32,
    /// The run: tasks and users carry it.
    pub run: String,
    /// What the requests were made from.
    pub seed: u64,
    /// `embedded`, or the URL that was asked for.
    pub target: String,
    /// When it began, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: String,
    /// From the first request to the end of the audit.
    pub took_ms: u64,
    /// The platform that was tested.
    pub platform: Platform,
    /// The machine that the load came from.
    pub generator: Generator,
    /// What was done.
    pub plan: Plan,
    /// All verdicts in one.
    pub verdict: Verdict,
    /// The exit code that goes with it.
    pub exit: u8,
    /// Why it ended before its time: an interruption, or the rule that was broken.
    pub ended_early: Option<String>,
    /// The audit: whether what was accepted was done, once.
    pub correctness: Audit,
    /// Request to 202, from when it was really sent.
    pub accept_ms: Percentiles,
    /// Request to 202, from when it should have been sent: free of coordinated omission.
    pub accept_intended_ms: Percentiles,
    /// Request to final status as the sender heard it, from when it was really sent.
    pub e2e_ms: Percentiles,
    /// The same from when it should have been sent.
    pub e2e_intended_ms: Percentiles,
    /// Accepted until the last attempt began, by the platform's clock.
    pub queue_wait_ms: Percentiles,
    /// The last attempt, by the platform's clock.
    pub work_ms: Percentiles,
    /// A look at a task's status, by the journey that looks (`submit-status`); none without.
    pub status_ms: Option<Percentiles>,
    /// Reads of what users have, by the journeys that read (`history`, `browse`); none without.
    #[serde(default)]
    pub reads: Option<Reads>,
    /// How the latencies are spread.
    pub distribution: Distribution,
    /// A second, over the measured time.
    pub rates: Rates,
    /// Requests that were not accepted.
    pub errors: Errors,
    /// The promises.
    pub slo: Vec<SloResult>,
    /// One entry a step; empty without steps.
    pub steps: Vec<Step>,
    /// What a search for the limit found.
    pub breakpoint: Option<Breakpoint>,
    /// Whether the measurements are valid.
    pub validity: Validity,
    /// Against a baseline, if one was asked for.
    pub regression: Option<Regression>,
    /// The generators, where several made the load together; empty for one alone.
    #[serde(default)]
    pub generators: Vec<Part>,
    /// Second by second.
    pub timeline: Vec<Sample>,
}

/// The platform that was tested, as it says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Platform {
    /// Where it is.
    pub url: String,
    /// Its version, if it says.
    pub version: Option<String>,
    /// Its workers when the load began.
    pub workers: Option<u64>,
}

/// The machine that the load came from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// This program's version.
    pub version: String,
    /// Cores that it may use.
    pub cores: u64,
    /// Whether the platform is on the same machine: then they take the processor from each other.
    pub shared: bool,
}
