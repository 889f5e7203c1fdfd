//! Why a command could not do what it was asked: what happened, the evidence, one command that helps, and the state
//! left behind.

use std::fmt;

use crate::exit::Exit;

/// The error of every command.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Stable, kebab-case: what scripts look at.
    pub code: &'static str,
    /// One sentence.
    pub message: String,
    /// Lines that show it: a path, a log line, an answer.
    pub evidence: Vec<String>,
    /// One command or action that helps.
    pub fix: Option<String>,
    /// What is left behind, where that is not obvious.
    pub left: Option<String>,
    /// How the program ends.
    pub exit: Exit,
}

impl Failure {
    /// A failure with its code, its end and one sentence.
    pub fn new(code: &'static str, exit: Exit, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), evidence: Vec::new(), fix: None, left: None, exit }
    }

    /// A defect of ours.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new("internal", Exit::Internal, message.to_string())
    }

    /// With a line of evidence.
    #[must_use]
    pub fn evidence(mut self, line: impl fmt::Display) -> Self {
        self.evidence.push(line.to_string());
        self
    }

    /// With what helps.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// With the state left behind.
    #[must_use]
    pub fn left(mut self, left: impl Into<String>) -> Self {
        self.left = Some(left.into());
        self
    }
}
