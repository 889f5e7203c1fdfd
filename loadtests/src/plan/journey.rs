//! What a user does, and how often each of it.

use std::fmt;
use std::str::FromStr;

use card_core::tasks::Kind;
use card_kinds::{Registry, add, purchase, replacement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a user does between two rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journey {
    /// Asks for something of a kind; hears of the end on the event stream.
    Order(Kind),
    /// Asks for a new card and asks for its status until it is final.
    SubmitStatus,
    /// Buys something, hears of the end on the event stream, and looks at its history.
    History,
    /// Looks at its history, what it comes to, and its cards.
    Browse,
}

impl Journey {
    /// Asks for a new card; hears of the end on the event stream.
    pub const SUBMIT: Self = Self::Order(replacement::KIND);
    /// Asks for a sum; hears of the end on the event stream.
    pub const ADD: Self = Self::Order(add::KIND);

    /// Buys; hears of the end on the event stream.
    pub const BUY: Self = Self::Order(purchase::KIND);

    /// Every journey: one for each kind, and those that look another way.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all: Vec<_> = Registry::default().all().map(|one| Self::Order(one.kind)).collect();
        all.insert(1, Self::SubmitStatus);
        all.extend([Self::History, Self::Browse]);
        all
    }

    /// Its name: that of the kind, but for `submit`, which asks for a new card.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Order(replacement::KIND) => "submit",
            Self::Order(kind) => kind.as_str(),
            Self::SubmitStatus => "submit-status",
            Self::History => "history",
            Self::Browse => "browse",
        }
    }
}

/// Journeys with weights. Typed as `submit`, `mixed`, or `submit:6,add:1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Mix(Vec<(Journey, u32)>);

/// A text that is no mix of journeys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; journeys are {names} and mixed, or several with weights, such as submit:6,add:1", names = names())]
pub struct InvalidMix(String);

fn names() -> String {
    Journey::all().iter().map(Journey::as_str).collect::<Vec<_>>().join(", ")
}

impl Mix {
    /// One journey alone.
    #[must_use]
    pub fn only(journey: Journey) -> Self {
        Self(vec![(journey, 1)])
    }

    /// Both products, as often.
    #[must_use]
    pub fn products() -> Self {
        Self(vec![(Journey::SUBMIT, 1), (Journey::BUY, 1)])
    }

    /// The mix called `mixed`: six of ten ask and listen, three ask and look, one is the sanity task.
    #[must_use]
    pub fn mixed() -> Self {
        Self(vec![(Journey::SUBMIT, 6), (Journey::SubmitStatus, 3), (Journey::ADD, 1)])
    }

    /// The journeys and their weights; never empty, no weight is 0, no journey comes twice.
    #[must_use]
    pub fn parts(&self) -> &[(Journey, u32)] {
        &self.0
    }

    /// Whether anything is asked for that has to be done, or all of it only looks.
    #[must_use]
    pub fn orders(&self) -> bool {
        self.0.iter().any(|(journey, _)| *journey != Journey::Browse)
    }

    /// The journey for a number: in any stretch of numbers as long as the sum of weights, each comes by its weight.
    #[must_use]
    pub fn pick(&self, number: u64) -> Journey {
        let whole: u64 = self.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut at = number % whole;
        for (journey, weight) in &self.0 {
            match at.checked_sub(u64::from(*weight)) {
                Some(rest) => at = rest,
                None => return *journey,
            }
        }
        self.0[0].0
    }
}

impl FromStr for Mix {
    type Err = InvalidMix;

    fn from_str(text: &str) -> Result<Self, InvalidMix> {
        if text == "mixed" {
            return Ok(Self::mixed());
        }
        let mut parts: Vec<(Journey, u32)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once(':').unwrap_or((part, "1"));
            let journey = Journey::all().into_iter().find(|journey| journey.as_str() == name.trim());
            let journey = journey.ok_or_else(|| InvalidMix(format!("there is no journey {:?}", name.trim())))?;
            let weight = weight.trim().parse().ok().filter(|weight| (1..=1000).contains(weight));
            let weight = weight.ok_or_else(|| InvalidMix(format!("the weight in {part:?} is not 1 to 1000")))?;
            if parts.iter().any(|(named, _)| *named == journey) {
                return Err(InvalidMix(format!("{} is named twice", journey.as_str())));
            }
            parts.push((journey, weight));
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::mixed() {
            return f.write_str("mixed");
        }
        if let [(journey, _)] = self.0.as_slice() {
            return f.write_str(journey.as_str());
        }
        for (index, (journey, weight)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{weight}", journey.as_str())?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Mix {
    type Error = InvalidMix;

    fn try_from(text: String) -> Result<Self, InvalidMix> {
        text.parse()
    }
}

impl From<Mix> for String {
    fn from(mix: Mix) -> Self {
        mix.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mix_is_read_and_written() {
        for text in ["submit", "submit-status", "add", "mixed", "submit:3,add:2", "history:1,browse:9"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        assert_eq!("submit:6,submit-status:3,add:1".parse::<Mix>().unwrap().to_string(), "mixed");
        for text in ["", "submits", "submit:0", "submit:-1", "submit,submit", "submit:x", ",", "submit:1001"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }

    #[test]
    fn journeys_come_by_their_weights() {
        let mix = Mix::mixed();
        let count = |journey| (70..80).filter(|number| mix.pick(*number) == journey).count();
        assert_eq!([Journey::SUBMIT, Journey::SubmitStatus, Journey::ADD].map(count), [6, 3, 1]);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<Mix>();
        }
    }
}
