//! Settings that come in pairs, of which one must not be above the other. Whoever gives one of them has not thought of the
//! other: it follows. Whoever gives both has to give two that fit, and is told so by the one that was given last.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Value;

use super::Origin;
use crate::time::{format_duration, parse_duration};

struct Pair {
    low: &'static str,
    high: &'static str,
    /// How many times the low one the high one is when it follows.
    times: u32,
    /// Whether two that do not fit make no sense; else the high one just bounds the other.
    refused: bool,
}

const PAIRS: [Pair; 2] = [
    Pair { low: "issuer.latency-p50", high: "issuer.latency-p99", times: 5, refused: true },
    Pair { low: "worker.retry.base", high: "worker.retry.cap", times: 1, refused: false },
];

type Values = BTreeMap<String, (Value, Origin)>;

impl Pair {
    /// Both, if the low one is above the high one.
    fn misfit(&self, values: &Values) -> Option<(Duration, Duration)> {
        let read = |key| values.get(key).and_then(|(value, _)| parse_duration(value.as_str()?).ok());
        let (low, high) = (read(self.low)?, read(self.high)?);
        (low > high).then_some((low, high))
    }
}

/// Lets the one that is built in follow the one that was given.
pub(super) fn follow(values: &mut Values) {
    for pair in &PAIRS {
        let Some((low, high)) = pair.misfit(values) else { continue };
        let origin = |key| values.get(key).map_or(Origin::BuiltIn, |(_, origin)| origin.clone());
        let (follower, value, origin) = match (origin(pair.low), origin(pair.high)) {
            (Origin::BuiltIn, Origin::BuiltIn) => continue,
            (given, Origin::BuiltIn) => (pair.high, low.saturating_mul(pair.times), given),
            (Origin::BuiltIn, given) => (pair.low, high / pair.times, given),
            _ => continue,
        };
        values.insert(follower.to_owned(), (Value::String(format_duration(value)), origin));
    }
}

/// What is wrong with two that were given: the one to blame, and why.
pub(super) fn check(values: &Values) -> Result<(), (&'static str, String)> {
    for pair in PAIRS.iter().filter(|pair| pair.refused) {
        let Some((low, high)) = pair.misfit(values) else { continue };
        let origin = |key| values.get(key).map_or(&Origin::BuiltIn, |(_, origin)| origin);
        let (low_origin, high_origin) = (origin(pair.low), origin(pair.high));
        return Err(if rank(high_origin) > rank(low_origin) {
            let (low, at_most) = (format_duration(low), format_duration(high / pair.times));
            let message = format!(
                "must not be below {}, which is {low} ({low_origin}); set that too, such as {at_most}",
                pair.low
            );
            (pair.high, message)
        } else {
            let (high, at_least) = (format_duration(high), format_duration(low.saturating_mul(pair.times)));
            let message = format!(
                "must not be above {}, which is {high} ({high_origin}); set that too, such as {at_least}",
                pair.high
            );
            (pair.low, message)
        });
    }
    Ok(())
}

fn rank(origin: &Origin) -> u8 {
    match origin {
        Origin::BuiltIn => 0,
        Origin::File(_) => 1,
        Origin::Environment(_) => 2,
        Origin::Flag(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Layers;
    use super::*;

    fn resolved(flags: &[(&str, &str)]) -> Result<super::super::Settings, String> {
        let mut layers = Layers::built_in();
        for (key, text) in flags {
            layers.flag(key, text, "--set").unwrap();
        }
        layers.resolve().map(|resolved| resolved.settings).map_err(|error| error.to_string())
    }

    #[test]
    fn one_of_a_pair_is_enough() {
        let slow = resolved(&[("issuer.latency-p50", "100ms")]).unwrap().issuer;
        assert_eq!((slow.latency_p50, slow.latency_p99), (Duration::from_millis(100), Duration::from_millis(500)));
        let quick = resolved(&[("issuer.latency-p99", "5ms")]).unwrap().issuer;
        assert_eq!((quick.latency_p50, quick.latency_p99), (Duration::from_millis(1), Duration::from_millis(5)));
        let fits = resolved(&[("issuer.latency-p50", "20ms")]).unwrap().issuer;
        assert_eq!(fits.latency_p99, Duration::from_millis(40), "what fits stays as it is");
        let retry = resolved(&[("worker.retry.base", "1m")]).unwrap().worker.retry;
        assert_eq!(retry.ceiling(1), Duration::from_secs(60));
    }

    #[test]
    fn two_that_do_not_fit_blame_the_one_that_was_given_last_and_say_what_to_give() {
        let error = resolved(&[("issuer.latency-p50", "100ms"), ("issuer.latency-p99", "50ms")]).unwrap_err();
        assert_eq!(
            error,
            "--set: issuer.latency-p50: must not be above issuer.latency-p99, which is 50ms (--set); set that too, such as 500ms"
        );
        let mut layers = Layers::built_in();
        layers.flag("issuer.latency-p99", "10ms", "--set").unwrap();
        layers.environment([("CARDCTL_ISSUER_LATENCY_P50".to_owned(), "20ms".to_owned())]).unwrap();
        // Put in by hand in the other order: what counts is which source wins.
        let error = layers.resolve().unwrap_err().to_string();
        assert_eq!(
            error,
            "--set: issuer.latency-p99: must not be below issuer.latency-p50, which is 20ms \
             ($CARDCTL_ISSUER_LATENCY_P50); set that too, such as 2ms"
        );
    }
}
