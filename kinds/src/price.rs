//! Prices: exact from end to end. Read from the text of a request, kept as ten-thousandths, written as text; no float is in
//! between.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A price: above 0, at most 10^12, in ten-thousandths. On the wire text with two to four decimal places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub(crate) i64);

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
pub(crate) fn asked() -> RefOr<Schema> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
