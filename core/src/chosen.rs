//! Texts that a caller chooses, and that are kept, repeated or shown: each has one grammar, which says what it may be, and none
//! may hold what could be a card's number (P7). Whoever takes one at a boundary checks it here.
//!
//! Ids that are made here never look like a number: digits of a hexadecimal word are no number of their own.

use std::ops::RangeInclusive;

use crate::telemetry::mask::holds_card;

/// What is wrong with a text that fits its grammar and holds a number. It does not repeat it.
pub const NO_CARD: &str = "must not hold a number that could be a card's";

/// What a chosen text may be.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// In words.
    pub rule: &'static str,
    /// In characters.
    lengths: RangeInclusive<usize>,
    allows: fn(char) -> bool,
}

/// `x-run-id`, `--run`.
pub const RUN_ID: Chosen =
    Chosen { rule: "must be 1 to 64 letters, digits, '-', '_' or '.'", lengths: 1..=64, allows: is_plain };
/// Of a person; generated users are called after their run.
pub const USERNAME: Chosen =
    Chosen { rule: "must be 3 to 64 letters, digits, '.', '_' or '-'", lengths: 3..=64, allows: is_plain };
/// `Idempotency-Key`.
pub const IDEMPOTENCY_KEY: Chosen = Chosen {
    rule: "must be 1 to 255 visible ASCII characters",
    lengths: 1..=255,
    allows: |letter| letter.is_ascii_graphic(),
};
/// `x-request-id`. Without anything that could forge a log line.
pub const REQUEST_ID: Chosen = Chosen {
    rule: "must be 1 to 128 letters, digits or one of -_.:/+=",
    lengths: 1..=128,
    allows: |letter| letter.is_ascii_alphanumeric() || "-_.:/+=".contains(letter),
};
/// Why somebody did something.
pub const REASON: Chosen = Chosen {
    rule: "must have 1 to 500 characters, and no control characters",
    lengths: 1..=500,
    allows: |letter| !letter.is_control() || matches!(letter, '\n' | '\t'),
};

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.')
}

impl Chosen {
    /// Whether a text is of the right letters and length, whatever they say: for what was kept by an earlier version.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.lengths.contains(&text.chars().count()) && text.chars().all(self.allows)
    }

    /// What is wrong with a text, if something is.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn check(&self, text: &str) -> Result<(), &'static str> {
        match text {
            text if !self.fits(text) => Err(self.rule),
            text if holds_card(text) => Err(NO_CARD),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::ids::{RunId, TaskId, UserId};

    const ALL: [Chosen; 5] = [RUN_ID, USERNAME, IDEMPOTENCY_KEY, REQUEST_ID, REASON];

    #[test]
    fn a_number_of_a_card_is_refused_wherever_it_stands() {
        for number in ["4111111111111111", "4111-1111-1111-1111", "5500.0000.0000.0004", "3782_822463_10005"] {
            for text in [number.to_owned(), format!("order-{number}"), format!("{number}-12"), format!("n{number}x")] {
                for chosen in ALL {
                    assert_eq!(chosen.check(&text), Err(NO_CARD), "{text}: {}", chosen.rule);
                }
            }
        }
        assert_eq!(REASON.check("asked for by the holder of 4111 1111 1111 1111"), Err(NO_CARD));
        assert_eq!(IDEMPOTENCY_KEY.check("4111%201111%201111%201111"), Err(NO_CARD));
    }

    #[test]
    fn names_with_digits_are_taken() {
        for text in [
            "nightly-2026-11-30T17-04-05",
            "build-20261130170405",
            "1796058245123",
            "1796058245123456",
            "1796058245123456789",
            "12345678901-1",
            "run-42",
            "4111",
        ] {
            for chosen in ALL {
                assert_eq!(chosen.check(text), Ok(()), "{text}: {}", chosen.rule);
            }
        }
        assert_eq!(REASON.check("kaputt, Größe 12\nzweite Zeile"), Ok(()));
        assert_eq!(REASON.check("a\0b"), Err(REASON.rule));
        assert_eq!(RUN_ID.check(""), Err(RUN_ID.rule));
        assert_eq!(USERNAME.check("ad"), Err(USERNAME.rule));
    }

    #[test]
    fn no_id_that_is_made_here_or_by_others_like_it_is_refused() {
        for number in 0..20_000_u128 {
            let random = Uuid::from_u128(rand::random::<u128>() ^ number);
            let (task, user, run) = (TaskId::from_uuid(random), UserId::from_uuid(random), RunId::new());
            for text in [
                run.to_string(),
                format!("run_{}", random.as_simple()),
                format!("{run}-{number}"),
                format!("{user}-{number}"),
                task.to_string(),
                random.to_string(),
                random.to_string().to_uppercase(),
                random.as_simple().to_string(),
            ] {
                assert_eq!(IDEMPOTENCY_KEY.check(&text), Ok(()), "{text}");
            }
        }
    }
}
