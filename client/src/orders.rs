//! What is ordered: made from a seed, so that a run can be repeated. An order depends on the seed and its number
//! alone, not on who asks when.

use std::sync::Arc;

use card_core::tasks::{Kind, Priority};
use card_core::time::Instant;
use card_kinds::{Definition, TaskKind};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::value::RawValue;

use crate::Order;

/// A repeatable sequence of orders, of one kind or of several in turn.
#[derive(Debug, Clone)]
pub struct Orders {
    seed: u64,
    kind: Kind,
    payloads: Payloads,
    priority: Option<Priority>,
    due_at: Option<Instant>,
}

#[derive(Debug, Clone)]
enum Payloads {
    /// Each another, such as users send.
    Samples(Definition),
    /// The same, of these kinds in turn.
    InTurn([Definition; 2]),
    /// Always this.
    Same(Arc<RawValue>),
}

impl Orders {
    /// Orders with payloads such as users send.
    #[must_use]
    pub const fn samples(seed: u64, definition: &Definition) -> Self {
        Self { seed, kind: definition.kind, payloads: Payloads::Samples(*definition), priority: None, due_at: None }
    }

    /// Such orders of two kinds in turn.
    #[must_use]
    pub fn in_turn<A: TaskKind, B: TaskKind>(seed: u64) -> Self {
        let kinds = [Definition::of::<A>(0), Definition::of::<B>(1)];
        Self { payloads: Payloads::InTurn(kinds), ..Self::of::<A>(seed) }
    }

    /// The same for a kind by its type.
    #[must_use]
    pub const fn of<K: TaskKind>(seed: u64) -> Self {
        Self::samples(seed, &Definition::of::<K>(0))
    }

    /// Orders with one payload, of any kind.
    #[must_use]
    pub const fn same(kind: Kind, payload: Arc<RawValue>) -> Self {
        Self { seed: 0, kind, payloads: Payloads::Same(payload), priority: None, due_at: None }
    }

    /// The same orders, of a priority and for a time.
    #[must_use]
    pub fn when(self, priority: Option<Priority>, due_at: Option<Instant>) -> Self {
        Self { priority, due_at, ..self }
    }

    /// Whether a user can have only one of them open.
    #[must_use]
    pub fn are_exclusive(&self) -> bool {
        match &self.payloads {
            Payloads::Samples(definition) => definition.exclusive.is_some(),
            Payloads::InTurn(kinds) => kinds.iter().any(|definition| definition.exclusive.is_some()),
            Payloads::Same(_) => false,
        }
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
        let spread = self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let sample = |of: &Definition| (of.kind, of.sample(&mut StdRng::seed_from_u64(spread)).into());
        let (kind, payload) = match &self.payloads {
            Payloads::Samples(definition) => sample(definition),
            Payloads::InTurn(kinds) if number.is_multiple_of(2) => sample(&kinds[0]),
            Payloads::InTurn(kinds) => sample(&kinds[1]),
            Payloads::Same(payload) => (self.kind, Arc::clone(payload)),
        };
        Order { kind, payload, priority: self.priority, due_at: self.due_at }
    }
}

#[cfg(test)]
mod tests {
    use card_kinds::Registry;
    use card_kinds::purchase::{self, Purchasing};
    use card_kinds::replacement::{self, CardReplacement, Reason};

    use super::*;

    #[test]
    fn a_seed_repeats_its_orders_and_another_gives_others() {
        for one in Registry::default().all() {
            let sequence = |seed| {
                let orders = Orders::samples(seed, one);
                (0..64).map(|number| orders.get(number).payload.get().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(sequence(7), sequence(7));
            assert_ne!(sequence(7), sequence(8));
        }
    }

    #[test]
    fn two_kinds_come_in_turn() {
        let orders = Orders::in_turn::<CardReplacement, Purchasing>(7);
        let kinds: Vec<_> = (0..4).map(|number| orders.get(number).kind).collect();
        assert_eq!(kinds, [replacement::KIND, purchase::KIND, replacement::KIND, purchase::KIND]);
        assert!(orders.are_exclusive());
    }

    #[test]
    fn every_reason_comes() {
        let orders = Orders::of::<CardReplacement>(7);
        for reason in Reason::ALL {
            let wanted = format!("{{\"reason\":\"{reason}\"}}");
            assert!((0..64).any(|number| orders.get(number).payload.get() == wanted), "{reason} never comes");
        }
    }

    #[test]
    fn a_given_payload_is_the_only_one() {
        let payload = RawValue::from_string(r#"{"reason":"stolen"}"#.to_owned()).unwrap();
        let orders = Orders::same(replacement::KIND, payload.clone().into());
        assert!((0..50).all(|number| orders.get(number).payload.get() == payload.get()));
    }
}
