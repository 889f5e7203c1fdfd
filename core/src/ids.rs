//! Identifiers: a fixed prefix and a UUID version 7 (RFC 9562), so that ids sort by creation time and
//! new rows land on the right edge of an index.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::chosen;

/// Text that is not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {expected} id: it looks like {expected}_0190b6a5-…")]
pub struct InvalidId {
    /// The prefix that was expected, such as `tsk`.
    pub expected: &'static str,
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "std::borrow::Cow<'_, str>")]
        pub struct $name(Uuid);

        impl $name {
            /// What stands before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id from the present time and randomness.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default id would be a new one each time")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id of these 16 bytes, as a store keeps it.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The 16 bytes that a store keeps.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                fmt::Display::fmt(&self.0.as_hyphenated(), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { expected: $prefix };
                let rest = text.strip_prefix(concat!($prefix, "_")).ok_or(invalid.clone())?;
                // One spelling only: two spellings of one id would be two cache keys, two log searches.
                if rest.len() != 36 || rest.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return Err(invalid);
                }
                Uuid::try_parse(rest).map(Self).map_err(|_| invalid)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl TryFrom<std::borrow::Cow<'_, str>> for $name {
            type Error = InvalidId;

            fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .pattern(Some(concat!("^", $prefix, "_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")))
                    .examples([concat!($prefix, "_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b")])
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}

prefixed_id!(
    /// A task.
    TaskId,
    "tsk"
);
prefixed_id!(
    /// A user.
    UserId,
    "usr"
);
prefixed_id!(
    /// A bank card.
    CardId,
    "crd"
);
prefixed_id!(
    /// A purchase. The 16 bytes are those of the task that recorded it.
    PurchaseId,
    "pur"
);
prefixed_id!(
    /// One worker process.
    WorkerId,
    "wrk"
);
prefixed_id!(
    /// A family of refresh tokens: one sign-in and all that it was renewed to.
    SessionId,
    "ses"
);

/// A caller's name for a group of writes (`x-run-id`), by the grammar of [`chosen::RUN_ID`].
///
/// [`FromStr`] is for what somebody chooses now. What was kept, or what a platform answers, is read by its letters alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RunId(std::sync::Arc<str>);

/// Text that can't name a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a run id {0}")]
pub struct InvalidRunId(&'static str);

impl RunId {
    /// A new run id, unique without coordination.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default id would be a new one each time")]
    pub fn new() -> Self {
        Self(format!("run_{}", Uuid::now_v7().as_simple()).into())
    }

    /// One that was kept.
    ///
    /// # Errors
    /// No run was ever called that.
    pub fn kept(text: &str) -> Result<Self, InvalidRunId> {
        if chosen::RUN_ID.fits(text) { Ok(Self(text.into())) } else { Err(InvalidRunId(chosen::RUN_ID.rule)) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, InvalidRunId> {
        chosen::RUN_ID.check(text).map(|()| Self(text.into())).map_err(InvalidRunId)
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0.to_string()
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidRunId;

    fn try_from(text: String) -> Result<Self, InvalidRunId> {
        Self::kept(&text)
    }
}

impl utoipa::PartialSchema for RunId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^[A-Za-z0-9._-]{1,64}$"))
            .into()
    }
}

impl utoipa::ToSchema for RunId {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = TaskId::new();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn another_kind_of_id_is_refused() {
        assert!(UserId::new().to_string().parse::<TaskId>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC*") {
            let _ = text.parse::<TaskId>();
            let _ = text.parse::<RunId>();
        }

        #[test]
        fn an_id_has_one_spelling(text in "tsk_[0-9a-fA-F-]{30,40}") {
            if let Ok(id) = text.parse::<TaskId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
