//! `gift`: the kind that docs/ARCHITECTURE.md adds as an example, and that tests bring at run time. It is no part of the
//! product.
//!
//! To make it one: move this file to `kinds/src/kinds/`, add `3 = gift::Gift;` to `kinds.rs`, and a section to
//! docs/reference/kinds.md.

use card_core::engine::Claim;
use card_core::problem::FieldError;
use card_core::settings;
use card_core::tasks::{Effect, Kind};
use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::step::{Begun, Handler, declined, payload, succeeded};
use crate::{InvalidIssuer, TaskKind};

/// The kind.
pub struct Gift;

/// What is asked for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// What is given: 1 to 40 letters.
    #[schema(min_length = 1, max_length = 40)]
    pub what: String,
}

/// What was given: the task's result, and its effect.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Given {
    /// What it is.
    pub what: String,
}

impl TaskKind for Gift {
    const KIND: Kind = Kind::new("gift");
    const SUMMARY: &'static str = "Gives a user something, which is theirs from then on.";
    type Payload = Wish;
    type Output = Given;

    const IS_OWNED: bool = true;
    const HAS_EFFECT: bool = true;
    const ERRORS: &'static [(&'static str, &'static str)] = &[("gift-refused", "That can't be given.")];

    fn check(wish: &Wish) -> Result<(), Vec<FieldError>> {
        if (1..=40).contains(&wish.what.chars().count()) {
            return Ok(());
        }
        Err(vec![FieldError { pointer: "/what".to_owned(), detail: "must have 1 to 40 letters".to_owned() }])
    }

    /// Beside all that the user was given before: it has no slot.
    fn effect(given: &Given) -> Option<Effect> {
        Some(Effect { slot: None, data: serde_json::value::to_raw_value(given).ok()? })
    }

    fn sample(random: &mut StdRng) -> Wish {
        Wish { what: ["a book", "a bicycle", "nothing"][random.random_range(0..3)].to_owned() }
    }

    fn handler(_: &settings::Worker) -> Result<Box<dyn Handler>, InvalidIssuer> {
        Ok(Box::new(Self))
    }
}

impl Handler for Gift {
    fn kind(&self) -> Kind {
        Self::KIND
    }

    fn begin(&self, claim: &Claim) -> Begun {
        Begun::Done(match payload::<Wish>(claim) {
            Ok(wish) if wish.what == "nothing" => declined("gift-refused", "nothing can't be given"),
            Ok(wish) => succeeded::<Self>(&Given { what: wish.what }),
            Err(step) => step,
        })
    }
}
