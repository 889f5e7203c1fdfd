//! Figures for people.

use super::Unit;

/// A figure with its unit, in as few digits (three at least) as `fits` is content with; it is asked about the figure
/// that a reader would read.
pub(super) fn describe(unit: Unit, value: f64, fits: impl Fn(f64) -> bool) -> String {
    let (name, size) = scale(unit, value);
    let shown = |digits| rounded(value / size, digits);
    let digits = (3..12).find(|digits| fits(shown(*digits).0 * size)).unwrap_or(3);
    format!("{}{name}", shown(digits).1)
}

/// What is written behind a figure of this size, and how much 1 of it is.
fn scale(unit: Unit, value: f64) -> (&'static str, f64) {
    match unit {
        Unit::Time if value > 0.0 && value < 1.0 => (" us", 0.001),
        Unit::Time if value < 1000.0 => (" ms", 1.0),
        Unit::Time if value < 600_000.0 => (" s", 1000.0),
        Unit::Time => (" m", 60_000.0),
        Unit::Share => ("%", 0.01),
        Unit::Rate => ("/s", 1.0),
        Unit::Count => ("", 1.0),
    }
}

/// With so many significant digits, but never less than the whole number: as a number and as text.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn rounded(value: f64, digits: i32) -> (f64, String) {
    let before = if value == 0.0 { 1 } else { value.abs().log10().floor() as i32 + 1 };
    let decimals = (digits - before).clamp(0, 12) as usize;
    let plain = format!("{value:.decimals$}");
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    (plain.parse().unwrap_or(value), format!("{}{point}{fraction}", thousands(whole)))
}

/// A number with commas: `12,000`.
pub(crate) fn grouped(number: u64) -> String {
    thousands(&number.to_string())
}

/// A figure with its unit, in three digits.
pub(crate) fn described(unit: Unit, value: f64) -> String {
    describe(unit, value, |_| true)
}

/// A fraction in percent: `0.4%`.
pub(crate) fn percent(fraction: f64) -> String {
    described(Unit::Share, fraction)
}

fn thousands(digits: &str) -> String {
    let mut grouped = String::new();
    for (index, digit) in digits.char_indices() {
        let left = digits.len() - index;
        if index > 0 && left.is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_the_unit_of_their_size() {
        let told = |unit, value| describe(unit, value, |_| true);
        for (value, expected) in [
            (0.0, "0 ms"),
            (0.42, "420 us"),
            (1.0, "1 ms"),
            (12.345, "12.3 ms"),
            (999.4, "999 ms"),
            (2310.0, "2.31 s"),
            (90_000.0, "90 s"),
            (1_800_000.0, "30 m"),
        ] {
            assert_eq!(told(Unit::Time, value), expected);
        }
        assert_eq!((told(Unit::Share, 0.004), told(Unit::Share, 1.0)), ("0.4%".to_owned(), "100%".to_owned()));
        assert_eq!((told(Unit::Rate, 512.0), told(Unit::Rate, 0.5)), ("512/s".to_owned(), "0.5/s".to_owned()));
        assert_eq!((told(Unit::Count, 12_345.0), grouped(1_234_567)), ("12,345".to_owned(), "1,234,567".to_owned()));
        assert_eq!((grouped(0), grouped(999), grouped(1000)), ("0".to_owned(), "999".to_owned(), "1,000".to_owned()));
    }

    #[test]
    fn a_figure_that_rounds_to_the_bound_is_told_more_exactly() {
        assert_eq!(describe(Unit::Time, 2000.4, |shown| shown > 2000.0), "2.0004 s");
    }
}
