//! How figures are written for people: the same in every report.
//!
//! Three digits that say something, a unit, commas between thousands. What is no number is a dash.

use std::time::Duration;

use crate::plan::{Metric, Model, Plan};
use crate::result::{Reads, SloResult};

/// Stands where there is no figure.
pub const NONE: &str = "–";

/// Milliseconds: `0.45 ms`, `1.23 ms`, `45.6 ms`, `1.20 s`, `2 min 05 s`, `1 h 02 min`.
#[must_use]
pub fn millis(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let (sign, value) = (if value < 0.0 { "−" } else { "" }, value.abs());
    // The limits are where rounding would show a fourth digit or the next unit: 999.7 ms is 1.00 s.
    if value == 0.0 {
        "0 ms".to_owned()
    } else if value < 0.005 {
        format!("{sign}<0.01 ms")
    } else if value < 999.5 {
        format!("{sign}{} ms", three_digits(value))
    } else if value < 119_500.0 {
        format!("{sign}{} s", three_digits(value / 1000.0))
    } else if value < 3_599_500.0 {
        let seconds = (value / 1000.0).round();
        format!("{sign}{:.0} min {:02.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    } else {
        let minutes = (value / 60_000.0).round();
        format!("{sign}{} h {:02.0} min", whole((minutes / 60.0).floor()), minutes % 60.0)
    }
}

/// The same, of whole milliseconds.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "durations are far below 2^52 milliseconds")]
pub fn whole_millis(value: u64) -> String {
    millis(value as f64)
}

/// A duration as one would type it: `250 ms`, `5 s`, `1.5 s`, `2 min`, `1 h 30 min`.
#[must_use]
pub fn duration(value: Duration) -> String {
    let (whole, rest) = (value.as_secs(), value.subsec_millis());
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, 0) if rest > 0 => format!("{rest} ms"),
        (0, 0, _) if rest > 0 => short(value.as_secs_f64(), 3) + " s",
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, 0, _) => format!("{} h", count(hours)),
        (hours, minutes, _) => format!("{} h {minutes:02} min", count(hours)),
    }
}

/// A point of the timeline: `38 s`, `1:02 min`, `1:02:05 h`.
#[must_use]
pub fn point(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NONE.to_owned();
    }
    let whole = seconds.max(0.0).round();
    if whole < 60.0 {
        return format!("{} s", trimmed(seconds.max(0.0), 1));
    }
    let (minutes, rest) = ((whole / 60.0).floor(), whole % 60.0);
    if minutes < 60.0 {
        format!("{minutes:.0}:{rest:02.0} min")
    } else {
        format!("{:.0}:{:02.0}:{rest:02.0} h", (minutes / 60.0).floor(), minutes % 60.0)
    }
}

/// A whole number: `12,000`.
#[must_use]
pub fn count(value: u64) -> String {
    separated(&value.to_string())
}

/// Reads in a line: how many, and what they have cost the platform.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of requests")]
pub fn reads(of: &Reads) -> String {
    let whole = of.count.max(1) as f64;
    format!(
        "p50 {}  p95 {}  p99 {};  {} read;  {} unchanged (304), {} from memory, {} ledger reads per 1,000",
        millis(of.ms.p50),
        millis(of.ms.p95),
        millis(of.ms.p99),
        rate(of.rate),
        percent(of.not_modified as f64 / whole),
        percent(of.cached as f64 / whole),
        number(of.ledger_reads as f64 * 1_000.0 / whole),
    )
}

/// A rate: `0.25/s`, `199.8/s`, `12,345/s`.
#[must_use]
pub fn rate(value: f64) -> String {
    number(value) + "/s"
}

/// A number that may have a fraction: `0.25`, `199.8`, `12,345`.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        NONE.to_owned()
    } else if value.abs() < 9.995 {
        minus(trimmed(value, 2))
    } else if value.abs() < 999.95 {
        minus(trimmed(value, 1))
    } else {
        whole(value)
    }
}

/// A fraction of 1: `0%`, `0.02%`, `12.3%`, `100%`. What is not nothing is never `0%`, nor is what is not all `100%`.
#[must_use]
pub fn percent(fraction: f64) -> String {
    let value = fraction * 100.0;
    if !value.is_finite() {
        NONE.to_owned()
    } else if value > 0.0 && value < 0.005 {
        "<0.01%".to_owned()
    } else if (99.95..100.0).contains(&value) {
        let shown = (value * 100.0).floor() / 100.0;
        format!("{}%", trimmed(shown.min(99.99), 2))
    } else if value.abs() < 9.995 {
        minus(trimmed(value, 2)) + "%"
    } else if value.abs() < 999.95 {
        minus(trimmed(value, 1)) + "%"
    } else {
        whole(value) + "%"
    }
}

/// A relative change: `+3.1%`, `−0.4%`, `±0%`.
#[must_use]
pub fn change(fraction: f64) -> String {
    let value = fraction * 100.0;
    if !value.is_finite() {
        NONE.to_owned()
    } else if value.abs() < 0.05 {
        "±0%".to_owned()
    } else {
        let sign = if value > 0.0 { "+" } else { "−" };
        let shown = if value.abs() < 999.95 { trimmed(value.abs(), 1) } else { whole(value.abs()) };
        format!("{sign}{shown}%")
    }
}

/// How large a load is: `100 users` or `200/s`.
#[must_use]
pub fn size(model: Model, value: f64) -> String {
    match model {
        Model::Closed if number(value) == "1" => "1 user".to_owned(),
        Model::Closed => format!("{} users", number(value)),
        Model::Open => rate(value),
    }
}

/// A figure in the unit of what it measures.
#[must_use]
pub fn measured(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Accept
        | Metric::AcceptService
        | Metric::EndToEnd
        | Metric::EndToEndService
        | Metric::QueueWait
        | Metric::Work
        | Metric::Read
        | Metric::OldestAge => millis(value),
        Metric::Errors | Metric::Dead | Metric::Declined => percent(value),
        Metric::Offered | Metric::Accepted | Metric::Completed => rate(value),
        Metric::Backlog => number(value),
    }
}

/// What was measured of a promise, in its unit; a dash without samples. Where three digits would look like the bound,
/// and the verdict is another than the bound's, it has more.
#[must_use]
pub fn actual(plan: &Plan, result: &SloResult) -> String {
    let promise = plan.slo.iter().find(|slo| slo.text == result.expr);
    match (result.actual, promise) {
        (None, _) => NONE.to_owned(),
        (Some(value), None) => figure(&result.expr, value),
        (Some(value), Some(slo)) => {
            let text = measured(slo.metric, value);
            let close = slo.holds(value) != slo.holds(slo.bound) && text == measured(slo.metric, slo.bound);
            if close { slo.describe(value).replace(" %", "%") } else { text }
        }
    }
}

/// A figure in the unit that its name means: `accept.p95` is a time, `errors` a share, `completed` a rate.
#[must_use]
pub fn figure(name: &str, value: f64) -> String {
    let metric = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').next().unwrap_or(name);
    match metric {
        "errors" | "dead" | "declined" => percent(value),
        "offered" | "accepted" | "completed" => rate(value),
        "backlog" => number(value),
        "accept" | "e2e" | "queue" | "queue_wait" | "queue-wait" | "wait" | "work" | "oldest" | "oldest_age" => {
            millis(value)
        }
        _ => number(value),
    }
}

fn three_digits(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// With so many decimals, or none if all of them would be 0.
fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|digit| digit == b'0') => match whole {
            "-0" => "0".to_owned(),
            whole => whole.to_owned(),
        },
        _ => text,
    }
}

/// With so many decimals, without zeros at the end.
pub(crate) fn short(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn whole(value: f64) -> String {
    minus(separated(&format!("{value:.0}")))
}

fn minus(text: String) -> String {
    if text.starts_with('-') { text.replacen('-', "−", 1) } else { text }
}

fn separated(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::result::Verdict;

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
        let cases = [
            (0.0, "0 ms"),
            (0.001, "<0.01 ms"),
            (0.451, "0.45 ms"),
            (1.234, "1.23 ms"),
            (9.996, "10.0 ms"),
            (45.62, "45.6 ms"),
            (99.96, "100 ms"),
            (456.4, "456 ms"),
            (999.6, "1.00 s"),
            (1200.0, "1.20 s"),
            (31_450.0, "31.4 s"),
            (119_400.0, "119 s"),
            (119_600.0, "2 min 00 s"),
            (125_000.0, "2 min 05 s"),
            (3_599_600.0, "1 h 00 min"),
            (3_720_000.0, "1 h 02 min"),
            (-1.5, "−1.50 ms"),
            (f64::NAN, "–"),
        ];
        for (value, text) in cases {
            assert_eq!(millis(value), text, "{value}");
        }
    }

    #[test]
    fn durations_read_as_they_are_typed() {
        let cases =
            [(0, "0 s"), (250, "250 ms"), (1500, "1.5 s"), (5000, "5 s"), (120_000, "2 min"), (90_000, "1 min 30 s")];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!([3600, 5400].map(|seconds| duration(Duration::from_secs(seconds))), ["1 h", "1 h 30 min"]);
    }

    #[test]
    fn points_of_the_timeline_read_like_a_clock() {
        let cases = [(0.0, "0 s"), (38.0, "38 s"), (0.5, "0.5 s"), (59.6, "1:00 min"), (62.0, "1:02 min")];
        for (seconds, text) in cases {
            assert_eq!(point(seconds), text);
        }
        assert_eq!(point(3725.0), "1:02:05 h");
    }

    #[test]
    fn large_numbers_are_separated() {
        assert_eq!([0, 999, 1000, 12_000, 1_234_567].map(count), ["0", "999", "1,000", "12,000", "1,234,567"]);
        assert_eq!(
            [0.25, 50.0, 199.84, 999.96, 12_345.4].map(rate),
            ["0.25/s", "50/s", "199.8/s", "1,000/s", "12,345/s"]
        );
        assert_eq!([-0.001, -2.5, -12_345.0].map(number), ["0", "−2.50", "−12,345"]);
    }

    #[test]
    fn a_share_is_nothing_or_all_only_if_it_is() {
        let cases = [
            (0.0, "0%"),
            (0.000_001, "<0.01%"),
            (0.0002, "0.02%"),
            (0.123, "12.3%"),
            (0.999_999, "99.99%"),
            (0.9996, "99.96%"),
            (1.0, "100%"),
            (12.0, "1,200%"),
        ];
        for (fraction, text) in cases {
            assert_eq!(percent(fraction), text, "{fraction}");
        }
    }

    #[test]
    fn a_promise_kept_by_a_hair_does_not_look_missed() {
        let plan = Plan { slo: vec!["e2e.p95<2s".parse().unwrap()], ..crate::report::fixture::empty().plan };
        let told = |measured| {
            let expr = "e2e.p95<2s".to_owned();
            actual(&plan, &SloResult { expr, actual: measured, n: 1, verdict: Verdict::Fail, broken_s: None })
        };
        assert_eq!([Some(1999.9), Some(2310.0), None].map(told), ["1.9999 s", "2.31 s", "–"]);
    }

    #[test]
    fn a_change_has_a_sign() {
        assert_eq!([0.031, -0.004, 0.0, 0.0004].map(change), ["+3.1%", "−0.4%", "±0%", "±0%"]);
    }

    #[test]
    fn figures_have_the_unit_of_their_name() {
        let cases = [("accept.p95", "4.50 ms"), ("errors", "450%"), ("completed", "4.50/s"), ("backlog.max", "4.50")];
        for (name, text) in cases {
            assert_eq!(figure(name, 4.5), text, "{name}");
        }
        assert_eq!(size(Model::Closed, 1.0), "1 user");
        assert_eq!([size(Model::Closed, 1000.0), size(Model::Open, 2.5)], ["1,000 users", "2.50/s"]);
    }

    proptest! {
        #[test]
        fn every_number_can_be_written(value in proptest::num::f64::ANY, whole in any::<u64>()) {
            for text in [millis(value), rate(value), percent(value), change(value), point(value), number(value)] {
                prop_assert!(!text.is_empty() && !text.contains("NaN") && !text.contains("inf") && !text.contains("-"));
            }
            prop_assert_eq!(count(whole).replace(',', ""), whole.to_string());
        }
    }
}
