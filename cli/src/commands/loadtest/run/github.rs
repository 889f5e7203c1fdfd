//! Under GitHub Actions: annotations on the run, and the report in the summary of the job.

use std::path::PathBuf;

use card_loadtests::report::github;
use card_loadtests::result::Report;

use super::place::Place;
use super::tidy;
use crate::failure::Failure;
use crate::output::Printer;
use card_core::exit::Exit;

/// Tells it, if that is where this runs. Workflow commands are read from stderr as well, and stdout stays data.
pub(super) fn tell(report: &Report, place: &Place, printer: &Printer) {
    if std::env::var_os("GITHUB_ACTIONS").is_none_or(|value| value != "true") {
        return;
    }
    for annotation in github::annotations(report, &place.dir().display().to_string()) {
        printer.command(annotation);
    }
    let summary = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = summary
        && let Err(error) = github::write_summary(&path, report)
    {
        let message = format!("the job summary can't be written: {error}");
        let failure = Failure::new("summary", Exit::NotReady, message).evidence(path.display());
        tidy::say(printer, failure.fix("check $GITHUB_STEP_SUMMARY"));
    }
}
