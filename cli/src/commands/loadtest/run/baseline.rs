//! What a load test is compared with: a file, or the newest of the instance's own results that is like it.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use card_loadtests::compare::{Options, compare, load, missing};
use card_loadtests::result::{Regression, Report, Verdict};

use super::super::unreadable;
use super::place::newest_first;
use crate::failure::Failure;

/// `--baseline`, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// `last`.
    Last,
    /// Everything else. A file of that name is `./last`.
    File(PathBuf),
}

impl FromStr for Named {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "last" { Self::Last } else { Self::File(text.into()) })
    }
}

/// What there is to compare with.
pub(super) enum Baseline {
    /// This result.
    Of(Box<Report>, String),
    /// Results of this instance, the newest first.
    Among(Vec<PathBuf>),
}

impl Baseline {
    /// Reads it, or looks for what there is: before anything is sent, so that a run is not for nothing.
    pub(super) fn find(named: &Named, history: &Path) -> Result<Self, Failure> {
        match named {
            Named::Last => Ok(Self::Among(newest_first(history))),
            Named::File(file) => {
                let report = load(file).map_err(|error| unreadable(&error))?;
                Ok(Self::Of(Box::new(report), file.display().to_string()))
            }
        }
    }

    /// Compares.
    pub(super) fn compare(&self, report: &Report, options: &Options) -> Regression {
        match self {
            Self::Of(before, name) => compare(before, report, &named(options, name)),
            Self::Among(dirs) => newest_alike(dirs, report, options),
        }
    }
}

/// Whether a result may be what others are compared with.
fn is_believed(report: &Report) -> bool {
    report.validity.verdict == Verdict::Pass
        && report.correctness.verdict == Verdict::Pass
        && report.ended_early.is_none()
}

fn newest_alike(dirs: &[PathBuf], report: &Report, options: &Options) -> Regression {
    // One that can't be read (an older version, a report that was not wanted) is none.
    let readable = dirs.iter().filter_map(|dir| load(&dir.join("result.json")).ok());
    let believed = readable.filter(is_believed);
    let mut nearest: Option<Regression> = None;
    for before in believed {
        let name = format!("last ({})", before.run);
        let regression = compare(&before, report, &named(options, &name));
        if regression.unlike.is_empty() {
            return regression;
        }
        nearest.get_or_insert(regression);
    }
    let mut none = missing("no comparable baseline", &named(options, "last"));
    if let Some(nearest) = nearest {
        none.unlike.extend(nearest.unlike.into_iter().map(|unlike| format!("the latest result: {unlike}")));
    }
    if is_believed(report) {
        none.notes.push("the next run with this configuration is compared with this one".to_owned());
    }
    none
}

fn named(options: &Options, name: &str) -> Options {
    Options { baseline: Some(name.to_owned()), ..options.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_called_last_needs_its_directory() {
        assert_eq!("last".parse(), Ok(Named::Last));
        assert_eq!("./last".parse(), Ok(Named::File("./last".into())));
    }
}
