//! What is typed for a load test, beyond what a plan reads by itself.

use std::str::FromStr;
use std::time::Duration;

use card_core::time::parse_duration;
use card_loadtests::plan::{InvalidSlo, Model, Slo, Think};
use clap::ValueEnum;

/// A report that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Page with charts, in one file.
    Html,
    /// Markdown, for a page or a comment.
    Md,
    /// Result document.
    Json,
    /// JUnit report, for CI systems.
    Junit,
}

impl Kind {
    /// What its file is called.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Html => "report.html",
            Self::Md => "report.md",
            Self::Json => "result.json",
            Self::Junit => "junit.xml",
        }
    }
}

/// Where the load comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Runner {
    /// Run in this process.
    Local,
    /// Run as a Kubernetes Job beside the platform.
    Job,
}

/// `--slo`: a promise, or the end of those that come by themselves.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Promise {
    /// `none`.
    NoDefaults,
    /// One more, or another than the default.
    Slo(Slo),
}

impl FromStr for Promise {
    type Err = InvalidSlo;

    fn from_str(text: &str) -> Result<Self, InvalidSlo> {
        if text.trim() == "none" { Ok(Self::NoDefaults) } else { text.parse().map(Self::Slo) }
    }
}

/// Text that is no percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a percentage from 0% to 1000%, such as 10% or 2.5%")]
pub(super) struct InvalidPercentage;

/// Reads `10%` as 0.1.
pub(super) fn percentage(text: &str) -> Result<f64, InvalidPercentage> {
    let number = text.trim().strip_suffix('%').ok_or(InvalidPercentage)?.trim_end();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(InvalidPercentage);
    }
    let value: f64 = number.parse().map_err(|_| InvalidPercentage)?;
    if value <= 1000.0 { Ok(value / 100.0) } else { Err(InvalidPercentage) }
}

/// Text that is no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be closed (users wait for their answers) or open (requests arrive at a fixed rate)")]
pub(super) struct InvalidModel;

/// Reads `closed` and `open`.
pub(super) fn model(text: &str) -> Result<Model, InvalidModel> {
    match text {
        "closed" => Ok(Model::Closed),
        "open" => Ok(Model::Open),
        _ => Err(InvalidModel),
    }
}

/// Text that is no size of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be numbers of users, or arrivals per second, separated by commas, such as 10,100,1000")]
pub(super) struct InvalidSize;

/// Reads one step of `10,100,1000`.
pub(super) fn size(text: &str) -> Result<f64, InvalidSize> {
    let number = text.trim();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(InvalidSize);
    }
    number.parse().ok().filter(|size: &f64| size.is_normal()).ok_or(InvalidSize)
}

/// Text that is no rest between two requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration or a range, such as 500ms or 200ms..1s")]
pub(super) struct InvalidThink;

/// Reads `500ms` and `200ms..1s`.
pub(super) fn think(text: &str) -> Result<Think, InvalidThink> {
    const LONGEST: Duration = Duration::from_secs(3600);
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let read = |text| parse_duration(text).map_err(|_| InvalidThink);
    let think = Think { min: read(min)?, max: read(max)? };
    if think.min <= think.max && think.max <= LONGEST { Ok(think) } else { Err(InvalidThink) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_percentage_has_its_sign() {
        for (text, fraction) in [("10%", 0.1), ("0%", 0.0), ("2.5%", 0.025), (" 100 %", 1.0)] {
            assert_eq!(percentage(text), Ok(fraction), "{text}");
        }
        for text in ["", "%", "10", "-1%", "x%", "1e3%", "NaN%", "1001%", "1.2.3%"] {
            assert_eq!(percentage(text), Err(InvalidPercentage), "{text}");
        }
    }

    #[test]
    fn a_time_to_think_is_one_duration_or_two() {
        let millis = |min, max| Ok(Think { min: Duration::from_millis(min), max: Duration::from_millis(max) });
        for (text, read) in [("200ms..1s", millis(200, 1000)), ("500ms", millis(500, 500)), ("0", millis(0, 0))] {
            assert_eq!(think(text), read, "{text}");
        }
        for text in ["", "..", "1s..", "..1s", "1s..200ms", "1..2", "fast", "1s..2s..3s", "2h"] {
            assert_eq!(think(text), Err(InvalidThink), "{text}");
        }
    }

    #[test]
    fn a_size_is_a_number_above_nothing() {
        assert_eq!((size("10"), size(" 0.5")), (Ok(10.0), Ok(0.5)));
        for text in ["", "0", "-1", "ten", "1e3", "NaN", "."] {
            assert_eq!(size(text), Err(InvalidSize), "{text}");
        }
    }

    #[test]
    fn none_takes_the_default_promises_away() {
        assert_eq!("none".parse(), Ok(Promise::NoDefaults));
        assert!("nonsense".parse::<Promise>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC*") {
            let _ = percentage(&text);
            let _ = think(&text);
            let _ = size(&text);
            let _ = text.parse::<Promise>();
        }
    }
}
