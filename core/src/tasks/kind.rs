//! The name of what a task does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// Letters of the longest name.
const LIMIT: usize = 23;

/// What a task does, by its name on the wire: kebab-case, at most 23 letters.
///
/// Any name can be held: a process passes kinds through that only newer ones know. Which there are, and what each means,
/// is the registry's affair (package `card-kinds`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// The name, then zeros.
    bytes: [u8; LIMIT],
    length: u8,
}

impl Kind {
    /// The kind with a name that is known to be one.
    ///
    /// # Panics
    /// It is none: at compile time, if it is a constant.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        match Self::of(name.as_bytes()) {
            Some(kind) => kind,
            None => panic!("the name of a kind is kebab-case: a-z, 0-9 and single dashes, at most 23"),
        }
    }

    const fn of(name: &[u8]) -> Option<Self> {
        if name.is_empty() || name.len() > LIMIT {
            return None;
        }
        let mut bytes = [0; LIMIT];
        let mut at = 0;
        while at < name.len() {
            let byte = name[at];
            let is_dash = byte == b'-' && at > 0 && at + 1 < name.len() && name[at - 1] != b'-';
            if !(byte.is_ascii_lowercase() || (byte.is_ascii_digit() && at > 0) || is_dash) {
                return None;
            }
            bytes[at] = byte;
            at += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most LIMIT")]
        let length = name.len() as u8;
        Some(Self { bytes, length })
    }

    /// Whether two are one, also where constants are made.
    #[must_use]
    pub const fn is_same(self, other: Self) -> bool {
        let mut at = 0;
        while at < LIMIT {
            if self.bytes[at] != other.bytes[at] {
                return false;
            }
            at += 1;
        }
        true
    }

    /// The name on the wire, in logs and in metrics.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // What was taken in is ASCII.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that can't be the name of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of a kind: a-z, 0-9 and single dashes, at most 23")]
pub struct NoKind;

impl FromStr for Kind {
    type Err = NoKind;

    fn from_str(text: &str) -> Result<Self, NoKind> {
        Self::of(text.as_bytes()).ok_or(NoKind)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

// By hand: a name, not an object of bytes.
impl utoipa::PartialSchema for Kind {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("What a task does; docs/reference/kinds.md lists the kinds"))
            .pattern(Some("^[a-z](-?[a-z0-9])*$"))
            .max_length(Some(LIMIT))
            .examples(["replacement"])
            .into()
    }
}

impl ToSchema for Kind {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_survives_the_wire(name in "[a-z](-?[a-z0-9]){0,10}") {
            let kind: Kind = name.parse().unwrap();
            prop_assert_eq!(kind.as_str(), &name);
            let json = serde_json::to_string(&kind).unwrap();
            prop_assert_eq!(&json, &format!("\"{name}\""));
            prop_assert_eq!(serde_json::from_str::<Kind>(&json).unwrap(), kind);
        }

        #[test]
        fn kinds_are_ordered_as_their_names(one in "[a-z]{1,23}", other in "[a-z]{1,23}") {
            prop_assert_eq!(
                one.parse::<Kind>().unwrap().cmp(&other.parse::<Kind>().unwrap()),
                one.cmp(&other)
            );
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(LIMIT + 1);
        for text in ["", "Add", "-add", "add-", "a--b", "1st", "a b", "a_b", "äh", "a\0", &long] {
            assert_eq!(text.parse::<Kind>(), Err(NoKind), "{text:?}");
        }
    }
}
