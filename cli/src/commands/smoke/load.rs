//! The size of a load as it is typed: `10u/10s`.

use std::str::FromStr;
use std::time::Duration;

use card_core::time::parse_duration;

/// Users and duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Users at once.
    pub users: u64,
    /// For how long.
    pub duration: Duration,
}

/// Text that is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be users and a duration, such as 10u/10s; at most 10000u and 1h")]
pub struct InvalidSize;

impl FromStr for Size {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let (users, duration) = text.split_once("u/").ok_or(InvalidSize)?;
        let users = users.parse().ok().filter(|users| (1..=10_000).contains(users)).ok_or(InvalidSize)?;
        let duration = parse_duration(duration).map_err(|_| InvalidSize)?;
        let bounds = Duration::from_millis(1)..=Duration::from_secs(3600);
        if bounds.contains(&duration) { Ok(Self { users, duration }) } else { Err(InvalidSize) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_size_is_users_and_a_duration() {
        assert_eq!("10u/10s".parse(), Ok(Size { users: 10, duration: Duration::from_secs(10) }));
        for text in ["", "10", "10u", "u/1s", "0u/1s", "1u/0", "1u/2h", "1u/x", "99999u/1s", "-1u/1s"] {
            assert_eq!(text.parse::<Size>(), Err(InvalidSize), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_size_parser_panic(text in "\\PC*") {
            let _ = text.parse::<Size>();
        }
    }
}
