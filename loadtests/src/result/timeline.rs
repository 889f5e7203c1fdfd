//! Second by second.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// Seconds since the load began, at the end of this one.
    #[schemars(range(min = 0.0))]
    pub t: f64,
    /// How many seconds it stands for: about one.
    pub lasted: f64,
    /// What was going on.
    pub phase: Phase,
    /// Users at once, or arrivals a second, that the plan wanted.
    #[schemars(range(min = 0.0))]
    pub target: f64,
    /// A second, as the three below; without what this machine could not send.
    #[schemars(range(min = 0.0))]
    pub offered: f64,
    /// Answered with 202.
    #[schemars(range(min = 0.0))]
    pub accepted: f64,
    /// Became final, as the sender heard.
    #[schemars(range(min = 0.0))]
    pub completed: f64,
    /// Failed: an order that was not accepted, or a read that was not answered.
    #[schemars(range(min = 0.0))]
    pub errors: f64,
    /// Reads that were answered.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub reads: f64,
    /// Sent again, because nobody knew whether the first time was accepted.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub resent: f64,
    /// Answered by a proxy in front of the platform.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub foreign: f64,
    /// Could not be sent by this machine.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub unsent: f64,
    /// For how long of it the generator did not run, in seconds.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub stood_still: f64,
    /// The share of the machine's processor that its host gave to others; none where that can't be read.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub stolen: Option<f64>,
    /// The share of its quota's periods in which the generator's control group had no processor time left and had to wait
    /// for the next; none where it has no quota.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub throttled: Option<f64>,
    /// Of the accepts of this second, from the intended start; none if there were none.
    #[schemars(range(min = 0.0))]
    pub accept_p50: Option<f64>,
    /// 95 of a hundred.
    #[schemars(range(min = 0.0))]
    pub accept_p95: Option<f64>,
    /// 99 of a hundred.
    #[schemars(range(min = 0.0))]
    pub accept_p99: Option<f64>,
    /// Of the ends of this second, from the intended start; none if there were none.
    #[schemars(range(min = 0.0))]
    pub e2e_p50: Option<f64>,
    /// 95 of a hundred.
    #[schemars(range(min = 0.0))]
    pub e2e_p95: Option<f64>,
    /// 99 of a hundred.
    #[schemars(range(min = 0.0))]
    pub e2e_p99: Option<f64>,
    /// Of the reads of this second; none if there were none.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub read_p50: Option<f64>,
    /// 95 of a hundred.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub read_p95: Option<f64>,
    /// 99 of a hundred.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub read_p99: Option<f64>,
    /// Due or running; none if the platform did not answer.
    pub backlog: Option<u64>,
    /// Age of the oldest task that is due and that nobody works on.
    pub oldest_age_ms: Option<u64>,
    /// Workers alive.
    pub workers: Option<u64>,
    /// Tasks that they hold.
    pub inflight: Option<u64>,
    /// This process's share of all cores.
    #[schemars(range(min = 0.0))]
    pub generator_cpu: f64,
    /// How busy the machine was; none where that can't be read.
    #[schemars(range(min = 0.0))]
    pub machine_cpu: Option<f64>,
}

/// What is going on in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before the measured time.
    #[default]
    Ramp,
    /// The measured time.
    Steady,
    /// Nothing is sent; what was accepted is waited for.
    Drain,
}
