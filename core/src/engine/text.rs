//! Text on its way into a store, the same for every engine: Postgres' text holds no NUL, and its indexes no long key.
//!
//! What names something is refused, since another name would be another thing. Prose, which others write and nobody looks
//! up, is kept with U+FFFD where a NUL was.

use super::{EngineError, ErrorKind};
use crate::tasks::{Effect, End, NewTask, Outcome, TaskError};

/// The longest key in bytes: of idempotency, of exclusivity.
const KEY_LIMIT: usize = 1_000;

/// Whether a task can be stored under its keys.
///
/// # Errors
/// `Invalid`: one of them can't be a key.
pub(super) fn check_keys(new: &NewTask) -> Result<(), EngineError> {
    let keys = new.idempotency.as_ref().map(|idempotency| idempotency.key.as_str()).into_iter();
    let wrong = |key: &str| key.len() > KEY_LIMIT || key.contains('\0');
    if keys.chain(new.exclusive.as_deref()).any(wrong) {
        // Not the key: it may be anything.
        return Err(EngineError::new(ErrorKind::Invalid, "a key has at most 1000 bytes, and no NUL"));
    }
    Ok(())
}

/// Prose as a store keeps it.
pub(super) fn prose(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    }
}

/// An end as a store keeps it.
pub(super) fn end(end: End) -> End {
    match end {
        End::Settle(Outcome::Succeeded { result, effect }) => End::Settle(Outcome::Succeeded {
            // JSON writes a NUL as an escape.
            result,
            effect: effect.map(|Effect { slot, data }| Effect { slot: slot.map(prose), data }),
        }),
        End::Settle(Outcome::Declined { error: why }) => End::Settle(Outcome::Declined { error: error(why) }),
        End::RetryAt { due, error: why, counts } => End::RetryAt { due, error: error(why), counts },
        End::GiveUp(why) => End::GiveUp(error(why)),
    }
}

fn error(error: TaskError) -> TaskError {
    TaskError { code: prose(error.code), message: prose(error.message) }
}
