//! Bearer tokens, kept so that they can't be printed by accident (P7).

use std::sync::Arc;

use serde::{Deserialize, Deserializer};

/// A bearer token. It has neither `Debug` nor `Display` nor `Serialize`, so it can't reach a log or a report.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// From its text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for the `Authorization` header and nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// On whose behalf a call is made.
#[derive(Clone, Copy)]
pub enum Caller<'a> {
    /// Nobody's: no `Authorization` header.
    Nobody,
    /// The operator's.
    Operator,
    /// A user's.
    User(&'a Token),
}
