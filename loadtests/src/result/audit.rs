//! What the audit found.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;

/// The audit's figures. `accepted` = `succeeded` + `declined` + `dead` + `cancelled` + `lost` + `duplicate` + `stuck` +
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
    /// Sound, and an operator called it off.
    #[serde(default)]
    pub cancelled: u64,
    /// Accepted, and gone.
    pub lost: u64,
    /// More than one outcome or effect, or a task that nobody asked for.
    pub duplicate: u64,
    /// Not final when the drain was over.
    pub stuck: u64,
    /// Could not find out.
    pub unverified: u64,
    /// Requests whose answer never came: no loss, but it is unknown whether they were accepted.
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

impl Correctness {
    /// How many ended as they should.
    #[must_use]
    pub const fn sound(&self) -> u64 {
        self.succeeded + self.declined + self.dead + self.cancelled
    }
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
