//! What the issuer says to a key: always the same, without a database. The card follows from the SHA-256 of the key;
//! whether it is declined as well, given the decline rate, and once said stays said while it is remembered.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use card_core::ids::TaskId;
use card_kinds::replacement::{IssuedCard, Network};
use sha2::{Digest, Sha256};

/// Answers remembered; some 60 bytes each. Older ones are still the same unless the decline rate was changed.
const REMEMBERED: usize = 65_536;

/// The issuer's whole knowledge of a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decision {
    /// The card, if it is issued.
    pub(crate) card: IssuedCard,
    /// In `0.0..1.0`: declined if the decline rate is above it.
    rank: f64,
}

/// The same for the same key, in every process.
pub(crate) fn decide(key: TaskId) -> Decision {
    let digest: [u8; 32] = Sha256::digest(key.to_string().as_bytes()).into();
    let number = |from: usize| digest[from..from + 8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let card_ref = digest[..12].iter().fold("iss_".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    let network = Network::ALL[(number(12) % Network::ALL.len() as u64) as usize];
    let last4 = format!("{:04}", number(16) % 10_000);
    // 53 bits fill a double's mantissa: the rank is uniform and below 1.
    let rank = (number(24) >> 11) as f64 / (1_u64 << 53) as f64;
    Decision { card: IssuedCard { card_ref, last4, network }, rank }
}

/// Which keys were declined and which not, of the last [`REMEMBERED`].
#[derive(Debug, Default)]
pub(crate) struct Memory {
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    declined: HashMap<TaskId, bool>,
    oldest_first: VecDeque<TaskId>,
}

impl Memory {
    /// The card for this key, or none if it is declined: what was said before, or what follows from the rate.
    pub(crate) fn answer(&self, key: TaskId, decline_rate: f64) -> Option<IssuedCard> {
        let Decision { card, rank } = decide(key);
        // Nothing under this lock can panic half-way through a change.
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let declined = match answers.declined.get(&key) {
            Some(declined) => *declined,
            None => {
                if answers.oldest_first.len() == REMEMBERED
                    && let Some(oldest) = answers.oldest_first.pop_front()
                {
                    answers.declined.remove(&oldest);
                }
                answers.oldest_first.push_back(key);
                answers.declined.insert(key, rank < decline_rate);
                rank < decline_rate
            }
        };
        (!declined).then_some(card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<TaskId> {
        (0..count).map(|_| TaskId::new()).collect()
    }

    #[test]
    fn a_key_gets_the_same_answer_from_a_new_issuer() {
        for key in keys(100) {
            assert_eq!(Memory::default().answer(key, 0.3), Memory::default().answer(key, 0.3));
        }
    }

    #[test]
    fn a_changed_rate_does_not_change_what_was_said() {
        let memory = Memory::default();
        let keys = keys(100);
        assert!(keys.iter().all(|key| memory.answer(*key, 0.0).is_some()));
        assert!(keys.iter().all(|key| memory.answer(*key, 1.0).is_some()));
        assert!(memory.answer(TaskId::new(), 1.0).is_none());
    }

    #[test]
    fn the_share_of_declines_is_the_rate() {
        let memory = Memory::default();
        let declined = keys(10_000).into_iter().filter(|key| memory.answer(*key, 0.25).is_none()).count();
        assert!((2200..2800).contains(&declined), "{declined}");
    }

    #[test]
    fn two_keys_get_two_cards() {
        let refs: std::collections::HashSet<_> =
            keys(10_000).into_iter().map(|key| decide(key).card.card_ref).collect();
        assert_eq!(refs.len(), 10_000);
    }

    #[test]
    fn the_memory_is_bounded() {
        let memory = Memory::default();
        for key in keys(REMEMBERED + 10) {
            memory.answer(key, 0.5);
        }
        let answers = memory.answers.lock().unwrap();
        assert_eq!((answers.declined.len(), answers.oldest_first.len()), (REMEMBERED, REMEMBERED));
    }
}
