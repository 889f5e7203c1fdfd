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
mod words;

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::figure::{described, grouped, percent};
pub(super) use self::parse::parse;
pub use self::words::{Metric, Op, Stat, Unit};

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

    /// A figure for people: `2.31 s`, `0.4%`, `512/s`. With three digits, or more where three would look kept and
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

    /// Whether both are about the same figure from the same side: then one that is typed takes the place of a built-in.
    #[must_use]
    pub fn rivals(&self, other: &Self) -> bool {
        (self.metric, self.stat, self.op.is_floor()) == (other.metric, other.stat, other.op.is_floor())
    }
}

impl Slo {
    /// Whether it is about the same as the other, and easier to keep.
    #[must_use]
    pub fn is_weaker_than(&self, other: &Self) -> bool {
        let (mine, its) = if self.op.is_floor() { (other.bound, self.bound) } else { (self.bound, other.bound) };
        let includes = |slo: &Self| matches!(slo.op, Op::AtMost | Op::AtLeast);
        self.rivals(other) && (mine > its || (mine == its && includes(self) && !includes(other)))
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
