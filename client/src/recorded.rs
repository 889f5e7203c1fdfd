//! What was recorded of how long things took: a histogram that can be added to another, written down and read again.
//!
//! Histograms of several generators are added up value by value, so that percentiles are those of all requests; a mean
//! of percentiles would be of none. Written, it is HdrHistogram's own format (V2, which its tools read) in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize};

use crate::latency::Percentiles;

/// Digits of the figures of a run.
pub const DIGITS: u8 = 3;
/// Digits of the figures of one second: a long run has many.
pub const DIGITS_OF_A_SECOND: u8 = 2;

/// A histogram of microseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded(Histogram<u64>);

/// A histogram, small: as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Packed(String);

/// Text that is no histogram.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a histogram: {0}")]
pub struct InvalidHistogram(String);

impl Default for Recorded {
    fn default() -> Self {
        Self::empty(DIGITS)
    }
}

impl Recorded {
    /// With nothing in it.
    fn empty(digits: u8) -> Self {
        // Fails for a precision above 5 only; those here are constants.
        Self(Histogram::new(digits).unwrap_or_else(|error| unreachable!("{error}")))
    }

    /// Adds one, in microseconds.
    pub fn record(&mut self, micros: u64) {
        // It grows by itself; only a value near u64::MAX can't be kept, and that is no latency.
        let _ = self.0.record(micros.max(1));
    }

    /// Takes another one's values in.
    pub fn add(&mut self, other: &Self) {
        // It grows by itself: a value that the other holds it can hold.
        let _ = self.0.add(&other.0);
    }

    /// The same with the digits of a second.
    #[must_use]
    pub fn coarse(&self) -> Self {
        let mut coarse = Self::empty(DIGITS_OF_A_SECOND);
        coarse.add(self);
        coarse
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// What can be read from it.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let histogram = &self.0;
        if histogram.is_empty() {
            return Percentiles::default();
        }
        let at = |quantile| millis(histogram.value_at_quantile(quantile).min(histogram.max()));
        Percentiles {
            n: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            max: millis(histogram.max()),
            mean: histogram.mean() / 1000.0,
        }
    }

    /// How the values are spread: `(upper bound in ms, how many)`, bounds growing by 2^(1/4), without empty ones.
    #[must_use]
    pub fn distribution(&self) -> Vec<(f64, u64)> {
        let mut buckets: Vec<(f64, u64)> = Vec::new();
        for entry in self.0.iter_recorded() {
            let value = millis(entry.value_iterated_to());
            let bound = (value.log2() * 4.0).ceil() / 4.0;
            let bound = bound.exp2();
            match buckets.last_mut().filter(|(last, _)| *last >= bound) {
                Some((_, count)) => *count += entry.count_since_last_iteration(),
                None => buckets.push((bound, entry.count_since_last_iteration())),
            }
        }
        buckets
    }

    /// As it is written.
    #[must_use]
    pub fn pack(&self) -> Packed {
        let mut bytes = Vec::new();
        // Writing into memory fails for more than 2^63 of one value only.
        let written = V2Serializer::new().serialize(&self.0, &mut bytes);
        written.unwrap_or_else(|error| unreachable!("{error}"));
        Packed(BASE64.encode(bytes))
    }
}

impl Packed {
    /// Reads it.
    ///
    /// # Errors
    /// It is none.
    pub fn open(&self) -> Result<Recorded, InvalidHistogram> {
        let bytes = BASE64.decode(&self.0).map_err(|error| InvalidHistogram(error.to_string()))?;
        plausible(&bytes)?;
        let read: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| InvalidHistogram(error.to_string()))?;
        // What was read does not grow; what it is added to does.
        let mut recorded = Recorded::empty(read.sigfig());
        recorded.0.add(&read).map_err(|error| InvalidHistogram(error.to_string()))?;
        Ok(recorded)
    }
}

/// A header that asks for more memory than a histogram of a day needs is none: the reader believes what it says.
fn plausible(bytes: &[u8]) -> Result<(), InvalidHistogram> {
    const HEADER: usize = 40;
    const DAY_IN_MICROS: u64 = 24 * 3600 * 1_000_000;
    let at = |from: usize| -> Option<u64> { Some(u64::from_be_bytes(bytes.get(from..from + 8)?.try_into().ok()?)) };
    let digits = bytes.get(12..16).map(|digits| u32::from_be_bytes([digits[0], digits[1], digits[2], digits[3]]));
    let sound = bytes.len() >= HEADER
        && digits.is_some_and(|digits| digits <= u32::from(DIGITS))
        && at(16) == Some(1)
        && at(24).is_some_and(|highest| highest <= 2 * DAY_IN_MICROS);
    if sound { Ok(()) } else { Err(InvalidHistogram("its header is not one of ours".to_owned())) }
}

impl Serialize for Recorded {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pack().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Recorded {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Packed::deserialize(deserializer)?.open().map_err(serde::de::Error::custom)
    }
}

#[expect(clippy::cast_precision_loss, reason = "latencies are far below 2^52 microseconds")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Recorded {
        let mut recorded = Recorded::default();
        values.iter().for_each(|value| recorded.record(*value));
        recorded
    }

    #[test]
    fn an_empty_one_is_written_and_read_too() {
        assert_eq!(Recorded::default().pack().open(), Ok(Recorded::default()));
    }

    #[test]
    fn a_header_that_asks_for_all_memory_is_refused() {
        let mut bytes = BASE64.decode(of(&[5, 9]).pack().0).unwrap();
        bytes[24] = 0x40;
        assert!(Packed(BASE64.encode(bytes)).open().is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(1_u64..3_600_000_000, 0..300)) {
            let recorded = of(&values);
            let read = recorded.pack().open().unwrap();
            prop_assert_eq!(read.percentiles(), recorded.percentiles());
            prop_assert_eq!(read.distribution(), recorded.distribution());
            prop_assert_eq!(read, recorded);
        }

        #[test]
        fn parts_add_up_to_the_whole(values in prop::collection::vec(1_u64..60_000_000, 0..300), parts in 1_usize..6) {
            let mut sum = Recorded::default();
            for part in 0..parts {
                let own: Vec<u64> = values.iter().skip(part).step_by(parts).copied().collect();
                sum.add(&of(&own).pack().open().unwrap());
            }
            prop_assert_eq!(sum.percentiles(), of(&values).percentiles());
            prop_assert_eq!(sum, of(&values));
        }

        #[test]
        fn the_digits_of_a_second_are_within_a_hundredth(values in prop::collection::vec(1_u64..60_000_000, 1..300)) {
            let (fine, coarse) = (of(&values).percentiles(), of(&values).coarse().percentiles());
            for (fine, coarse) in [(fine.p50, coarse.p50), (fine.p95, coarse.p95), (fine.max, coarse.max)] {
                prop_assert!((fine - coarse).abs() <= fine * 0.011 + 0.001, "{} is not {}", coarse, fine);
            }
        }

        #[test]
        fn nothing_makes_the_reader_panic(text in "[A-Za-z0-9+/=]{0,120}", bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = Packed(text).open();
            let _ = Packed(BASE64.encode(&bytes)).open();
            let mut broken = BASE64.decode(of(&[1, 70, 900]).pack().0).unwrap();
            for (at, byte) in bytes.iter().enumerate().take(6) {
                let at = (usize::from(*byte) * 7 + at) % broken.len();
                broken[at] ^= *byte;
            }
            let _ = Packed(BASE64.encode(&broken)).open();
        }
    }
}
