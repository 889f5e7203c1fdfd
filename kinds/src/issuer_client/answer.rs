//! What an issuer's answer means. Pure: status and body in, meaning out.
//!
//! | status | meaning |
//! |---|---|
//! | 200 with a card | issued |
//! | 402, and any 4xx whose `code` is `declined` | declined, for good |
//! | 400, 413, 415, 422 | this very request can't be taken: trying it again can't help |
//! | 408, 425, 429 and 5xx | not now |
//! | any other 4xx, and 3xx | the platform calls the wrong place or the wrong way: an operator's matter, not the task's |
//! | anything else, a 200 without a card | garbage |

use crate::replacement::IssuedCard;
use card_core::telemetry::mask;
use serde::Deserialize;

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A card.
    Issued(IssuedCard),
    /// No, for good.
    Declined,
    /// The issuer understood who asks what, and can't take this request.
    Unacceptable {
        /// HTTP status.
        status: u16,
    },
    /// The call was wrong as such, not this request.
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// Not now.
    Unavailable {
        /// HTTP status; none if there was no connection, or it broke.
        status: Option<u16>,
    },
    /// No answer in time.
    TimedOut,
    /// An answer that is none.
    Garbage,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
}

impl Answer {
    /// The `outcome` labels of `issuer_requests_total`.
    pub(super) const OUTCOMES: [&'static str; 7] =
        ["issued", "declined", "unacceptable", "refused", "unavailable", "timeout", "garbage"];

    /// Index into [`Self::OUTCOMES`].
    pub(super) const fn outcome(&self) -> usize {
        match self {
            Self::Issued(_) => 0,
            Self::Declined => 1,
            Self::Unacceptable { .. } => 2,
            Self::Refused { .. } => 3,
            Self::Unavailable { .. } => 4,
            Self::TimedOut => 5,
            Self::Garbage => 6,
        }
    }

    /// Whether it is a sign that the issuer can't be worked with at present, by anybody.
    #[must_use]
    pub const fn says_the_issuer_is_down(&self) -> bool {
        match self {
            Self::Issued(_) | Self::Declined | Self::Unacceptable { .. } => false,
            Self::Refused { .. } | Self::Unavailable { .. } | Self::TimedOut | Self::Garbage => true,
        }
    }

    pub(super) fn read(status: u16, body: &[u8]) -> Self {
        match status {
            200 => match serde_json::from_slice::<IssuedCard>(body) {
                Ok(card) if is_sound(&card) => Self::Issued(card),
                _ => Self::Garbage,
            },
            402 => Self::Declined,
            400..=499 if serde_json::from_slice::<Refusal>(body).is_ok_and(|refusal| refusal.code == "declined") => {
                Self::Declined
            }
            400 | 413 | 415 | 422 => Self::Unacceptable { status },
            408 | 425 | 429 | 500..=599 => Self::Unavailable { status: Some(status) },
            300..=499 => Self::Refused { status },
            _ => Self::Garbage,
        }
    }

    /// The status counts even where the body is too long to be read.
    pub(super) fn too_long(status: u16) -> Self {
        Self::read(status, b"")
    }

    pub(super) fn of_failure(error: &reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Unavailable { status: None } }
    }
}

/// Whether the ledger may keep it. An issuer that sends a whole card number as a reference must not get it stored.
fn is_sound(card: &IssuedCard) -> bool {
    is_reference(&card.card_ref) && card.last4.len() == 4 && card.last4.bytes().all(|byte| byte.is_ascii_digit())
}

/// A reference begins with a letter, has up to 64 letters, digits, `-` and `_`, and holds nothing that could be a card number
/// or another secret.
fn is_reference(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&text.len())
        && text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.bytes().all(allowed)
        && mask::mask(text) == text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CARD: &[u8] = br#"{"card_ref":"iss_1","last4":"0042","network":"visa"}"#;

    #[test]
    fn statuses_mean_what_the_table_says() {
        assert!(matches!(Answer::read(200, CARD), Answer::Issued(_)));
        assert_eq!(Answer::read(402, b"<html>"), Answer::Declined);
        assert_eq!(Answer::read(409, br#"{"code":"declined","detail":"no"}"#), Answer::Declined);
        assert_eq!(Answer::read(409, br#"{"code":"busy"}"#), Answer::Refused { status: 409 });
        assert_eq!(Answer::read(422, br#"{"code":"validation-failed"}"#), Answer::Unacceptable { status: 422 });
        assert_eq!(Answer::read(404, b""), Answer::Refused { status: 404 });
        assert_eq!(Answer::read(302, b""), Answer::Refused { status: 302 });
        assert_eq!(Answer::read(429, b""), Answer::Unavailable { status: Some(429) });
        assert_eq!(Answer::read(503, CARD), Answer::Unavailable { status: Some(503) });
        assert_eq!(Answer::read(204, b""), Answer::Garbage);
    }

    #[test]
    fn a_card_that_the_ledger_must_not_keep_is_garbage() {
        for card in [
            r#"{"card_ref":"4111111111111111","last4":"1111","network":"visa"}"#,
            r#"{"card_ref":"4111-1111-1111-1111","last4":"1111","network":"visa"}"#,
            r#"{"card_ref":"iss_1","last4":"4111111111111111","network":"visa"}"#,
            r#"{"card_ref":"","last4":"1111","network":"visa"}"#,
            r#"{"card_ref":"a b","last4":"1111","network":"visa"}"#,
            r#"{"card_ref":"iss_1","last4":"1111","network":"discover"}"#,
            r#"{"card_ref":"iss_1","last4":"１１１１","network":"visa"}"#,
            r#"{"card_ref":"iss_1","last4":"111","network":"visa"}"#,
        ] {
            assert_eq!(Answer::read(200, card.as_bytes()), Answer::Garbage, "{card}");
        }
        for reference in [
            "iss4111111111111111",
            "4111/1111/1111/1111",
            "iss_4111_1111_1111_1111",
            "iss-4111111111111111-12",
            "a4111111111111111",
            "4",
            "-x",
            "_x",
            "a b",
            "a/b",
            "a.b",
            "a@b.example",
            "é",
            "a\u{200b}b",
            "٤١١١",
            "op_0123456789abcdefXYZ",
            "a\n",
            &"a".repeat(65),
        ] {
            assert!(!is_reference(reference), "{reference}");
        }
        for reference in [
            "x",
            "iss_1",
            "iss_9f86d081884c7d659a2feaa0",
            "iss_tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b",
            "CARD-000123456789",
        ] {
            assert!(is_reference(reference), "{reference}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic_and_only_200_issues(status: u16, body: Vec<u8>) {
            let answer = Answer::read(status, &body);
            prop_assert!(status == 200 || !matches!(answer, Answer::Issued(_)));
            prop_assert!((400..500).contains(&status) || answer != Answer::Declined);
        }

        #[test]
        fn no_card_number_is_ever_kept(
            before in "[a-z]{1,4}[_-]?", body in 400_000_000_000_000_u64..599_999_999_999_999, gap in "[_-]?", after in "[_-][0-9]{2,4}|",
        ) {
            let number = |check: u32| format!("{body}{check}");
            let passes = |number: &String| {
                let digits = number.chars().rev().filter_map(|digit| digit.to_digit(10)).enumerate();
                digits.map(|(at, digit)| if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum::<u32>() % 10 == 0
            };
            let number = (0..10).map(number).find(passes).unwrap();
            let groups: Vec<_> = (0..4).map(|at| &number[at * 4..at * 4 + 4]).collect();
            let reference = [before, groups.join(&gap), after].concat();
            let card = serde_json::json!({"card_ref": reference, "last4": "1111", "network": "visa"}).to_string();
            prop_assert_eq!(Answer::read(200, card.as_bytes()), Answer::Garbage);
        }
    }
}
