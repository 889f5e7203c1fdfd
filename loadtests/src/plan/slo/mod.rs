//! What is promised of a load test: `e2e.p95<2s`, `errors<1%`, `accepted>=500/s`.
//!
//! ```text
//! metric[.statistic] op bound
//! ```
//!
//! Owns the grammar and what a promise says of a figure; where the figure comes from is [`crate::judge`]'s. Times are
//! judged from when a request should have been sent; `-service` metrics from when it really was.

mod figure;
mod parse;
mod second;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::figure::{described, grouped, percent};
pub(super) use self::parse::parse;

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

/// What a figure is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds; typed with a unit.
    Time,
    /// A fraction of 1; typed as such or in percent.
    Share,
    /// A second; typed so, a minute, or plain.
    Rate,
    /// A plain number.
    Count,
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
    /// Which figure of it; every latency has one, nothing else has.
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
    /// What is wrong and where, with what is known instead; several lines.
    pub message: String,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 14] = [
        Self::Accept,
        Self::EndToEnd,
        Self::AcceptService,
        Self::EndToEndService,
        Self::QueueWait,
        Self::Work,
        Self::Errors,
        Self::Dead,
        Self::Declined,
        Self::Offered,
        Self::Accepted,
        Self::Completed,
        Self::Backlog,
        Self::OldestAge,
    ];

    /// Its name in the grammar.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::AcceptService => "accept-service",
            Self::EndToEnd => "e2e",
            Self::EndToEndService => "e2e-service",
            Self::QueueWait => "queue-wait",
            Self::Work => "work",
            Self::Errors => "errors",
            Self::Dead => "dead",
            Self::Declined => "declined",
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Completed => "completed",
            Self::Backlog => "backlog",
            Self::OldestAge => "oldest-age",
        }
    }

    /// What it is counted in.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Errors | Self::Dead | Self::Declined => Unit::Share,
            Self::Offered | Self::Accepted | Self::Completed => Unit::Rate,
            Self::Backlog => Unit::Count,
            _ => Unit::Time,
        }
    }

    /// Whether it is measured request by request, so that it has statistics.
    #[must_use]
    pub const fn is_latency(self) -> bool {
        matches!(self.unit(), Unit::Time) && !matches!(self, Self::OldestAge)
    }
}

impl Stat {
    /// Every statistic.
    pub const ALL: [Self; 6] = [Self::P50, Self::P90, Self::P95, Self::P99, Self::Max, Self::Mean];

    /// Its name in the grammar.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
            Self::Mean => "mean",
        }
    }
}

impl Op {
    /// Every comparison.
    pub const ALL: [Self; 4] = [Self::Less, Self::AtMost, Self::More, Self::AtLeast];

    /// As it is typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    /// Whether it asks for at least something, and not for at most.
    #[must_use]
    pub const fn is_floor(self) -> bool {
        matches!(self, Self::More | Self::AtLeast)
    }
}

impl Slo {
    /// What is promised where nothing else is said.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        Self::known(&["errors<1%", "dead<1%"])
    }

    /// Promises that stand in this program.
    pub(super) fn known(texts: &[&str]) -> Vec<Self> {
        texts.iter().map(|text| text.parse().unwrap_or_else(|error| unreachable!("{error}"))).collect()
    }

    /// Whether the promise is kept by a figure, which is in the unit of [`Slo::bound`].
    #[must_use]
    pub fn holds(&self, actual: f64) -> bool {
        match self.op {
            Op::Less => actual < self.bound,
            Op::AtMost => actual <= self.bound,
            Op::More => actual > self.bound,
            Op::AtLeast => actual >= self.bound,
        }
    }

    /// What its figure is counted in.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        self.metric.unit()
    }

    /// Whether it is about a latency.
    #[must_use]
    pub const fn is_latency(&self) -> bool {
        self.metric.is_latency()
    }

    /// The bound of a promise about a latency, in milliseconds.
    #[must_use]
    pub fn bound_ms(&self) -> Option<f64> {
        self.is_latency().then_some(self.bound)
    }

    /// What is looked at: `e2e.p95`, `errors`.
    #[must_use]
    pub fn figure(&self) -> String {
        match self.stat {
            Some(stat) => format!("{}.{}", self.metric.as_str(), stat.as_str()),
            None => self.metric.as_str().to_owned(),
        }
    }

    /// A figure for people: `2.31 s`, `0.4 %`, `512/s`. With three digits, or more where three would look kept and
    /// are not.
    #[must_use]
    pub fn describe(&self, actual: f64) -> String {
        figure::describe(self.unit(), actual, |shown| self.holds(shown) == self.holds(actual))
    }

    /// The bound for people: `< 2 s`.
    #[must_use]
    pub fn promised(&self) -> String {
        format!("{} {}", self.op.as_str(), self.describe(self.bound))
    }

    /// Whether both are about the same figure from the same side: then the later one replaces the earlier.
    #[must_use]
    pub fn rivals(&self, other: &Self) -> bool {
        (self.metric, self.stat, self.op.is_floor()) == (other.metric, other.stat, other.op.is_floor())
    }
}

impl FromStr for Slo {
    type Err = InvalidSlo;

    fn from_str(text: &str) -> Result<Self, InvalidSlo> {
        let text = text.trim();
        parse(text).map_err(|flaw| InvalidSlo { message: flaw.under(text) })
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
