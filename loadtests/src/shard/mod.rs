//! What a generator leaves behind: everything that it counted, timed and found, before anything is concluded from it.
//!
//! ```text
//! generator 1 ─► shard ─┐
//! generator 2 ─► shard ─┼─► merge ─► Report ─► judge
//! generator 3 ─► shard ─┘
//! ```
//!
//! A load test has one way from its meters to its document: a run of one process is a merge of one shard. So what
//! several generators measured is read as what one measured, and the verdicts know no difference.

mod assignment;
mod figures;
mod merge;
#[cfg(test)]
mod tests;
mod watched;
pub mod wire;

use card_core::time::Instant;
use serde::{Deserialize, Serialize};

pub use self::assignment::{Assignment, InvalidAssignment, ledger_of};
pub use self::figures::Figures;
pub use self::merge::{MergeError, Missing, merge};
pub use self::watched::Watched;
use crate::plan::Plan;
use crate::result::{Audit, Generator, Platform, Sample};
use crate::share::{Share, Skew};
use card_client::recorded::{Packed, Recorded};

/// The version of the document.
pub const VERSION: u32 = 1;

/// One generator's part of a load test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shard {
    /// [`VERSION`].
    pub v: u32,
    /// Which part of the load it made.
    pub share: Share,
    /// The load test.
    pub run: String,
    /// What this generator's users and tasks are tagged with.
    pub own_run: String,
    /// What the requests were made from.
    pub seed: u64,
    /// As it stands in the result.
    pub target: String,
    /// What all of them did together.
    pub plan: Plan,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// From the first request to the end of the audit.
    pub took_ms: u64,
    /// The platform, as this generator saw it.
    pub platform: Platform,
    /// The program and its machine.
    pub generator: Generator,
    /// Tells machines apart; none where that can't be read.
    pub machine: Option<String>,
    /// How far its machine's clock is ahead of the platform's; none if nobody asked.
    pub skew: Option<Skew>,
    /// Why it ended before its time.
    pub ended_early: Option<String>,
    /// One entry for each course that it ran.
    pub courses: Vec<CourseFigures>,
    /// Second by second.
    pub timeline: Vec<Taken>,
    /// How the event stream did.
    pub stream: Stream,
    /// The audit of what it sent.
    pub correctness: Audit,
}

/// What was counted and timed in one course.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CourseFigures {
    /// Users at once, or arrivals a second, of all generators together; 1 if the plan's stages say it themselves.
    pub size: f64,
    /// On the timeline, in seconds: when it began.
    pub from_s: f64,
    /// On the timeline, in seconds: when its figures begin, and when it ended.
    pub measured_s: (f64, f64),
    /// Arrivals that were planned for the measured time (open model), up to where it ended.
    pub planned: Option<u64>,
    /// The rule that ended it before its time.
    pub aborted: Option<String>,
    /// When it began by the platform's clock; none without others to begin with.
    pub begun_at: Option<Instant>,
    /// How much later than it should have, in milliseconds.
    pub late_ms: f64,
    /// Requests that were to begin in the measured time.
    pub steady: Figures,
    /// Those before it.
    pub ramp: Figures,
}

/// A second, and how long its requests took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// The second.
    pub sample: Sample,
    /// Its accepts, from the intended start; none if there were none, or nobody else's come to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<Packed>,
    /// Its ends, from the intended start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2e: Option<Packed>,
    /// Its reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Packed>,
}

/// How the event stream did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// How often its past was gone.
    pub gaps: u64,
    /// How often it broke off and came back.
    pub reconnects: u64,
    /// Why it was lost for good, if it was.
    pub lost: Option<String>,
}

impl Taken {
    /// The same with what it takes to add others to it.
    #[must_use]
    pub fn with(self, accepts: &Recorded, ends: &Recorded, reads: &Recorded) -> Self {
        let packed = |recorded: &Recorded| (!recorded.is_empty()).then(|| recorded.coarse().pack());
        Self { accept: packed(accepts), e2e: packed(ends), read: packed(reads), ..self }
    }
}

impl Shard {
    /// Leaves out how long the requests of single seconds took: where there is no room, the slowest generator's
    /// percentiles have to do for the timeline. The figures of the run keep all of theirs.
    pub fn thin(&mut self) {
        for taken in &mut self.timeline {
            (taken.accept, taken.e2e, taken.read) = (None, None, None);
        }
    }
}
