//! How the issuer behaves, and how that is changed while it runs.

use std::time::Duration;

use card_core::settings;
use card_core::time::Instant;
use serde::{Deserialize, Deserializer, Serialize};

use crate::latency::Latency;

/// No latency or outage is longer.
const LONGEST_LATENCY_MS: f64 = 60_000.0;
const LONGEST_OUTAGE: Duration = Duration::from_secs(24 * 3600);

/// How the issuer behaves. Rates are shares between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Behaviour {
    /// Median of the latency, in milliseconds.
    pub latency_p50_ms: f64,
    /// 99th percentile of the latency, in milliseconds.
    pub latency_p99_ms: f64,
    /// Share of calls that fail with 503, at random.
    pub error_rate: f64,
    /// Share of keys that are declined, always the same ones.
    pub decline_rate: f64,
    /// Share of calls that get no answer.
    pub hang_rate: f64,
    /// Share of calls that are answered 200 with something that is no card.
    pub garbage_rate: f64,
    /// Until when every call fails with 503; none if the issuer is up.
    pub outage: Option<Outage>,
}

/// A time in which every call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Outage {
    /// Its end.
    pub until: Instant,
}

/// Changes of a behaviour: what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BehaviourUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_p99_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decline_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hang_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub garbage_rate: Option<f64>,
    /// `null` ends an outage.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[serde(default)]
    pub outage: Option<Option<OutageUpdate>>,
}

/// How long an outage is to be: `{"for_ms": 5000}` or `{"until": "2026-01-01T00:00:00Z"}`; at most a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "OutageFields")]
pub enum OutageUpdate {
    /// From now on, in milliseconds.
    ForMs(u64),
    /// To this point in time.
    Until(Instant),
}

// What serde says by itself of `{}` for an enum is that it is no JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutageFields {
    for_ms: Option<u64>,
    until: Option<Instant>,
}

impl TryFrom<OutageFields> for OutageUpdate {
    type Error = &'static str;

    fn try_from(fields: OutageFields) -> Result<Self, Self::Error> {
        match fields {
            OutageFields { for_ms: Some(millis), until: None } => Ok(Self::ForMs(millis)),
            OutageFields { for_ms: None, until: Some(until) } => Ok(Self::Until(until)),
            _ => Err("an outage has either for_ms or until"),
        }
    }
}

/// A behaviour that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {message}")]
pub struct Unacceptable {
    /// Which field is wrong.
    pub field: &'static str,
    /// What it must be.
    pub message: &'static str,
}

impl Unacceptable {
    /// Blames what was sent, and not what it does not fit to.
    fn of(self, update: &BehaviourUpdate) -> Self {
        if self.message == BELOW_P50 && update.latency_p99_ms.is_none() {
            let message = "must not be above latency_p99_ms; send that as well, such as five times as much";
            return Self { field: "latency_p50_ms", message };
        }
        self
    }
}

const BELOW_P50: &str = "must not be below latency_p50_ms; send that as well, such as a fifth of it";

impl From<&settings::Issuer> for Behaviour {
    fn from(settings: &settings::Issuer) -> Self {
        Self {
            latency_p50_ms: settings.latency_p50.as_secs_f64() * 1000.0,
            latency_p99_ms: settings.latency_p99.as_secs_f64() * 1000.0,
            error_rate: settings.error_rate,
            decline_rate: settings.decline_rate,
            hang_rate: 0.0,
            garbage_rate: 0.0,
            outage: None,
        }
    }
}

impl Behaviour {
    /// The distribution of the latency.
    #[must_use]
    pub const fn latency(&self) -> Latency {
        Latency { p50_ms: self.latency_p50_ms, p99_ms: self.latency_p99_ms }
    }

    /// Whether every call fails now.
    #[must_use]
    pub fn is_down(&self, now: Instant) -> bool {
        self.outage.is_some_and(|outage| now < outage.until)
    }

    /// As it is seen now: an outage that has ended is none.
    #[must_use]
    pub fn at(&self, now: Instant) -> Self {
        let outage = self.outage.filter(|outage| now < outage.until);
        Self { outage, ..self.clone() }
    }

    /// This behaviour with the changes.
    ///
    /// # Errors
    /// The first thing that is wrong with it. Nothing is taken over then.
    pub fn updated(&self, update: &BehaviourUpdate, now: Instant) -> Result<Self, Unacceptable> {
        let updated = Self {
            latency_p50_ms: update.latency_p50_ms.unwrap_or(self.latency_p50_ms),
            latency_p99_ms: update.latency_p99_ms.unwrap_or(self.latency_p99_ms),
            error_rate: update.error_rate.unwrap_or(self.error_rate),
            decline_rate: update.decline_rate.unwrap_or(self.decline_rate),
            hang_rate: update.hang_rate.unwrap_or(self.hang_rate),
            garbage_rate: update.garbage_rate.unwrap_or(self.garbage_rate),
            outage: match update.outage {
                None => self.at(now).outage,
                Some(None) => None,
                Some(Some(OutageUpdate::ForMs(millis))) => {
                    Some(Outage { until: now.plus(Duration::from_millis(millis)) })
                }
                Some(Some(OutageUpdate::Until(until))) => Some(Outage { until }),
            },
        };
        updated.check(now).map_err(|wrong| wrong.of(update)).map(|()| updated)
    }

    fn check(&self, now: Instant) -> Result<(), Unacceptable> {
        let rates = [
            ("error_rate", self.error_rate),
            ("decline_rate", self.decline_rate),
            ("hang_rate", self.hang_rate),
            ("garbage_rate", self.garbage_rate),
        ];
        for (field, rate) in rates {
            if !(0.0..=1.0).contains(&rate) {
                return Err(Unacceptable { field, message: "must lie between 0 and 1" });
            }
        }
        for (field, millis) in [("latency_p50_ms", self.latency_p50_ms), ("latency_p99_ms", self.latency_p99_ms)] {
            if !(0.0..=LONGEST_LATENCY_MS).contains(&millis) {
                return Err(Unacceptable { field, message: "must lie between 0 and 60000 milliseconds" });
            }
        }
        if self.latency_p99_ms < self.latency_p50_ms {
            return Err(Unacceptable { field: "latency_p99_ms", message: BELOW_P50 });
        }
        if self.outage.is_some_and(|outage| outage.until.since(now) > LONGEST_OUTAGE) {
            return Err(Unacceptable { field: "outage", message: "must end within 24 hours" });
        }
        Ok(())
    }
}

/// Tells `null` from what is left out.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usual() -> Behaviour {
        Behaviour::from(&settings::Settings::default().issuer)
    }

    fn update(json: &str) -> Result<Behaviour, String> {
        let update = serde_json::from_str(json).map_err(|error| error.to_string())?;
        usual().updated(&update, Instant::from_micros(0)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_stays() {
        assert_eq!(update("{}").unwrap(), usual());
        assert_eq!(update(r#"{"error_rate":0.5}"#).unwrap(), Behaviour { error_rate: 0.5, ..usual() });
    }

    #[test]
    fn an_outage_begins_and_ends() {
        let until = Instant::from_micros(5_000_000);
        let down = update(r#"{"outage":{"for_ms":5000}}"#).unwrap();
        assert_eq!(down.outage, Some(Outage { until }));
        assert_eq!(update(r#"{"outage":{"until":"1970-01-01T00:00:05Z"}}"#).unwrap(), down);
        assert!(down.is_down(until.minus(Duration::from_micros(1))));
        assert!(!down.is_down(until));
        assert_eq!(down.at(until).outage, None);
        let ended = BehaviourUpdate { outage: Some(None), ..BehaviourUpdate::default() };
        assert_eq!(down.updated(&ended, Instant::from_micros(1)).unwrap().outage, None);
        let other = BehaviourUpdate { error_rate: Some(0.1), ..BehaviourUpdate::default() };
        assert_eq!(down.updated(&other, Instant::from_micros(1)).unwrap().outage, Some(Outage { until }));
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for (json, error) in [
            (r#"{"error_rate":1.1}"#, "error_rate must lie between 0 and 1"),
            (
                r#"{"latency_p50_ms":50}"#,
                "latency_p50_ms must not be above latency_p99_ms; send that as well, such as five times as much",
            ),
            (
                r#"{"latency_p99_ms":5}"#,
                "latency_p99_ms must not be below latency_p50_ms; send that as well, such as a fifth of it",
            ),
            (r#"{"latency_p99_ms":60001}"#, "latency_p99_ms must lie between 0 and 60000 milliseconds"),
            (r#"{"outage":{"for_ms":99999999999}}"#, "outage must end within 24 hours"),
        ] {
            assert_eq!(update(json).unwrap_err(), error);
        }
        for json in
            [r#"{"eror_rate":0.1}"#, r#"{"outage":{}}"#, r#"{"outage":{"for_ms":1,"x":2}}"#, "[]", r#"{"outage":5}"#]
        {
            assert!(update(json).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_update_makes_a_behaviour_that_can_not_be(p50: Option<f64>, p99: Option<f64>, rate: Option<f64>) {
            let update = BehaviourUpdate {
                latency_p50_ms: p50, latency_p99_ms: p99, hang_rate: rate, ..BehaviourUpdate::default()
            };
            if let Ok(behaviour) = usual().updated(&update, Instant::now()) {
                prop_assert!((0.0..=1.0).contains(&behaviour.hang_rate));
                prop_assert!(behaviour.latency_p50_ms <= behaviour.latency_p99_ms);
            }
        }
    }
}
