//! Load generators, where several generators did.

use super::format::{NONE, count, millis, percent};
use crate::result::{Part, Report};

/// What the columns of [`rows`] are, and whether they are figures.
pub(super) const COLUMNS: [(&str, bool); 6] = [
    ("Generator", true),
    ("Accepted", true),
    ("Processor", true),
    ("Began late", true),
    ("Clock to the platform's", true),
    ("Found", false),
];

/// One for each generator, nothing escaped; none if there was only one.
pub(super) fn rows(report: &Report) -> impl Iterator<Item = [String; 6]> {
    report.generators.iter().map(row)
}

fn row(part: &Part) -> [String; 6] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    let processor = part.generator_cpu.map(|share| match part.cores {
        Some(1) => format!("{} of 1 core", percent(share)),
        Some(cores) => format!("{} of {cores} cores", percent(share)),
        None => percent(share),
    });
    let clock = part.clock_ahead_ms.map(|ahead| {
        let side = if ahead < 0.0 { "behind" } else { "ahead" };
        let within = part.clock_within_ms.map_or_else(String::new, |within| format!(" (±{})", millis(within)));
        format!("{} {side}{within}", millis(ahead.abs()))
    });
    let found = match &part.missing {
        Some(why) => format!("missing: {why}"),
        None if part.reasons.is_empty() => "sound".to_owned(),
        None => part.reasons.join("; "),
    };
    [
        part.number.to_string(),
        or_none(part.accepted.map(count)),
        or_none(processor),
        or_none(part.late_ms.map(millis)),
        or_none(clock),
        found,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn each_generator_has_a_row_and_what_is_missing_has_no_figures() {
        let mut report = fixture::report();
        let lost = &mut report.generators[1];
        (lost.missing, lost.accepted, lost.generator_cpu) = (Some("killed".to_owned()), None, None);
        (lost.late_ms, lost.clock_ahead_ms) = (None, None);
        let rows: Vec<_> = rows(&report).collect();
        assert_eq!(rows[0], ["1", "5,999", "12% of 8 cores", "0.20 ms", "1.50 ms behind (±0.40 ms)", "sound"]);
        assert_eq!(rows[1], ["2", NONE, NONE, NONE, NONE, "missing: killed"]);
        assert_eq!(super::rows(&fixture::empty()).count(), 0);
    }
}
