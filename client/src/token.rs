//! Bearer tokens, kept so that they can't be printed by accident (P7).

use reqwest::header::HeaderValue;
use serde::{Deserialize, Deserializer};

/// A bearer token. It has neither `Debug` nor `Display` nor `Serialize`, so it can't reach a log or a report.
///
/// Kept as the header that it is sent as: a load sends each thousands of times.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Option<HeaderValue>);

impl Token {
    /// From its text.
    pub fn new(text: impl AsRef<str>) -> Self {
        let header = HeaderValue::try_from(format!("Bearer {}", text.as_ref())).ok();
        Self(header.map(|mut header| {
            header.set_sensitive(true);
            header
        }))
    }

    /// The value of the `Authorization` header; none if the text can't stand in a header.
    #[must_use]
    pub fn header(&self) -> Option<&HeaderValue> {
        self.0.as_ref()
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
