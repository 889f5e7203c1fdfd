//! A generator that stood still: it neither asked nor heard meanwhile, so what waited for it waited because of it. Whether
//! it did for seconds, or again and again for a part of a tenth of a second because others had the processor.

use crate::plan::{Slo, Stat, Unit, described, percent};
use crate::result::Sample;

/// A larger part of the measured time, and the load was not what was planned.
const FEW: f64 = 0.05;
/// Less than this is what a machine that others use as well costs everybody, in seconds.
const NOTABLE_S: f64 = 0.5;

/// A larger share of its processor that the machine's host gave to others, mean, and the generator's times are not its own.
const ROBBED: f64 = 0.1;

/// A larger share of its quota's periods without processor time left, mean, and the times are the quota's: two of a hundred
/// answers came while it waited.
const THROTTLED: f64 = 0.05;

/// Says so if it did for too long to believe these seconds.
pub(super) fn found(seconds: &[&Sample]) -> Vec<String> {
    let (stood_still, whole) = sums(seconds);
    let mut found = Vec::new();
    if is_long(stood_still, whole) {
        let [stood_still, whole] = [stood_still, whole].map(|seconds| described(Unit::Time, seconds * 1000.0));
        found.push(format!("the generator was stalled for {stood_still} of {whole}"));
    }
    if let Some(throttled) = throttled(seconds).filter(|share| *share >= THROTTLED) {
        let share = percent(throttled);
        found.push(format!("the generator was throttled in {share} of its CPU quota periods"));
    }
    found
}

/// Says so if the machine's host gave much of its processor to others.
pub(super) fn robbed(seconds: &[&Sample]) -> Option<String> {
    let stolen = percent(stolen(seconds).filter(|share| *share >= ROBBED)?);
    Some(format!("the host gave {stolen} of this machine's CPU to others during the measurement"))
}

/// Says so if it did, and the measurements are valid all the same.
pub(super) fn little(seconds: &[&Sample]) -> Option<String> {
    let (stood_still, whole) = sums(seconds);
    (stood_still >= NOTABLE_S && !is_long(stood_still, whole)).then(|| {
        let took = described(Unit::Time, stood_still * 1000.0);
        format!("the generator was stalled for {took}, {} of the measured time", percent(stood_still / whole))
    })
}

/// Whether a promise that was missed in these seconds may have been missed because the generator stood still. What the
/// platform says of itself, and what the audit found, does not depend on that.
pub(super) fn excuses(slo: &Slo, seconds: &[&Sample]) -> bool {
    let few = matches!(slo.stat, Some(Stat::P99 | Stat::Max | Stat::Mean));
    // A figure of few requests is moved by a short one, too.
    let enough = slows(seconds) || (few && sums(seconds).0 >= NOTABLE_S);
    enough && (slo.is_latency() || slo.unit() == Unit::Rate)
}

/// Whether every time of these seconds may be longer because of it.
pub(super) fn slows(seconds: &[&Sample]) -> bool {
    !found(seconds).is_empty() || robbed(seconds).is_some()
}

fn is_long(stood_still: f64, whole: f64) -> bool {
    stood_still >= NOTABLE_S && stood_still > whole * FEW
}

fn throttled(seconds: &[&Sample]) -> Option<f64> {
    mean(seconds.iter().filter_map(|second| second.throttled))
}

fn stolen(seconds: &[&Sample]) -> Option<f64> {
    mean(seconds.iter().filter_map(|second| second.stolen))
}

#[expect(clippy::cast_precision_loss, reason = "a number of seconds")]
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

fn sums(seconds: &[&Sample]) -> (f64, f64) {
    seconds
        .iter()
        .fold((0.0, 0.0), |(stood_still, whole), second| (stood_still + second.stood_still, whole + second.lasted))
}
