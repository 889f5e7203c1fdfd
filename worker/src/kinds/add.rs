//! `add`: the sum of two numbers. Needs nobody, so it shows what the platform itself costs.

use card_core::engine::Claim;
use card_core::tasks::{Add, Kind, Outcome, Sum};

use crate::step::{Begun, Handler, Step, payload, succeeded, task_error};

/// Does `add` tasks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Addition;

impl Handler for Addition {
    fn kind(&self) -> Kind {
        Kind::Add
    }

    fn begin(&self, claim: &Claim) -> Begun {
        Begun::Done(payload(claim).map_or_else(|step| step, add))
    }
}

/// The same sum for the same numbers, each time: trying again can't turn an overflow into a sum.
fn add(Add { x, y }: Add) -> Step {
    match x.checked_add(y) {
        Some(sum) => succeeded(&Sum { sum }, None),
        None => Step::Settle(Outcome::Declined {
            error: task_error("sum-overflow", "the sum does not fit into 64 bits with a sign"),
        }),
    }
}

#[cfg(test)]
mod tests {
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
