//! What goes into a task of each kind, and what comes out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Reason;

/// Payload of a [`Kind::Replacement`] task, and the body of `POST /replacements`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// Why.
    pub reason: Reason,
}

/// Payload of a [`Kind::Add`] task. The sum of any two fits: see [`Sum`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// One number.
    pub x: i64,
    /// The other.
    pub y: i64,
}

/// Result of a [`Kind::Add`] task that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sum {
    /// `x + y`.
    pub sum: i64,
}
