//! A baseline: a result that was written before.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Options;
use crate::result::{Regression, Report, Verdict};

/// The version of the format that is read.
const VERSION: u64 = 1;

/// Why a file is no baseline. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It can't be read.
    #[error("{} can't be read: {reason}", file.display())]
    Unreadable {
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It is something else.
    #[error("{} is not JSON: {reason}", file.display())]
    NotJson {
        file: PathBuf,
        /// What is wrong, and where.
        reason: serde_json::Error,
    },
    /// It is JSON, of another kind or of another version.
    #[error("{} is not a load-test result of version {VERSION}: `v` is {found}", file.display())]
    Version {
        file: PathBuf,
        /// What stands there instead.
        found: String,
    },
    /// A field is missing, or is not what it should be.
    #[error("{} is not a load-test result: at `{path}`: {reason}", file.display())]
    Field {
        file: PathBuf,
        /// The field, such as `accept_ms.p95`; `.` is the document itself.
        path: String,
        /// What is wrong.
        reason: serde_json::Error,
    },
}

/// Reads a result.
///
/// # Errors
/// See [`LoadError`].
pub fn load(file: &Path) -> Result<Report, LoadError> {
    let unreadable = |reason| LoadError::Unreadable { file: file.to_owned(), reason };
    let bytes = std::fs::read(file).map_err(|error| {
        unreadable(match error.kind() {
            ErrorKind::NotFound => "there is no such file".to_owned(),
            ErrorKind::IsADirectory => "it is a directory; name the result.json in it".to_owned(),
            _ => error.to_string(),
        })
    })?;
    let document: Value =
        serde_json::from_slice(&bytes).map_err(|reason| LoadError::NotJson { file: file.to_owned(), reason })?;
    let version = document.get("v");
    if version.and_then(Value::as_u64) != Some(VERSION) {
        let found = match version {
            None => "missing".to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => "not a number".to_owned(),
        };
        return Err(LoadError::Version { file: file.to_owned(), found });
    }
    serde_path_to_error::deserialize(document).map_err(|error| LoadError::Field {
        file: file.to_owned(),
        path: error.path().to_string(),
        reason: error.into_inner(),
    })
}

/// What stands in a result whose baseline is not there or can't be read: no green.
#[must_use]
pub fn missing(reason: &str, options: &Options) -> Regression {
    Regression {
        verdict: Verdict::Inconclusive,
        baseline: options.baseline.clone().unwrap_or_default(),
        baseline_run: None,
        tolerance: options.tolerance,
        unlike: vec![reason.to_owned()],
        notes: Vec::new(),
        changes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{compare, tests::report};
    use super::*;

    /// What loading such a file says.
    fn refused(bytes: &[u8]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.json");
        std::fs::write(&file, bytes).unwrap();
        let message = load(&file).unwrap_err().to_string();
        let name = file.display().to_string();
        assert!(message.starts_with(&name), "{message} does not name {name}");
        message[name.len()..].to_owned()
    }

    fn refused_with(place: &str, value: Value) -> String {
        let mut document = serde_json::to_value(report()).unwrap();
        *document.pointer_mut(place).unwrap() = value;
        refused(document.to_string().as_bytes())
    }

    #[test]
    fn what_was_written_is_read_and_compared() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("result.json");
        std::fs::write(&file, serde_json::to_vec(&report()).unwrap()).unwrap();
        let read = load(&file).unwrap();
        assert_eq!(read, report());
        assert_eq!(compare(&read, &report(), &Options::default()).verdict, Verdict::Pass);
    }

    #[test]
    fn what_is_no_result_is_refused_with_the_reason() {
        assert!(refused(b"").starts_with(" is not JSON: EOF"));
        assert!(refused(b"{\"v\":1,").starts_with(" is not JSON: EOF"));
        assert_eq!(refused(b"[]"), " is not a load-test result of version 1: `v` is missing");
        assert_eq!(refused(b"{\"v\":1}"), " is not a load-test result: at `.`: missing field `run`");
        assert_eq!(refused_with("/v", json!(2)), " is not a load-test result of version 1: `v` is 2");
        assert_eq!(refused_with("/v", json!("1")), " is not a load-test result of version 1: `v` is not a number");
    }

    #[test]
    fn a_wrong_field_is_named() {
        let message = refused_with("/accept_ms/p95", json!("4 ms"));
        assert!(
            message.starts_with(" is not a load-test result: at `accept_ms.p95`: invalid type: string"),
            "{message}"
        );
        let message = refused_with("/timeline/3", json!({}));
        assert_eq!(message, " is not a load-test result: at `timeline[3]`: missing field `t`");
    }

    #[test]
    fn what_is_not_there_or_no_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let missing = load(&directory.path().join("no.json")).unwrap_err().to_string();
        assert!(missing.ends_with("no.json can't be read: there is no such file"), "{missing}");
        let folder = load(directory.path()).unwrap_err().to_string();
        assert!(folder.ends_with("it is a directory; name the result.json in it"), "{folder}");
    }
}
