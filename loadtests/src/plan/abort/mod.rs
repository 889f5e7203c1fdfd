//! When to end before the time: `errors>5% for 10s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{InvalidSlo, Slo};

/// Ends a load whose figures are so for so long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AbortRule {
    /// What must be so: read as a promise, but it is bad if it holds.
    pub when: Slo,
    /// For how long, second by second.
    pub lasting: Duration,
    /// As it was typed.
    pub text: String,
}

/// A text that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidAbortRule {
    /// What is wrong, with what is known instead.
    pub message: String,
}

impl From<InvalidSlo> for InvalidAbortRule {
    fn from(error: InvalidSlo) -> Self {
        Self { message: error.message }
    }
}

impl FromStr for AbortRule {
    type Err = InvalidAbortRule;

    fn from_str(text: &str) -> Result<Self, InvalidAbortRule> {
        Err(InvalidAbortRule { message: format!("{text:?} is no rule") })
    }
}

impl fmt::Display for AbortRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for AbortRule {
    type Error = InvalidAbortRule;

    fn try_from(text: String) -> Result<Self, InvalidAbortRule> {
        text.parse()
    }
}

impl From<AbortRule> for String {
    fn from(rule: AbortRule) -> Self {
        rule.text
    }
}
