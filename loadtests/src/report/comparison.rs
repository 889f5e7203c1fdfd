//! Two runs against each other, for people: `loadtest compare`, and the part of a report about its baseline.

use card_core::plain;

use super::format;
use super::markdown::escape;
use super::remarks::{loud, word};
use super::table::{Side, Table};
use crate::result::{Change, Regression};

/// For a terminal, without colours.
#[must_use]
pub fn text(regression: &Regression) -> String {
    let mut text = format!("{}  against {}\n", loud(regression.verdict), control_free(&named(regression)));
    if !regression.changes.is_empty() {
        text += "\n";
        text += &table(regression, control_free).text();
        text += "\n";
        text += &terms(regression);
    }
    let lines = |text: String, (what, lines): (&str, &[String])| {
        lines.iter().fold(text, |text, line| text + what + &control_free(line) + "\n")
    };
    [("can't be compared: ", &regression.unlike[..]), ("note: ", &regression.notes[..])].into_iter().fold(text, lines)
}

/// The same as Markdown, without a heading of its own.
#[must_use]
pub fn markdown(regression: &Regression) -> String {
    let mut text = format!("**{}** against {}\n", loud(regression.verdict), escape::text(&named(regression)));
    if !regression.unlike.is_empty() {
        text += "\nThe two can't be compared:\n\n";
        text += &bullets(&regression.unlike);
    }
    if !regression.changes.is_empty() {
        text += "\n";
        text += &table(regression, escape::text).markdown();
        text += "\n";
        text += &terms(regression);
    }
    if !regression.notes.is_empty() {
        text += "\nNotes:\n\n";
        text += &bullets(&regression.notes);
    }
    text
}

/// One figure in one line: `e2e.p95 1.52 s → 2.31 s, +52%, noise ±8%`.
pub(super) fn sentence(change: &Change) -> String {
    let (before, after) = (figure(change, change.before), figure(change, change.after));
    let noise = change.noise.map_or_else(String::new, |_| format!(", noise {}", noise(change)));
    let moved = match moved(change) {
        moved if moved == format::NONE => String::new(),
        moved => format!(", {moved}"),
    };
    format!("{} {before} → {after}{moved}{noise}", change.figure)
}

pub(super) fn named(regression: &Regression) -> String {
    match &regression.baseline_run {
        Some(run) if *run != regression.baseline => format!("{} (run {run})", regression.baseline),
        _ => regression.baseline.clone(),
    }
}

fn table(regression: &Regression, shown: fn(&str) -> String) -> Table {
    let mut table = Table::new([
        ("figure", Side::Left),
        ("before", Side::Right),
        ("after", Side::Right),
        ("change", Side::Right),
        ("noise", Side::Right),
        ("verdict", Side::Left),
    ]);
    for change in &regression.changes {
        let verdict = word(change.verdict);
        let counts = if change.counts { "" } else { " (does not count)" };
        table.row([
            shown(&change.figure),
            figure(change, change.before),
            figure(change, change.after),
            moved(change),
            noise(change),
            format!("{verdict}{counts}"),
        ]);
    }
    table
}

pub(super) fn terms(regression: &Regression) -> String {
    format!(
        "Tolerance {}, of errors {}. Noise is how much a figure moves by itself between two such runs.\n",
        format::percent(regression.tolerance),
        points(crate::compare::ERRORS_TOLERANCE)
    )
}

fn figure(change: &Change, value: f64) -> String {
    format::figure(&change.figure, value)
}

/// Shares are compared by their difference, in percentage points; all else by the ratio.
pub(super) fn moved(change: &Change) -> String {
    if change.figure == "errors" {
        let more = change.after - change.before;
        return format!("{}{}", if more > 0.0 { "+" } else { "" }, points(more));
    }
    change.change.map_or_else(|| format::NONE.to_owned(), format::change)
}

pub(super) fn noise(change: &Change) -> String {
    match change.noise {
        None => format::NONE.to_owned(),
        Some(noise) if change.figure == "errors" => format!("±{}", points(noise)),
        Some(noise) => format!("±{}", format::percent(noise)),
    }
}

/// Percentage points.
fn points(fraction: f64) -> String {
    match format::number(fraction * 100.0) {
        one if one == "1" => "1 point".to_owned(),
        number => format!("{number} points"),
    }
}

fn bullets(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + "- " + &escape::text(line) + "\n")
}

/// What a file says must not colour or clear a terminal.
fn control_free(text: &str) -> String {
    text.replace(plain::acts, " ")
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::compare::{Options, missing};

    fn regression() -> Regression {
        fixture::report().regression.unwrap()
    }

    #[test]
    fn a_terminal_gets_columns() {
        let text = text(&regression());
        let expected = "\
FAIL  against out/5kd0aa/result.json (run 5kd0aa)

figure       before    after        change  noise  verdict
accept.p95  10.9 ms  11.4 ms         +4.6%    ±6%  pass
e2e.p95      1.52 s   2.31 s          +52%    ±8%  fail
e2e.p50      190 ms   212 ms        +11.6%   ±15%  inconclusive (does not count)
completed     231/s  229.6/s         −0.6%      –  pass
errors           0%    0.61%  +0.61 points      –  inconclusive

Tolerance 10%, of errors 1 point. Noise is how much a figure moves by itself between two such runs.
note: the baseline was made with version 0.0.9
";
        assert_eq!(text, expected);
    }

    #[test]
    fn markdown_gets_a_table() {
        let text = markdown(&regression());
        assert!(text.starts_with("**FAIL** against out/5kd0aa/result.json (run 5kd0aa)\n\n| figure     |"), "{text}");
        assert!(text.contains("| e2e.p95    |  1.52 s |  2.31 s |         +52% |   ±8% | fail"), "{text}");
        assert!(text.contains("- the baseline was made with version 0.0.9\n"), "{text}");
    }

    #[test]
    fn why_two_can_not_be_compared_is_listed_and_no_table_is_shown() {
        let mut refused = missing("users 50, here 100", &Options::default());
        refused.baseline = "a|b<i>\u{1b}[31m.json".to_owned();
        let (plain, marked) = (text(&refused), markdown(&refused));
        assert_eq!(plain, "INCONCLUSIVE  against a|b<i> [31m.json\ncan't be compared: users 50, here 100\n");
        assert_eq!(
            marked,
            "**INCONCLUSIVE** against a\\|b\\<i> \\[31m.json\n\nThe two can't be compared:\n\n- users 50, here 100\n"
        );
    }
}
