//! `purchase`: records what a user bought. Nobody else is asked: accepted is all but done.

use card_core::engine::Claim;
use card_core::ids::{PurchaseId, TaskId};
use card_core::problem::FieldError;
use card_core::settings;
use card_core::tasks::{Effect, Kind, StoredEffect};
use card_core::time::Instant;
use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use crate::price::{InvalidPrice, Price, money};
use crate::step::{Begun, Handler, payload, succeeded};
use crate::{InvalidIssuer, TaskKind};

/// Its name.
pub const KIND: Kind = Kind::new("purchase");

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct Purchasing;

/// What is bought; also the body of `POST /purchases`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPurchase {
    /// The price.
    #[schema(schema_with = crate::price::asked)]
    pub price: Price,
    /// What it is: 1 to 200 characters, none of them a control character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 200)]
    pub item: Option<String>,
}

/// The purchase as it was recorded: the `result` of its task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recorded {
    /// The price.
    pub price: Price,
    /// What was bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
}

/// What the ledger keeps of it, and adds up.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    item: Option<String>,
    /// Ten-thousandths.
    amount: i64,
}

impl TaskKind for Purchasing {
    const KIND: Kind = KIND;
    const SUMMARY: &'static str = "Records a purchase in the user's history, once and for good.";
    type Payload = NewPurchase;
    type Output = Recorded;

    const IS_OWNED: bool = true;
    const HAS_EFFECT: bool = true;
    const GOES_WITH_OWNER: bool = true;

    fn check(purchase: &NewPurchase) -> Result<(), Vec<FieldError>> {
        let Some(item) = &purchase.item else { return Ok(()) };
        let fits = (1..=200).contains(&item.chars().count());
        if fits && !item.chars().any(char::is_control) {
            return Ok(());
        }
        let detail = if fits { "must have no control characters" } else { "must have 1 to 200 characters" };
        Err(vec![FieldError { pointer: "/item".to_owned(), detail: detail.to_owned() }])
    }

    /// Beside all that the user bought before: it has no slot.
    fn effect(recorded: &Recorded) -> Option<Effect> {
        let kept = Kept { item: recorded.item.clone(), amount: recorded.price.ten_thousandths() };
        Some(Effect { slot: None, data: serde_json::value::to_raw_value(&kept).ok()? })
    }

    fn sample(random: &mut StdRng) -> NewPurchase {
        const ITEMS: [&str; 8] =
            ["a kettle", "a notebook", "six eggs", "a train ticket", "Käse", "緑茶", "two tickets", "a lamp"];
        // Prices such as shops have: to the hundredth, the small ones more often.
        let digits = random.random_range(2..=6);
        let cents = random.random_range(1..=10_i64.pow(digits));
        let item = random.random_bool(0.8).then(|| ITEMS[random.random_range(0..ITEMS.len())].to_owned());
        NewPurchase { price: Price(cents * 100), item }
    }

    fn handler(_: &settings::Worker) -> Result<Box<dyn Handler>, InvalidIssuer> {
        Ok(Box::new(Self))
    }
}

impl Handler for Purchasing {
    fn kind(&self) -> Kind {
        KIND
    }

    fn begin(&self, claim: &Claim) -> Begun {
        let step = payload(claim)
            .map_or_else(|step| step, |NewPurchase { price, item }| succeeded::<Self>(&Recorded { price, item }));
        Begun::Done(step)
    }
}

/// A purchase as the wire shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Purchase {
    /// Its id.
    pub id: PurchaseId,
    /// The task that recorded it. One task records at most one purchase: the ledger enforces it (P2).
    pub task: TaskId,
    /// The price.
    pub price: Price,
    /// What was bought, if it was said.
    pub item: Option<String>,
    /// When it was recorded.
    pub purchased_at: Instant,
}

impl Purchase {
    /// The purchase that a task left behind; none if the effect is not one.
    #[must_use]
    pub fn of(effect: &StoredEffect) -> Option<Self> {
        let kept: Kept = serde_json::from_str(effect.data.get()).ok()?;
        Some(Self {
            id: PurchaseId::from_uuid(effect.task.uuid()),
            task: effect.task,
            price: Price(kept.amount),
            item: kept.item,
            purchased_at: effect.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<NewPurchase, String> {
        let definition = crate::Definition::of::<Purchasing>(2);
        let payload = definition.read(json.as_bytes()).map_err(|error| error.to_string())?;
        serde_json::from_str(payload.get()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_price_is_what_was_written() {
        let same = [
            ("1", "1.00"),
            ("0.0001", "0.0001"),
            ("12.5", "12.50"),
            ("12.5000", "12.50"),
            ("0.1", "0.10"),
            ("999999999999.9999", "999999999999.9999"),
            ("1000000000000", "1000000000000.00"),
            ("1e3", "1000.00"),
            ("1.25E-2", "0.0125"),
        ];
        for (written, kept) in same {
            let purchase = read(&format!(r#"{{"price": {written}}}"#)).unwrap();
            assert_eq!(purchase.price.to_string(), kept, "{written}");
            if !written.contains(['e', 'E']) {
                assert_eq!(read(&format!(r#"{{"price": "{written}"}}"#)).unwrap(), purchase);
            }
        }
    }

    #[test]
    fn what_is_no_price_is_refused_by_its_pointer() {
        let odd = [
            "0",
            "-1",
            "0.00001",
            "1.23456",
            "1000000000000.0001",
            "1e400",
            "1e-400",
            "1e13",
            "null",
            "true",
            "[]",
            "{}",
            r#""""#,
            r#"" 1""#,
            r#""+1""#,
            r#""-1""#,
            r#""1_000""#,
            r#""1,5""#,
            r#""1e3""#,
            r#"".5""#,
            r#""5.""#,
            r#""NaN""#,
            r#""٣""#,
            r#""１２""#,
            r#""0x10""#,
            r#""Infinity""#,
            r#""1.2.3""#,
        ];
        for price in odd {
            let error = crate::Definition::of::<Purchasing>(2).read(format!(r#"{{"price": {price}}}"#).as_bytes());
            let crate::PayloadError::Shape(error) = error.expect_err(price) else { panic!("{price}") };
            assert_eq!(error.path().to_string(), "price", "{price}: {error}");
        }
        for long in ["9".repeat(100), format!("0.{}1", "0".repeat(60)), format!("1.{}", "0".repeat(99))] {
            assert!(read(&format!(r#"{{"price": {long}}}"#)).is_err(), "{long}");
            assert!(read(&format!(r#"{{"price": "{long}"}}"#)).is_err(), "{long}");
        }
    }

    #[test]
    fn an_item_is_any_text_of_200_characters_without_control_characters() {
        for item in ["x", "<script>alert(1)</script>", "عربي", "a\u{202e}b", &"é".repeat(200)] {
            let json = serde_json::json!({"price": "1", "item": item}).to_string();
            assert_eq!(read(&json).unwrap().item.as_deref(), Some(item));
        }
        for item in ["", "a\u{0}", "a\nb", "\u{7f}", "\u{9b}31m", &"é".repeat(201), &"x".repeat(10_000)] {
            let json = serde_json::json!({"price": "1", "item": item}).to_string();
            assert!(read(&json).unwrap_err().contains("/item"), "{item:?}");
        }
    }
}
