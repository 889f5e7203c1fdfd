//! Why an image could not be made, moved or trusted.

use std::fmt;
use std::path::Path;

/// What sort of trouble it is: decides how a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was asked for makes no sense.
    Usage,
    /// Something is missing here, or it was refused for safety. Trying again does not help before it is put right.
    Environment,
    /// Could not find out: unreachable, unauthorised, broken off. Trying again may help.
    Unknown,
    /// The build of a binary failed.
    Build,
    /// What is there is not what it should be.
    Different,
    /// A defect of ours.
    Internal,
}

/// What happened, the evidence, and what helps.
#[derive(Debug, Clone)]
pub struct ImageError {
    /// Stable, kebab-case.
    pub code: &'static str,
    /// What sort of trouble.
    pub kind: ErrorKind,
    /// One sentence.
    pub message: String,
    /// Lines that show it.
    pub evidence: Vec<String>,
    /// One action that helps.
    pub fix: Option<String>,
}

impl ImageError {
    pub(crate) fn new(code: &'static str, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { code, kind, message: message.into(), evidence: Vec::new(), fix: None }
    }

    pub(crate) fn evidence(mut self, line: impl fmt::Display) -> Self {
        self.evidence.push(line.to_string());
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Whoever asked for the work asked to stop it.
    pub(crate) fn stopped() -> Self {
        Self::new("interrupted", ErrorKind::Unknown, "interrupted")
    }

    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self::new("internal", ErrorKind::Internal, message.to_string())
    }

    /// A file that can't be read.
    pub(crate) fn read(path: &Path, error: &std::io::Error) -> Self {
        Self::new("unreadable", ErrorKind::Environment, format!("{} can't be read", path.display())).evidence(error)
    }

    /// A file that can't be written; what was there before is still there.
    pub(crate) fn write(path: &Path, error: &std::io::Error) -> Self {
        let fix = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                "free space on that disk, or choose another directory with --out"
            }
            _ => "choose a directory that you can write to with --out",
        };
        Self::new("unwritable", ErrorKind::Environment, format!("{} can't be written", path.display()))
            .evidence(error)
            .fix(fix)
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.evidence.iter().try_for_each(|line| write!(f, ": {line}"))
    }
}

impl std::error::Error for ImageError {}
