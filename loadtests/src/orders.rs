//! What is ordered: made from a seed, so that a run can be repeated. An order depends on the seed and its number
//! alone, not on who asks when.

use card_core::tasks::{Add, Kind, Reason, Replacement};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::client::Order;

/// A repeatable sequence of orders.
#[derive(Debug, Clone, Copy)]
pub struct Orders {
    seed: u64,
    kind: Kind,
    reason: Option<Reason>,
}

impl Orders {
    /// Orders of a kind; with `reason`, every replacement has that one.
    #[must_use]
    pub const fn new(seed: u64, kind: Kind, reason: Option<Reason>) -> Self {
        Self { seed, kind, reason }
    }

    /// A seed for who gave none. Small enough to survive every JSON reader (2^53) and to be typed again.
    #[must_use]
    pub fn fresh_seed() -> u64 {
        rand::random_range(0..1_000_000_000)
    }

    /// The order with this number.
    #[must_use]
    pub fn get(&self, number: u64) -> Order {
        // Neighbouring numbers must not give related generators: spread them (the multiplier is the golden ratio's).
        let mut random = StdRng::seed_from_u64(self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        match self.kind {
            Kind::Replacement => {
                let any = Reason::ALL[random.random_range(0..Reason::ALL.len())];
                Order::Replacement(Replacement { reason: self.reason.unwrap_or(any) })
            }
            Kind::Add => {
                let mut number = || random.random_range(-1_000_000..=1_000_000);
                Order::Add(Add { x: number(), y: number() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_orders_and_another_gives_others() {
        let sequence = |seed| (0..64).map(|n| Orders::new(seed, Kind::Replacement, None).get(n)).collect::<Vec<_>>();
        assert_eq!(sequence(7), sequence(7));
        assert_ne!(sequence(7), sequence(8));
        for reason in Reason::ALL {
            assert!(sequence(7).contains(&Order::Replacement(Replacement { reason })), "{reason} never comes");
        }
    }

    #[test]
    fn a_given_reason_is_the_only_one() {
        let orders = Orders::new(1, Kind::Replacement, Some(Reason::Stolen));
        assert!((0..50).all(|n| orders.get(n) == Order::Replacement(Replacement { reason: Reason::Stolen })));
    }
}
