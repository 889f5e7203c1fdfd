//! What the issuer answered, counted.

use card_core::telemetry::metrics::ISSUER_ANSWERS;
use metrics::{Counter, counter};

/// A counter for each outcome, looked up once.
pub(crate) struct Answers {
    pub(crate) issued: Counter,
    pub(crate) declined: Counter,
    pub(crate) unavailable: Counter,
    pub(crate) garbage: Counter,
}

impl Answers {
    pub(crate) fn new() -> Self {
        let outcome = |outcome: &'static str| counter!(ISSUER_ANSWERS, "outcome" => outcome);
        Self {
            issued: outcome("issued"),
            declined: outcome("declined"),
            unavailable: outcome("unavailable"),
            garbage: outcome("garbage"),
        }
    }
}
