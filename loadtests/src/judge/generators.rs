//! Whether several generators made the load that was planned: each counts, and the worst decides.

use crate::plan::grouped;
use crate::result::{Part, Report};

/// Who begins later than this did not begin with the others.
const TOGETHER_MS: f64 = 1000.0;

/// How the reason begins that there is an interruption.
const UNTIL_INTERRUPTED: &str = "the measurements only cover the time until the interruption";

/// The generators of which there is nothing, each in words.
pub(super) fn missing(report: &Report) -> impl Iterator<Item = String> {
    let of = report.generators.len();
    report.generators.iter().filter_map(move |part| {
        let why = part.missing.as_ref()?;
        Some(format!("generator {} of {of} is missing: {why}", part.number))
    })
}

/// Why the figures of each say nothing, but for what is said of all.
pub(super) fn reasons(report: &Report, of_all: &[String]) -> Vec<String> {
    report.generators.iter().flat_map(|part| of(part, of_all)).collect()
}

fn of(part: &Part, of_all: &[String]) -> Vec<String> {
    let number = part.number;
    let own = part.reasons.iter().filter(|reason| {
        // What was lost is said with its generator already.
        let named = format!("generator {number}: ");
        // That all were interrupted is said once, with the one that began it.
        let interrupted = |text: &str| text.starts_with(UNTIL_INTERRUPTED);
        let said = |said: &String| said == *reason || said.replace(&named, "") == **reason;
        !of_all.iter().any(|one| said(one) || (interrupted(one) && interrupted(reason)))
    });
    let mut reasons: Vec<String> = own.map(|reason| format!("generator {number}: {reason}")).collect();
    if let Some(late) = part.late_ms.filter(|late| *late > TOGETHER_MS) {
        reasons.push(format!("generator {number} started {:.1} s after the others", late / 1000.0));
    }
    reasons
}

/// What should be known: how many there were, and how far their clocks are from each other.
pub(super) fn note(report: &Report) -> Option<String> {
    let parts = &report.generators;
    if parts.is_empty() {
        return None;
    }
    let ahead = || parts.iter().filter_map(|part| part.clock_ahead_ms);
    let (least, most) = (ahead().reduce(f64::min), ahead().reduce(f64::max));
    let within = parts.iter().filter_map(|part| part.clock_within_ms).fold(0.0, f64::max);
    let clocks = least.zip(most).filter(|_| parts.len() > 1).map_or_else(String::new, |(least, most)| {
        let apart = most - least;
        format!(
            "; they started together by the platform's clock; their own clocks differ by {apart:.1} ms (±{within:.1} ms)"
        )
    });
    Some(format!("the load came from {} generators{clocks}", grouped(parts.len() as u64)))
}
