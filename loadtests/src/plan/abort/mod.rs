//! When to end before the time: `errors>5% for 10s`.
//!
//! ```text
//! condition [for DURATION]
//! ```
//!
//! The condition reads like a promise, but it is bad if it holds. It is looked at second by second, so only figures
//! that a second has can be named, a duration is rounded up to whole seconds, and without one it means one second.

mod watch;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use card_core::time::parse_duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::watch::Watch;
use super::flaw::{Flaw, Part};
use super::{InvalidSlo, Slo, slo};

/// What a second of the timeline has.
const BY_THE_SECOND: &str =
    "a second has errors, accept and e2e (p50 p95 p99), offered, accepted, completed, backlog, oldest-age";

/// Ends a load whose figures are so for so long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AbortRule {
    /// What must be so: read as a promise, but it is bad if it holds.
    pub when: Slo,
    /// For how long, second by second: whole seconds, at least one.
    pub lasting: Duration,
    /// As it was typed.
    pub text: String,
}

/// A text that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidAbortRule {
    /// What is wrong and where, with what is known instead; several lines.
    pub message: String,
}

impl AbortRule {
    /// Begins to look at the seconds of a load.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(self.clone())
    }

    /// The rule's reason to end a load whose figure was `actual`: `errors 7.2% (> 5%) for 10 s`.
    fn reason(&self, actual: f64) -> String {
        let (figure, promised) = (self.when.figure(), self.when.promised());
        format!("{figure} {} ({promised}) for {} s", self.when.describe(actual), self.lasting.as_secs())
    }
}

impl From<InvalidSlo> for InvalidAbortRule {
    fn from(error: InvalidSlo) -> Self {
        Self { message: error.message }
    }
}

impl FromStr for AbortRule {
    type Err = InvalidAbortRule;

    fn from_str(text: &str) -> Result<Self, InvalidAbortRule> {
        let text = text.trim();
        parse(text).map_err(|flaw| InvalidAbortRule { message: flaw.under(text) })
    }
}

/// Reads a rule; `text` has no spaces around it.
fn parse(text: &str) -> Result<AbortRule, Flaw> {
    let (condition, lasting) = match last_for(text) {
        Some(at) => {
            let (condition, lasting) = Part::whole(text).split_at(at);
            (condition.trim(), seconds(lasting.split_at("for".len()).1.trim())?)
        }
        None => (Part::whole(text), Duration::from_secs(1)),
    };
    let when = slo::parse(condition.text)?;
    if !when.is_by_the_second() {
        return Err(condition.flaw(format!("no second has {}", when.figure()), BY_THE_SECOND));
    }
    Ok(AbortRule { when, lasting, text: text.to_owned() })
}

/// Where the word `for` stands, if it does.
fn last_for(text: &str) -> Option<usize> {
    text.rmatch_indices("for").map(|(at, _)| at).find(|at| {
        let (before, after) = (&text[..*at], &text[at + "for".len()..]);
        before.ends_with(char::is_whitespace) && (after.is_empty() || after.starts_with(char::is_whitespace))
    })
}

fn seconds(part: Part<'_>) -> Result<Duration, Flaw> {
    let hint = "add one such as: for 10s";
    if part.text.is_empty() {
        return Err(part.flaw("the duration is missing", hint));
    }
    match parse_duration(part.text) {
        Ok(Duration::ZERO) => Err(part.flaw("the time must be at least 1s", hint)),
        Ok(lasting) => Ok(Duration::from_secs(lasting.as_secs() + u64::from(lasting.subsec_nanos() > 0))),
        Err(error) => Err(part.flaw(format!("{:?} is not a duration", part.text), error.to_string())),
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

#[cfg(test)]
mod tests {
    use card_core::time::format_duration;
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<AbortRule>().expect_err(text).message
    }

    #[test]
    fn a_rule_is_a_condition_and_for_how_long() {
        for (text, condition, lasting) in [
            ("errors>5% for 10s", "errors>5%", 10),
            ("  errors > 5%   for   10s ", "errors > 5%", 10),
            ("e2e.p95>5s", "e2e.p95>5s", 1),
            ("backlog>1000 for 1500ms", "backlog>1000", 2),
            ("oldest-age>1m for 2m", "oldest-age>1m", 120),
            ("accepted<10/s for 0.1s", "accepted<10/s", 1),
        ] {
            let rule: AbortRule = text.parse().unwrap();
            assert_eq!((rule.when.text.as_str(), rule.lasting), (condition, Duration::from_secs(lasting)), "{text}");
            assert_eq!(rule.to_string(), text.trim());
            let json = serde_json::to_string(&rule).unwrap();
            assert_eq!(serde_json::from_str::<AbortRule>(&json).unwrap(), rule);
        }
    }

    #[test]
    fn a_flaw_of_the_condition_is_pointed_at_in_the_whole_text() {
        let expected = "a time needs a unit\n  e2e.p95>5 for 10s\n          ^ us, ms, s or m: 5ms";
        assert_eq!(refusal("e2e.p95>5 for 10s"), expected);
    }

    #[test]
    fn what_no_second_has_is_refused_with_what_it_has() {
        for text in ["dead>1% for 5s", "declined>1%", "e2e.p90>1s", "accept.max>1s", "work.p95>1s", "queue-wait.p50>1s"]
        {
            let message = refusal(text);
            assert!(message.starts_with("no second has") && message.contains(BY_THE_SECOND), "{message}");
        }
        assert!(refusal("e2e-service.p95>1s").contains("no second has e2e-service.p95"));
    }

    #[test]
    fn a_duration_is_needed_after_for() {
        for (text, wrong) in [
            ("errors>5% for", "the duration is missing"),
            ("errors>5% for ten", "\"ten\" is not a duration"),
            ("errors>5% for 10", "\"10\" is not a duration"),
            ("errors>5% for 0s", "must be at least 1s"),
            ("errors>5% for10s", "errors is a share"),
            ("for 10s", "no comparison"),
        ] {
            assert!(refusal(text).contains(wrong), "{text}: {}", refusal(text));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*", lasting in "( for)?\\PC{0,8}") {
            let _ = text.parse::<AbortRule>();
            let _ = format!("errors>5%{lasting}").parse::<AbortRule>();
        }

        #[test]
        fn what_is_printed_is_read_back(percent in 1_u32..100, micros in 1_u64..1_000_000_000) {
            let text = format!("errors>{percent}% for {}", format_duration(Duration::from_micros(micros)));
            let rule: AbortRule = text.parse().unwrap();
            prop_assert_eq!(rule.to_string().parse::<AbortRule>().unwrap(), rule);
        }
    }
}
