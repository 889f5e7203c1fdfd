//! Which passwords are too easy to guess. By how many guesses a program needs that knows common and breached passwords,
//! words, names, dates, keyboard patterns and the usual substitutions (zxcvbn), and what it knows of the user.

use card_core::problem::Code;
use zxcvbn::Score;

use crate::problem::Refusal;

/// Fewer than 10^8 guesses are too few: a stolen hash would be found within days.
const ENOUGH: Score = Score::Three;
/// Looked at from the beginning; if this much is strong, all of it is. The time grows with the square of the length.
const LOOKED_AT: usize = 40;
/// Words that an attacker of this very platform tries first.
const OURS: [&str; 4] = ["cardctl", "card", "bank", "replacement"];

/// Why a password is refused. Says nothing of the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weak(String);

impl Weak {
    pub(crate) fn into_refusal(self) -> Refusal {
        Refusal::new(Code::WeakPassword, self.0)
    }
}

/// Refuses a password that is easy to guess for the user of this name.
pub(crate) fn check(password: &str, username: &str) -> Result<(), Weak> {
    let head: String = password.chars().take(LOOKED_AT).collect();
    let mut inputs = vec![username];
    inputs.extend(username.split(['.', '_', '-']).filter(|part| part.len() > 2));
    inputs.extend(OURS);
    let estimate = zxcvbn::zxcvbn(&head, &inputs);
    if estimate.score() >= ENOUGH {
        return Ok(());
    }
    let why = estimate.feedback().and_then(|feedback| feedback.warning()).map(|warning| format!(" {warning}"));
    let why = why.unwrap_or_default();
    Err(Weak(format!(
        "This password is too easy to guess.{why} Take several words that have nothing to do with each other, or let a password \
         manager make one."
    )))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn common_passwords_and_what_people_make_of_them_are_refused() {
        for password in [
            "12345678",
            "123456789",
            "password",
            "Password1!",
            "P@ssw0rd",
            "p4ssw0rd2024",
            "qwertyuiop",
            "qwerty123456",
            "iloveyou1",
            "letmein123",
            "Summer2024!",
            "Welcome123",
            "football1",
            "aaaaaaaa",
            "abcdefgh",
            "asdfghjkl",
            "1qaz2wsx",
            "monkey123",
            "dragon99",
            "19851231",
            "abcabcabc",
            "trustno1!",
            "admin1234",
            "cardctl1",
            "cardctl-bank",
        ] {
            assert!(check(password, "somebody").is_err(), "{password}");
        }
    }

    #[test]
    fn the_users_own_name_is_no_password() {
        for (username, password) in [
            ("ada.lovelace", "ada.lovelace"),
            ("ada.lovelace", "Lovelace1"),
            ("ada.lovelace", "ecalevol.ada1"),
            ("xqzvkjwpl", "xqzvkjwpl"),
            ("xqzvkjwpl", "XqzVkjwpl1"),
        ] {
            assert!(check(password, username).is_err(), "{password}");
        }
        assert!(check("xqzvkjwpl", "somebody").is_ok());
    }

    #[test]
    fn what_is_hard_to_guess_is_taken_whatever_it_is_made_of() {
        for password in [
            "correct horse battery staple",
            "J7#kq!vB2xLm",
            "drei blaue Kamele tanzen",
            "сорок две синие коровы",
            "0b9f6a1e-1c8e-4a4e",
            "zugzwang-larder-opine",
        ] {
            assert!(check(password, "ada").is_ok(), "{password}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_password_makes_the_check_panic_and_none_is_quoted(password in "\\PC{8,128}", name in "[a-z._-]{3,64}") {
            if let Err(weak) = check(&password, &name) {
                prop_assert!(!weak.0.contains(&password));
            }
        }
    }
}
