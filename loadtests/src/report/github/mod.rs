//! The result for GitHub Actions: annotations on the run, and the summary of the job.
//!
//! Pure, apart from [`write_summary`]. Whether it is GitHub that runs this, the caller knows (`GITHUB_ACTIONS=true`,
//! `GITHUB_STEP_SUMMARY`).

mod command;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use self::command::Level;
use super::markdown;
use super::remarks::{Weight, loud, remarks};
use crate::judge::why;
use crate::result::{Report, Verdict};

/// GitHub takes no more of one step's summary.
pub const SUMMARY_LIMIT: usize = 1024 * 1024;
/// GitHub shows no more annotations of one level and step.
const SHOWN: usize = 10;
const CUT: &str = "\n\nThe rest is too long for a job summary; the report has all of it.\n";

/// Workflow commands, one a line of standard output: an error for each thing that failed, a warning for each that could
/// not be found out, a notice if the run passed. `report` is where the whole report lies.
#[must_use]
pub fn annotations(report: &Report, report_path: &str) -> Vec<String> {
    let remarks = remarks(report);
    let mut lines = Vec::new();
    if report.verdict == Verdict::Pass {
        let text = format!("{}\nReport: {report_path}", why(report));
        lines.push(command::line(Level::Notice, &title(report, loud(report.verdict)), &text));
    }
    for (weight, level) in [(Weight::Error, Level::Error), (Weight::Warning, Level::Warning)] {
        let of_weight: Vec<_> = remarks.iter().filter(|remark| remark.weight == weight).collect();
        let one_by_one = if of_weight.len() > SHOWN { SHOWN - 1 } else { of_weight.len() };
        let (shown, rest) = of_weight.split_at(one_by_one);
        for remark in shown {
            let text = format!("{}\nReport: {report_path}", remark.text);
            lines.push(command::line(level, &title(report, remark.about), &text));
        }
        if !rest.is_empty() {
            let text = format!("and {} more\nReport: {report_path}", rest.len());
            lines.push(command::line(level, &title(report, "more"), &text));
        }
    }
    lines
}

fn title(report: &Report, about: &str) -> String {
    format!("Load test {}: {about}", report.run)
}

/// The job summary: the Markdown report, within [`SUMMARY_LIMIT`].
#[must_use]
pub fn summary(report: &Report) -> String {
    fit(markdown::render(report), SUMMARY_LIMIT)
}

/// Adds the summary to the file that `GITHUB_STEP_SUMMARY` names, within what the limit leaves of it.
///
/// # Errors
/// The file can't be written.
pub fn write_summary(path: &Path, report: &Report) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let taken = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // What stands there already may not end its line.
    let text = "\n".to_owned() + &markdown::render(report);
    file.write_all(fit(text, SUMMARY_LIMIT.saturating_sub(taken)).as_bytes())
}

/// Cuts at the end of a line, and closes what is open there; nothing if there is no room at all.
fn fit(text: String, limit: usize) -> String {
    const CLOSE: &str = "\n</details>\n";
    if text.len() <= limit {
        return text;
    }
    let Some(room) = limit.checked_sub(CUT.len() + CLOSE.len()) else { return String::new() };
    let end = text.floor_char_boundary(room);
    let kept = &text[..text[..end].rfind('\n').map_or(0, |at| at + 1)];
    let open = kept.matches("<details>").count() > kept.matches("</details>").count();
    format!("{kept}{}{CUT}", if open { CLOSE } else { "" })
}

#[cfg(test)]
mod tests;
