//! A generator that stood still: it neither asked nor heard meanwhile, so what waited for it waited because of it.

use crate::plan::{Slo, Stat, Unit, described, percent};
use crate::result::Sample;

/// A larger part of the measured time, and the load was not what was planned.
const FEW: f64 = 0.05;
/// Less than this is what a machine that others use as well costs everybody, in seconds.
const NOTABLE_S: f64 = 0.5;

/// Says so if it did for too long to believe these seconds.
pub(super) fn found(seconds: &[&Sample]) -> Option<String> {
    let (stood_still, whole) = sums(seconds);
    is_long(stood_still, whole).then(|| {
        let [stood_still, whole] = [stood_still, whole].map(|seconds| described(Unit::Time, seconds * 1000.0));
        format!("the generator stood still for {stood_still} of {whole}: it neither asked nor heard meanwhile")
    })
}

/// Says so if it did, and the figures can be believed all the same.
pub(super) fn little(seconds: &[&Sample]) -> Option<String> {
    let (stood_still, whole) = sums(seconds);
    (stood_still >= NOTABLE_S && !is_long(stood_still, whole)).then(|| {
        let took = described(Unit::Time, stood_still * 1000.0);
        format!("the generator stood still for {took}, {} of the measured time", percent(stood_still / whole))
    })
}

/// Whether a promise that was missed in these seconds may have been missed because the generator stood still. What the
/// platform says of itself, and what the audit found, does not depend on that.
pub(super) fn excuses(slo: &Slo, seconds: &[&Sample]) -> bool {
    let (stood_still, whole) = sums(seconds);
    let few = matches!(slo.stat, Some(Stat::P99 | Stat::Max | Stat::Mean));
    // A figure of few requests is moved by a short one, too.
    let enough = is_long(stood_still, whole) || (few && stood_still >= NOTABLE_S);
    enough && (slo.is_latency() || slo.unit() == Unit::Rate)
}

fn is_long(stood_still: f64, whole: f64) -> bool {
    stood_still >= NOTABLE_S && stood_still > whole * FEW
}

fn sums(seconds: &[&Sample]) -> (f64, f64) {
    seconds
        .iter()
        .fold((0.0, 0.0), |(stood_still, whole), second| (stood_still + second.stood_still, whole + second.lasted))
}
