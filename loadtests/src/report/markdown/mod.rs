//! The result as Markdown, for the summary of a CI job, a pull request or a terminal: what has to be said first, then
//! section by section.

mod audit;
pub(in crate::report) mod escape;
mod figures;
mod ran;
mod steps;

use card_core::plain;

use super::remarks::{Weight, loud, remarks};
use super::table::{Side, Table};
use super::{comparison, crew};
use crate::judge::why;
use crate::result::Report;

/// The whole document.
#[must_use]
pub fn render(report: &Report) -> String {
    let sections = [
        Some(head(report)),
        Some(audit::section(report)),
        figures::promises(report),
        Some(figures::latencies(report)),
        Some(figures::rates(report)),
        steps::section(report),
        steps::breakpoint(report),
        report.regression.as_ref().map(|regression| format!("## Regression\n\n{}", comparison::markdown(regression))),
        Some(validity(report)),
        Some(ran::section(report)),
    ];
    plain::document(&sections.into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

/// The verdict, and why.
fn head(report: &Report) -> String {
    let (run, verdict) = (escape::text(&report.run), loud(report.verdict));
    let mut text = format!(
        "# Load test {run}: {verdict}\n\n**{verdict}** (exit {}): {}\n",
        report.exit,
        escape::text(&why(report))
    );
    let remarks = remarks(report);
    if !remarks.is_empty() {
        text += "\n";
    }
    for remark in remarks {
        let about = match remark.weight {
            Weight::Error => format!("**{}**", remark.about),
            Weight::Warning => remark.about.to_owned(),
        };
        text += &format!("- {about}: {}\n", escape::text(&remark.text));
    }
    text
}

fn validity(report: &Report) -> String {
    use super::format::{NONE, millis, percent};
    let validity = &report.validity;
    let or_none = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), percent);
    let mut text = format!(
        "## Validity: {}\n\nGenerator {} of the processor (at most {}), machine {}; late starts {} (p99 {}); planned arrivals \
         sent {}.\n",
        loud(validity.verdict),
        percent(validity.generator_cpu),
        percent(validity.generator_cpu_max),
        or_none(validity.machine_cpu),
        percent(validity.late_starts),
        millis(validity.late_p99_ms),
        or_none(validity.offered_ratio),
    );
    let reasons = validity.reasons.iter().cloned();
    let held = (validity.held_back > 0)
        .then(|| format!("{} held back by the limit on requests at once", times(validity.held_back, "arrival")));
    let lines: Vec<String> = reasons.chain(held).chain(validity.notes.iter().cloned()).collect();
    if !lines.is_empty() {
        text += "\n";
    }
    text = lines.iter().fold(text, |text, line| text + "- " + &escape::text(line) + "\n");
    if !report.generators.is_empty() {
        let side = |figures| if figures { Side::Right } else { Side::Left };
        let mut table = Table::new(crew::COLUMNS.map(|(name, figures)| (name, side(figures))));
        crew::rows(report).for_each(|row| table.row(row.map(|cell| escape::text(&cell))));
        text += &format!("\n{}", table.markdown());
    }
    text
}

/// `no gaps`, `1 gap`, `2 gaps`.
fn times(count: u64, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        _ => format!("{} {what}s", super::format::count(count)),
    }
}

/// Something long that is shown when asked for; in a terminal it is simply there.
fn details(summary: &str, inside: &str) -> String {
    format!("<details><summary>{summary}</summary>\n\n{inside}\n</details>\n")
}

fn as_count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
