//! `result.json`: what a load test found, as one document. Reports are made of it and of nothing else.
//!
//! Programs depend on it: fields are added, never renamed or taken away within version 1. Its JSON schema is published
//! as `docs/schemas/loadtest-result.schema.json`. Times are milliseconds, shares are fractions of 1, rates are a
//! second, unless a name says otherwise.

mod schema;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::schema::schema;
use crate::latency::Percentiles;
use crate::plan::Plan;

/// A judgement in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// Could not find out, or what was found says nothing.
    #[default]
    Inconclusive,
}

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
    pub correctness: Correctness,
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
    /// Whether the figures can be believed.
    pub validity: Validity,
    /// Against a baseline, if one was asked for.
    pub regression: Option<Regression>,
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

/// The audit's figures. `accepted` = `succeeded` + `declined` + `dead` + `lost` + `duplicate` + `stuck` +
/// `unverified`, except that a task beyond the accepted ones counts under `duplicate` alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Correctness {
    /// What follows from them.
    pub verdict: Verdict,
    /// Answered with 202, by the sender's own ledger.
    pub accepted: u64,
    /// Sound and succeeded.
    pub succeeded: u64,
    /// Sound, and the issuer said no.
    pub declined: u64,
    /// Sound, and the platform gave up: a dead letter.
    pub dead: u64,
    /// Accepted, and gone.
    pub lost: u64,
    /// More than one outcome or effect, or a task that nobody asked for.
    pub duplicate: u64,
    /// Not final when the drain was over.
    pub stuck: u64,
    /// Could not find out.
    pub unverified: u64,
    /// Requests whose answer never came: no loss, but nobody knows whether they were accepted.
    pub unanswered: u64,
    /// From the last request to the last final status.
    pub drain_ms: u64,
    /// For how long it was watched after that.
    pub settle_ms: u64,
    /// How long reading and comparing took.
    pub audit_ms: u64,
    /// Some of the ids that are not sound, with the evidence.
    pub findings: Vec<Finding>,
    /// Why something could not be found out.
    pub unverified_reason: Option<String>,
}

/// One id that is not sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The task's id.
    pub task: String,
    /// `lost`, `duplicate` or `stuck`.
    pub verdict: String,
    /// The evidence, in words.
    pub detail: String,
}

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

/// Requests that were not accepted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Errors {
    /// Of those sent, as a fraction.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rate: f64,
    /// How many of which problem; `unreachable`, `no-answer` and `protocol` are the client's own.
    pub by_code: BTreeMap<String, u64>,
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
    /// Which resource was the limit: `workers`, `issuer`, `processor`, `admission`, `ledger`, `generator`, `unknown`.
    pub limit: Option<String>,
    /// The evidence for that, in words.
    pub because: Option<String>,
}

/// Whether the figures can be believed.
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
    /// A second, as the three below.
    #[schemars(range(min = 0.0))]
    pub offered: f64,
    /// Answered with 202.
    #[schemars(range(min = 0.0))]
    pub accepted: f64,
    /// Became final, as the sender heard.
    #[schemars(range(min = 0.0))]
    pub completed: f64,
    /// Not accepted.
    #[schemars(range(min = 0.0))]
    pub errors: f64,
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
