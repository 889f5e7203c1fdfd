//! Which queue a task waits in: one for each kind and priority.

use std::fmt;

use crate::engine::KnownKind;
use crate::engine::rows::{priority_code, priority_of};
use crate::tasks::Priority;

/// The code of a kind, and above it that of a priority. The queues of normal priority have the numbers that kinds had when
/// there was no other. Never changed: Redis holds keys that are named after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct QueueId(u16);

impl QueueId {
    /// One more than the largest number.
    pub(super) const COUNT: usize = 3 << 8;
    /// Bits of a number.
    pub(super) const BITS: u32 = 10;

    pub(in super::super) fn new(kind: u8, priority: Priority) -> Self {
        Self(u16::from(priority_code(priority)) << 8 | u16::from(kind))
    }

    /// Those of some kinds.
    pub(in super::super) fn of_all(kinds: &[KnownKind]) -> impl Iterator<Item = Self> {
        Priority::ALL.into_iter().flat_map(|priority| kinds.iter().map(move |known| Self::new(known.code, priority)))
    }

    /// The one with a number.
    pub(super) fn from_number(number: u64) -> Self {
        Self(u16::try_from(number & ((1 << Self::BITS) - 1)).unwrap_or_default() % (Self::COUNT as u16))
    }

    pub(super) const fn number(self) -> u16 {
        self.0
    }

    /// The code of its kind.
    pub(in super::super) const fn kind(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    pub(in super::super) const fn priority(self) -> Priority {
        priority_of((self.0 >> 8) as i64)
    }
}

/// As keys name it.
impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        match self.priority() {
            Priority::Normal => Ok(()),
            priority => write!(f, ":{}", priority.as_str()),
        }
    }
}
