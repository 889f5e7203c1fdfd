//! What is promised of a load test: `e2e.p95<2s`, `errors<1%`, `accepted>=500/s`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Request to 202, from the intended start.
    Accept,
    /// Request to 202, from when it was really sent.
    AcceptService,
    /// Request to final status, from the intended start.
    EndToEnd,
    /// Request to final status, from when it was really sent.
    EndToEndService,
    /// Accepted until the last attempt began.
    QueueWait,
    /// The last attempt.
    Work,
    /// Requests not accepted, of those sent.
    Errors,
    /// Tasks that died, of those accepted.
    Dead,
    /// Tasks that the issuer declined, of those accepted.
    Declined,
    /// Requests sent a second.
    Offered,
    /// Requests accepted a second.
    Accepted,
    /// Tasks that became final a second.
    Completed,
    /// The largest backlog.
    Backlog,
    /// The largest age of the oldest waiting task.
    OldestAge,
}

/// Which figure of a latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// Half took at most this.
    P50,
    /// Nine of ten took at most this.
    P90,
    /// 95 of a hundred took at most this.
    P95,
    /// 99 of a hundred took at most this.
    P99,
    /// The longest.
    Max,
    /// The mean.
    Mean,
}

/// How the figure is compared with the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// One promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Slo {
    /// What is measured.
    pub metric: Metric,
    /// Which figure of it; a latency and the backlog have several, the others one.
    pub stat: Option<Stat>,
    /// How it is compared.
    pub op: Op,
    /// With what: milliseconds for times, a fraction for shares, a second for rates, a number for the backlog.
    pub bound: f64,
    /// As it was typed.
    pub text: String,
}

/// A text that is no promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidSlo {
    /// What is wrong, with what is known instead.
    pub message: String,
}

impl FromStr for Slo {
    type Err = InvalidSlo;

    fn from_str(text: &str) -> Result<Self, InvalidSlo> {
        Err(InvalidSlo { message: format!("{text:?} is no promise") })
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Slo {
    type Error = InvalidSlo;

    fn try_from(text: String) -> Result<Self, InvalidSlo> {
        text.parse()
    }
}

impl From<Slo> for String {
    fn from(slo: Slo) -> Self {
        slo.text
    }
}
