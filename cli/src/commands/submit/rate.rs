//! How many a second.

use std::str::FromStr;
use std::time::Duration;

/// A pace such as `50/s` or `3000/m`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    per_second: f64,
}

/// Text that is not a pace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a rate above 0, such as 50/s or 600/m")]
pub struct InvalidRate;

impl Rate {
    /// So many a second, a number above 0.
    #[must_use]
    pub const fn a_second(per_second: f64) -> Self {
        Self { per_second }
    }

    /// As a number.
    #[must_use]
    pub const fn per_second(self) -> f64 {
        self.per_second
    }

    /// When the one with this number (from 0) is due, counted from the beginning.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 here")]
    pub fn due(self, number: u64) -> Duration {
        Duration::try_from_secs_f64(number as f64 / self.per_second).unwrap_or(Duration::MAX)
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (number, seconds) = match text.split_once('/') {
            None | Some((_, "s")) => (text.trim_end_matches("/s"), 1.0),
            Some((number, "m")) => (number, 60.0),
            Some((number, "h")) => (number, 3600.0),
            Some(_) => return Err(InvalidRate),
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(InvalidRate);
        }
        let per_second = number.parse::<f64>().map_err(|_| InvalidRate)? / seconds;
        if per_second.is_normal() && per_second <= 1e6 { Ok(Self { per_second }) } else { Err(InvalidRate) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rate_is_read_as_people_write_it() {
        for (text, per_second) in [("50/s", 50.0), ("50", 50.0), ("600/m", 10.0), ("0.5/s", 0.5), ("3600/h", 1.0)] {
            assert_eq!(text.parse(), Ok(Rate { per_second }), "{text}");
        }
        for text in ["", "0", "-1/s", "x/s", "5/d", "/s", "1e9", "inf", "NaN", "5/s/s", "99999999"] {
            assert_eq!(text.parse::<Rate>(), Err(InvalidRate), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_rate_parser_panic(text in "\\PC*") {
            let _ = text.parse::<Rate>().map(|rate| rate.due(1000));
        }
    }
}
