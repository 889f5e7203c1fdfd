//! Why a command could not do what it was asked: what happened, the evidence, one command that helps, and the state
//! left behind.

use std::borrow::Cow;
use std::fmt;

use card_core::telemetry::mask::secrets;
use serde::{Deserialize, Serialize};

use crate::codes;
use crate::output::{Block, Paint};
use card_core::exit::Exit;

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

/// `{"error":{…}}` under `-o json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Document {
    /// The failure.
    pub error: Shape,
}

/// See [`Document`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shape {
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    pub fix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    pub exit: u8,
}

/// What libraries, servers and other programs say ends up in a failure, and they quote what they were given (P7).
fn masked(text: String) -> String {
    match secrets(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(masked) => masked,
    }
}

const CLOSED_OUTPUT: &str = "closed-output";

impl Failure {
    /// A failure with its code, its end and one sentence.
    pub fn new(code: &'static str, exit: Exit, message: impl Into<String>) -> Self {
        debug_assert!(codes::is_known(code), "{code} is not in codes::CODES");
        Self { code, message: masked(message.into()), evidence: Vec::new(), fix: None, left: None, exit }
    }

    /// A defect of ours.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new("internal", Exit::Internal, message.to_string())
    }

    /// The reader of stdout has seen enough (`| head -1`): ends the command early, silently and well.
    #[must_use]
    pub fn closed_output() -> Self {
        Self::new(CLOSED_OUTPUT, Exit::Done, "stdout was closed by its reader")
    }

    /// Whether this is [`Failure::closed_output`].
    #[must_use]
    pub fn is_closed_output(&self) -> bool {
        self.code == CLOSED_OUTPUT
    }

    /// With a line of evidence.
    #[must_use]
    pub fn evidence(mut self, line: impl fmt::Display) -> Self {
        self.evidence.push(masked(line.to_string()));
        self
    }

    /// With what helps.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(masked(fix.into()));
        self
    }

    /// With the state left behind.
    #[must_use]
    pub fn left(mut self, left: impl Into<String>) -> Self {
        self.left = Some(masked(left.into()));
        self
    }

    /// The lines for people.
    #[must_use]
    pub fn render(&self, paint: Paint) -> Block {
        let mut block = Block::from(format!("{} {}", paint.bad(format!("error[{}]:", self.code)), self.message));
        // One line for each: what others said has no line breaks of its own.
        for evidence in &self.evidence {
            block.push(format!("  {evidence}"));
        }
        for (label, line) in [("fix:", &self.fix), ("left behind:", &self.left)] {
            if let Some(line) = line {
                block.push(format!("{} {line}", paint.bold(label)));
            }
        }
        block
    }

    /// The document for programs.
    #[must_use]
    pub fn document(&self) -> Document {
        let Self { code, message, evidence, fix, left, exit } = self.clone();
        Document { error: Shape { code: code.to_owned(), message, evidence, fix, left, exit: exit as u8 } }
    }
}

/// As it was said by another process of this program.
impl From<Shape> for Failure {
    fn from(shape: Shape) -> Self {
        let exit = Exit::ALL.into_iter().map(|(exit, _)| exit).find(|exit| *exit as u8 == shape.exit);
        Self {
            // Codes are `&'static str` because programs are; one more that lives as long as the program costs nothing.
            code: Box::leak(shape.code.into_boxed_str()),
            message: masked(shape.message),
            evidence: shape.evidence.into_iter().map(masked).collect(),
            fix: shape.fix.map(masked),
            left: shape.left.map(masked),
            exit: exit.unwrap_or(Exit::Internal),
        }
    }
}
