//! What an operation on dead letters came to: the document, the lines for people and the exit code.

use std::collections::BTreeMap;

use card_core::tasks::Task;
use serde::Serialize;

use super::canary::Canary;
use super::course::{Course, Operation};
use super::letters::Letters;
use crate::client::Refused;
use crate::context::Context;
use crate::failure::{Failure, Shape};
use crate::output::Format;
use card_core::exit::Exit;

/// Lines about letters that were refused.
const REFUSED: usize = 10;

/// `dlq retry -o json`, `dlq discard -o json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Only in a stream of lines, where it tells the summary from the rest.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    matched: u64,
    done: u64,
    /// How many of those that matched have which error code.
    errors: BTreeMap<String, u64>,
    refused: Vec<Refused>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) canary: Option<Canary>,
    sample: Vec<Task>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Shape>,
    /// Whether the letters were named: then each that was refused was meant.
    #[serde(skip)]
    named: bool,
}

impl Report {
    /// Nothing was done yet.
    pub(super) fn of(letters: &Letters, named: bool) -> Self {
        Self {
            kind: None,
            matched: letters.count(),
            done: 0,
            errors: letters.errors(),
            refused: letters.refused.clone(),
            canary: None,
            sample: letters.sample.clone(),
            error: None,
            named,
        }
    }

    /// Takes in what was done.
    pub(super) fn take(&mut self, course: Course<'_>) {
        self.done = course.done;
        self.refused.extend(course.refused);
    }

    /// Writes what would be done.
    pub(super) fn tried(self, context: &Context, operation: Operation<'_>) -> Result<Exit, Failure> {
        let count = self.matched;
        self.write(context, count, &format!("would be {}", operation.done()), None)
    }

    /// Writes what was done, and why not all of it.
    pub(super) fn ended(
        self,
        context: &Context,
        operation: Operation<'_>,
        failure: Option<Failure>,
    ) -> Result<Exit, Failure> {
        if let Some(failure) = failure.clone().filter(Failure::is_closed_output) {
            return Err(failure);
        }
        let (count, rest, verb) = (self.done, self.matched - self.done, operation.done());
        let failure = failure.map(|failure| failure.left(format!("{} {verb}, {rest} not", letters(count))));
        self.write(context, count, verb, failure)
    }

    fn write(mut self, context: &Context, count: u64, verb: &str, failure: Option<Failure>) -> Result<Exit, Failure> {
        let printer = &context.printer;
        self.error = failure.as_ref().map(|failure| failure.document().error);
        self.kind = (printer.format() == Format::Jsonl).then_some("summary");
        printer.data(&self)?;
        if let Some(canary) = &self.canary {
            printer.text(canary.line())?;
        }
        printer.text(format!("{count} of {} {verb}", letters(self.matched)))?;
        // What was done to some and not to others is not told by a sample of all.
        if count == self.matched {
            for task in &self.sample {
                let error = task.error.as_ref().map(ToString::to_string).unwrap_or_default();
                printer.text(format!("  {}  {error}", task.id))?;
            }
            printer.and_more(self.sample.len() as u64, self.matched)?;
        }
        if !self.refused.is_empty() {
            printer.text(format!("{} refused", self.refused.len()))?;
            for Refused { task, code, open_task } in self.refused.iter().take(REFUSED) {
                let open = open_task.map(|open| format!(": {open}")).unwrap_or_default();
                printer.text(format!("  {task}  {code}{open}"))?;
            }
            printer.and_more(REFUSED as u64, self.refused.len() as u64)?;
        }
        match failure {
            Some(failure) => {
                printer.say(failure.render(printer.err()));
                Ok(failure.exit)
            }
            None if self.named && !self.refused.is_empty() => Ok(Exit::NotReady),
            None => Ok(Exit::Done),
        }
    }
}

/// So many dead letters, in words.
pub(super) fn letters(count: u64) -> String {
    if count == 1 { "1 dead letter".to_owned() } else { format!("{count} dead letters") }
}
