//! `add`: the sum of two numbers. Needs nobody, so it shows what the platform itself costs.

use card_core::engine::Claim;
use card_core::settings;
use card_core::tasks::Kind;
use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::step::{Begun, Handler, Step, declined, payload, succeeded};
use crate::{InvalidIssuer, TaskKind};

/// Its name.
pub const KIND: Kind = Kind::new("add");

/// The kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Addition;

/// What is asked for. The sum of any two fits, or the task is declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// One number.
    pub x: i64,
    /// The other.
    pub y: i64,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sum {
    /// `x + y`.
    pub sum: i64,
}

impl TaskKind for Addition {
    const KIND: Kind = KIND;
    const SUMMARY: &'static str = "Adds two numbers.";
    type Payload = Add;
    type Output = Sum;

    const ERRORS: &'static [(&'static str, &'static str)] =
        &[("sum-overflow", "The sum does not fit into 64 bits with a sign.")];

    fn sample(random: &mut StdRng) -> Add {
        let mut number = || random.random_range(-1_000_000..=1_000_000);
        Add { x: number(), y: number() }
    }

    fn handler(_: &settings::Worker) -> Result<Box<dyn Handler>, InvalidIssuer> {
        Ok(Box::new(Self))
    }
}

impl Handler for Addition {
    fn kind(&self) -> Kind {
        KIND
    }

    fn begin(&self, claim: &Claim) -> Begun {
        Begun::Done(payload(claim).map_or_else(|step| step, add))
    }
}

/// The same sum for the same numbers, each time: trying again can't turn an overflow into a sum.
fn add(Add { x, y }: Add) -> Step {
    match x.checked_add(y) {
        Some(sum) => succeeded::<Addition>(&Sum { sum }),
        None => declined("sum-overflow", "the sum does not fit into 64 bits with a sign"),
    }
}

#[cfg(test)]
mod tests {
    use card_core::tasks::Outcome;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sum_is_right_or_declined(x: i64, y: i64) {
            match (add(Add { x, y }), i64::try_from(i128::from(x) + i128::from(y))) {
                (Step::Settle(Outcome::Succeeded { result, effect: None }), Ok(sum)) => {
                    prop_assert_eq!(serde_json::from_str::<Sum>(result.get()).unwrap(), Sum { sum });
                }
                (Step::Settle(Outcome::Declined { error }), Err(_)) => prop_assert_eq!(error.code, "sum-overflow"),
                (step, sum) => prop_assert!(false, "{step:?} for {sum:?}"),
            }
        }
    }
}
