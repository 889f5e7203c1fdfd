//! Points in time as the ledger keeps them (microseconds since 1970, UTC) and as the wire shows them
//! (RFC 3339), and durations as people type them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time with microsecond resolution.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "jiff::Timestamp", from = "jiff::Timestamp")]
pub struct Instant(i64);

impl Instant {
    /// Now, by the system's clock.
    #[must_use]
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    /// From microseconds since 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This point and so much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This point and so much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is before (clocks step back).
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::fmt::Display for Instant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&jiff::Timestamp::from(*self), f)
    }
}

impl std::fmt::Debug for Instant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl From<Instant> for jiff::Timestamp {
    fn from(instant: Instant) -> Self {
        // Only a corrupt row can hold a time outside jiff's range of years -9999 to 9999.
        Self::from_microsecond(instant.0).unwrap_or(Self::UNIX_EPOCH)
    }
}

impl From<jiff::Timestamp> for Instant {
    fn from(timestamp: jiff::Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }
}

impl utoipa::PartialSchema for Instant {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::schema::SchemaFormat::KnownFormat(
                utoipa::openapi::schema::KnownFormat::DateTime,
            )))
            .into()
    }
}

impl utoipa::ToSchema for Instant {}

/// Text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a number and a unit, such as 250ms, 30s, 5m or 1h30m")]
pub struct InvalidDuration;

/// The units of a duration, the largest first, in microseconds.
const UNITS: [(&str, f64); 6] = [("d", 86_400e6), ("h", 3_600e6), ("m", 60e6), ("s", 1e6), ("ms", 1e3), ("us", 1.0)];

/// Reads `250ms`, `30s`, `1.5s`, `5m`, `2h`, `7d`, and several of them, each unit smaller than the one before: `1m30s`.
/// A bare `0` needs no unit.
///
/// # Errors
/// [`InvalidDuration`] for anything else, for a negative number and for more than a hundred years.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    const HUNDRED_YEARS: f64 = 100.0 * 366.0 * 86_400e6;
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut units, mut micros) = (text, UNITS.iter(), 0.0);
    loop {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(InvalidDuration)?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        // Only the last number may have a fraction.
        let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'.' && after.is_empty();
        if number.is_empty() || !number.bytes().all(is_number) {
            return Err(InvalidDuration);
        }
        let (_, size) = units.find(|(name, _)| *name == unit).ok_or(InvalidDuration)?;
        micros += number.parse::<f64>().map_err(|_| InvalidDuration)? * size;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    if !(0.0..=HUNDRED_YEARS).contains(&micros) {
        return Err(InvalidDuration);
    }
    Ok(Duration::from_micros(micros.round() as u64))
}

/// Writes a duration the way [`parse_duration`] reads it, in the largest unit that loses nothing.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros == 0 {
        return "0s".to_owned();
    }
    for (unit, size) in [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000)]
    {
        if micros.is_multiple_of(size) {
            return format!("{}{unit}", micros / size);
        }
    }
    format!("{micros}us")
}

/// `#[serde(with = "card_core::time::duration")]`: a duration as text such as `"30s"`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// As [`super::format_duration`].
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*duration))
    }

    /// As [`super::parse_duration`].
    ///
    /// # Errors
    /// Text that is not a duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_duration_survives_its_text(micros in 0_u64..1_000_000_000_000) {
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_the_duration_parser_panic(text in "\\PC*") {
            let _ = parse_duration(&text);
        }
    }

    #[test]
    fn what_has_no_unit_or_a_sign_is_refused() {
        for text in ["", "30", "-1s", "1 s", "s", "1e9s", "1.2.3s", "999999999999d", "NaNs", "infs"] {
            assert_eq!(parse_duration(text), Err(InvalidDuration), "{text}");
        }
    }

    #[test]
    fn a_duration_may_have_several_units_each_smaller_than_the_one_before() {
        for (text, seconds) in
            [("1m30s", 90.0), ("1h30m", 5400.0), ("1d2h3m4s", 93_784.0), ("1m0.5s", 60.5), ("2s250ms", 2.25)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["30s1m", "1m1m", "1.5m30s", "1m30", "1m 30s", "1ms1m"] {
            assert_eq!(parse_duration(text), Err(InvalidDuration), "{text}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_zero() {
        assert_eq!(Instant::from_micros(1).since(Instant::from_micros(5)), Duration::ZERO);
    }
}
