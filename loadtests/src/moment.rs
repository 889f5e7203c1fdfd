//! What can be seen of a load test while it runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::result::Sample;
use card_client::latency::Percentiles;

/// What is being done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doing {
    /// Users are generated, the event stream is opened.
    #[default]
    Preparing,
    /// The load rises.
    Ramp,
    /// The load that is measured.
    Steady,
    /// What was accepted is waited for.
    Drain,
    /// All is final; what comes late and twice is watched for.
    Settle,
    /// The platform's ledger is read and compared.
    Audit,
}

/// Which step of several.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AtStep {
    /// Counts from 1.
    pub number: usize,
    /// How many there are; none if that is found on the way.
    pub of: Option<usize>,
    /// Users, or arrivals a second.
    pub size: f64,
}

/// A look at a load test. A new one comes several times a second.
#[derive(Debug, Clone, Default)]
pub struct Moment {
    /// What is being done.
    pub doing: Doing,
    /// Since the load began.
    pub elapsed: Duration,
    /// How long the present course takes; zero where that is not known.
    pub course: Duration,
    /// How much of it is over.
    pub into_course: Duration,
    /// Which step of several.
    pub step: Option<AtStep>,
    /// The last whole second; none before the first.
    pub second: Option<Sample>,
    /// Sent so far.
    pub offered: u64,
    /// Accepted so far.
    pub accepted: u64,
    /// Final so far, as the sender heard.
    pub completed: u64,
    /// Not accepted so far.
    pub errors: u64,
    /// Request to 202, from the intended start, of the last seconds.
    pub accept: Percentiles,
    /// Request to final status, from the intended start, of the last seconds.
    pub e2e: Percentiles,
    /// The backlog, second by second, the newest last; at most 60.
    pub backlog: Vec<u64>,
    /// The rule that ended the present course before its time, if one did.
    pub broken: Option<String>,
}
