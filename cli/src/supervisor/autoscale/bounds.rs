//! `MIN..MAX`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::supervisor::WORKERS_MAX;

/// How few and how many workers there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// At least.
    pub min: usize,
    /// At most.
    pub max: usize,
}

impl FromStr for Bounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (min, max) = text.split_once("..")?;
            Some(Self { min: min.trim().parse().ok()?, max: max.trim().trim_start_matches('=').parse().ok()? })
        };
        let bounds = read().ok_or("use MIN..MAX, such as 1..8")?;
        if bounds.min < 1 || bounds.max > WORKERS_MAX {
            return Err(format!("must be 1 to {WORKERS_MAX} workers"));
        }
        if bounds.min > bounds.max {
            return Err(format!("{} is more than {}", bounds.min, bounds.max));
        }
        Ok(bounds)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_and_shown_alike() {
        assert_eq!("1..8".parse::<Bounds>().unwrap().to_string(), "1..8");
        assert_eq!("3..3".parse::<Bounds>(), Ok(Bounds { min: 3, max: 3 }));
        for text in ["", "8", "0..2", "4..2", "1..65", "a..b", "1...4"] {
            assert!(text.parse::<Bounds>().is_err(), "{text}");
        }
    }
}
