//! `purchase`: records what a user bought. Nobody else is asked: accepted is all but done.
//!
//! Prices are exact from end to end: read from the text of the request, kept as ten-thousandths, written as text. No float
//! is in between.

use std::fmt;
use std::str::FromStr;

use card_core::engine::Claim;
use card_core::ids::{PurchaseId, TaskId};
use card_core::problem::FieldError;
use card_core::settings;
use card_core::tasks::{Effect, Kind, StoredEffect};
use card_core::time::Instant;
use rand::RngExt;
use rand::rngs::StdRng;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

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
    #[schema(schema_with = asked_price)]
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

/// A price: above 0, at most 10^12, in ten-thousandths. On the wire text with two to four decimal places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i64);

/// Decimal places that a price can have.
const PLACES: u32 = 4;
/// The highest price.
const MOST: i64 = 1_000_000_000_000;
/// A number that is written longer is no price, whatever it says.
const LONGEST: usize = 64;

impl Price {
    /// In ten-thousandths.
    #[must_use]
    pub const fn ten_thousandths(self) -> i64 {
        self.0
    }

    /// From a JSON number as it was written, an exponent included.
    fn from_number(text: &str) -> Result<Self, InvalidPrice> {
        if text.len() > LONGEST {
            return Err(InvalidPrice);
        }
        let read =
            if text.contains(['e', 'E']) { Decimal::from_scientific(text) } else { Decimal::from_str_exact(text) };
        Self::from_decimal(read.map_err(|_| InvalidPrice)?)
    }

    fn from_decimal(price: Decimal) -> Result<Self, InvalidPrice> {
        let price = price.normalize();
        if price.scale() > PLACES || price <= Decimal::ZERO || price > Decimal::from(MOST) {
            return Err(InvalidPrice);
        }
        let amount = price.checked_mul(Decimal::from(10_i64.pow(PLACES))).and_then(|amount| amount.to_i64());
        amount.map(Self).ok_or(InvalidPrice)
    }
}

/// Text or a number that is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number above 0 and at most 1000000000000, with at most 4 decimal places (such as 12.50)")]
pub struct InvalidPrice;

impl FromStr for Price {
    type Err = InvalidPrice;

    /// Digits, and a point with up to four more.
    fn from_str(text: &str) -> Result<Self, InvalidPrice> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if text.len() > LONGEST || !digits(whole) || !digits(part) {
            return Err(InvalidPrice);
        }
        Self::from_decimal(Decimal::from_str_exact(text).map_err(|_| InvalidPrice)?)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&money(i128::from(self.0)))
    }
}

/// An amount in ten-thousandths as text: two to four decimal places, no exponent.
#[must_use]
pub fn money(ten_thousandths: i128) -> String {
    let (whole, part) = (ten_thousandths / 10_000, (ten_thousandths % 10_000).abs());
    let sign = if ten_thousandths < 0 && whole == 0 { "-" } else { "" };
    let places = match part {
        part if part % 100 == 0 => format!("{:02}", part / 100),
        part if part % 10 == 0 => format!("{:03}", part / 10),
        part => format!("{part:04}"),
    };
    format!("{sign}{whole}.{places}")
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As it was written: serde would read a number as a float.
        let written = Box::<RawValue>::deserialize(deserializer)?;
        let written = written.get();
        let price = if written.starts_with('"') {
            serde_json::from_str::<String>(written).map_err(de::Error::custom)?.parse()
        } else {
            Self::from_number(written)
        };
        price.map_err(de::Error::custom)
    }
}

const TEXT: &str = r"^[0-9]{1,13}(\.[0-9]{1,4})?$";

impl PartialSchema for Price {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("An exact amount, with two to four decimal places"))
            .pattern(Some(r"^[0-9]+\.[0-9]{2,4}$"))
            .examples(["12.50"])
            .into()
    }
}

impl ToSchema for Price {}

/// A price as it may be asked for: as text, or as a number, which is read by its digits.
fn asked_price() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(TEXT)).examples(["12.50"]);
    let number = ObjectBuilder::new()
        .schema_type(Type::Number)
        .exclusive_minimum(Some(0))
        .maximum(Some(MOST))
        .multiple_of(Some(0.0001));
    OneOfBuilder::new()
        .description(Some("Exact: above 0, at most 10^12, at most 4 decimal places"))
        .item(text)
        .item(number)
        .into()
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
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn every_price_comes_back_as_it_went(amount in 1..=MOST * 10_000) {
            let price = Price(amount);
            let text = price.to_string();
            prop_assert_eq!(text.parse::<Price>().unwrap(), price);
            prop_assert_eq!(Price::from_number(&text).unwrap(), price);
            let json = serde_json::to_string(&price).unwrap();
            prop_assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), price);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*") {
            let _ = text.parse::<Price>();
            let _ = Price::from_number(&text);
        }

        #[test]
        fn money_is_the_integer_with_a_point(amount in any::<i64>()) {
            let text = money(i128::from(amount));
            let exact = Decimal::from_str_exact(&text).unwrap() * Decimal::from(10_000);
            prop_assert_eq!(exact, Decimal::from(amount));
        }
    }
}
