//! What the bureau answered, counted.

use card_core::telemetry::metrics::ISSUER_ANSWERS;
use metrics::{Counter, counter};

/// A counter for each outcome, looked up once.
pub(super) struct Answers {
    pub(super) issued: Counter,
    pub(super) declined: Counter,
    pub(super) unavailable: Counter,
    pub(super) garbage: Counter,
}

impl Answers {
    pub(super) fn new() -> Self {
        let outcome = |outcome: &'static str| counter!(ISSUER_ANSWERS, "outcome" => outcome);
        Self {
            issued: outcome("issued"),
            declined: outcome("declined"),
            unavailable: outcome("unavailable"),
            garbage: outcome("garbage"),
        }
    }
}
