//! The closed lists of names: statuses and priorities.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a task stands.
///
/// ```text
/// queued → running → succeeded | declined        (final)
///             │ ▲
///             ▼ │
///          retrying → … → dead                   (final until an operator retries it)
///
/// queued | running | retrying → cancelled        (final)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Accepted, waiting for a worker.
    Queued,
    /// A worker holds a lease on it.
    Running,
    /// An attempt failed; another is due later.
    Retrying,
    /// Done; its effect is applied.
    Succeeded,
    /// The outside world said no; trying again can't help.
    Declined,
    /// Given up: a dead letter.
    Dead,
    /// Called off before it was done: it has no effect.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Retrying, Self::Succeeded, Self::Declined, Self::Dead, Self::Cancelled];

    /// Whether nothing more happens by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Declined | Self::Dead | Self::Cancelled)
    }

    /// The name on the wire, in logs and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Declined => "declined",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How much of the workers a task gets while there are more than they can do: for each `low` task some four `normal` and
/// sixteen `high` ones are begun, so none waits for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Before most others.
    High,
    /// As most are.
    #[default]
    Normal,
    /// When there is room.
    Low,
}

impl Priority {
    /// Every priority, the highest first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// Whose tasks come first at a pick, whose then, whose last; `turn` counts the picks.
    pub(crate) const fn order(turn: usize) -> [Self; 3] {
        match turn % 21 {
            20 => [Self::Low, Self::High, Self::Normal],
            turn if turn % 5 == 4 => [Self::Normal, Self::High, Self::Low],
            _ => [Self::High, Self::Normal, Self::Low],
        }
    }
}

/// Text that names nothing of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {allowed}")]
pub struct UnknownName {
    /// What would have been right, separated by commas.
    pub allowed: String,
}

macro_rules! named {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL
                    .into_iter()
                    .find(|one| one.as_str() == text)
                    .ok_or_else(|| UnknownName { allowed: Self::ALL.map(Self::as_str).join(", ") })
            }
        }
    };
}

named!(Status);
named!(Priority);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_wire_says() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for priority in Priority::ALL {
            assert_eq!(serde_json::to_value(priority).unwrap(), priority.as_str());
            assert_eq!(priority.as_str().parse(), Ok(priority));
        }
    }

    #[test]
    fn an_unknown_name_says_what_would_be_right() {
        let error = "runing".parse::<Status>().unwrap_err();
        // Not what was given: it may be anything, and whoever gave it knows it.
        assert_eq!(error.to_string(), "must be one of queued, running, retrying, succeeded, declined, dead, cancelled");
    }

    #[test]
    fn of_21_picks_16_begin_with_high_4_with_normal_and_1_with_low() {
        let first = |priority| (0..21).filter(|turn| Priority::order(*turn)[0] == priority).count();
        assert_eq!(Priority::ALL.map(first), [16, 4, 1]);
        for turn in 0..21 {
            let mut order = Priority::order(turn);
            order.sort_unstable();
            assert_eq!(order, Priority::ALL);
        }
    }
}
