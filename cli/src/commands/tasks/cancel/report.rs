//! What cancelling came to: the document, the lines for people and the exit code.

use std::collections::BTreeMap;

use card_core::tasks::Task;
use serde::Serialize;

use super::found::{Found, Refused};
use crate::context::Context;
use crate::failure::{Failure, Shape};
use crate::output::Format;
use card_core::exit::Exit;

/// Lines about tasks that were refused.
const REFUSED: usize = 10;

/// `tasks cancel -o json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Only in a stream of lines, where it tells the summary from the rest.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    matched: u64,
    pub(super) done: u64,
    /// How many of those that matched were in which status.
    statuses: BTreeMap<&'static str, u64>,
    pub(super) refused: Vec<Refused>,
    /// Some of those that matched, as they were before.
    sample: Vec<Task>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Shape>,
    /// Whether the tasks were named: then each that was refused was meant.
    #[serde(skip)]
    named: bool,
    /// Refused before the first was tried.
    #[serde(skip)]
    refused_before: u64,
}

impl Report {
    /// Nothing was done yet.
    pub(super) fn of(found: &Found, named: bool) -> Self {
        Self {
            kind: None,
            matched: found.tasks.len() as u64,
            done: 0,
            statuses: found.statuses.clone(),
            refused_before: found.refused.len() as u64,
            refused: found.refused.clone(),
            sample: found.sample.clone(),
            error: None,
            named,
        }
    }

    /// Whether each that matched was tried.
    pub(super) fn is_complete(&self) -> bool {
        self.done + self.refused.len() as u64 - self.refused_before == self.matched
    }

    /// Writes what would be done.
    pub(super) fn tried(self, context: &Context) -> Result<Exit, Failure> {
        let count = self.matched;
        self.write(context, count, "would be cancelled", None)
    }

    /// Writes what was done, and why not all of it.
    pub(super) fn ended(self, context: &Context, failure: Option<Failure>) -> Result<Exit, Failure> {
        if let Some(failure) = failure.clone().filter(Failure::is_closed_output) {
            return Err(failure);
        }
        let (count, rest) = (self.done, self.matched - self.done);
        let failure = failure.map(|failure| failure.left(format!("{} cancelled, {rest} not", tasks(count))));
        self.write(context, count, "cancelled", failure)
    }

    fn write(mut self, context: &Context, count: u64, verb: &str, failure: Option<Failure>) -> Result<Exit, Failure> {
        let printer = &context.printer;
        self.error = failure.as_ref().map(|failure| failure.document().error);
        self.kind = (printer.format() == Format::Jsonl).then_some("summary");
        printer.data(&self)?;
        printer.text(format!("{count} of {} {verb}", tasks(self.matched)))?;
        // What was done to some and not to others is not told by a sample of all.
        if count == self.matched {
            for task in &self.sample {
                printer.text(format!("  {}  {}, was {}", task.id, task.kind, task.status))?;
            }
            printer.and_more(self.sample.len() as u64, self.matched)?;
        }
        if !self.refused.is_empty() {
            printer.text(format!("{} refused", self.refused.len()))?;
            for Refused { task, code, status } in self.refused.iter().take(REFUSED) {
                let status = status.map(|status| format!(": {status}")).unwrap_or_default();
                printer.text(format!("  {task}  {code}{status}"))?;
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

/// So many tasks, in words.
pub(super) fn tasks(count: u64) -> String {
    if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") }
}
