//! The objects while they come up: a live table on a terminal, a line for each change elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use card_core::time::format_duration;
use card_kube::state::Phase;
use card_kube::wait::{Row, Snapshot};

use crate::context::Context;
use crate::output::{Bar, Paint, Printer};

/// See the module. Dropped, it takes the live part off the terminal.
pub struct Table {
    printer: Arc<Printer>,
    bar: Option<Bar>,
    said: BTreeMap<String, String>,
}

const HEAD: [&str; 5] = ["object", "ready", "state", "for", "why"];
/// Lines of the terminal that are not for rows.
const KEPT: usize = 4;

impl Table {
    /// An empty one.
    #[must_use]
    pub fn new(context: &Context) -> Self {
        let printer = Arc::clone(&context.printer);
        let bar = printer.bar("{msg}");
        Self { printer, bar, said: BTreeMap::new() }
    }

    /// Draws it as it is now.
    pub fn draw(&mut self, snapshot: &Snapshot) {
        match &self.bar {
            Some(bar) => {
                let rows = snapshot.rows.iter().map(|row| cells(row, self.printer.err())).collect();
                let table = self.printer.table(&HEAD, rows, KEPT);
                let elapsed = format_duration(Duration::from_secs(snapshot.elapsed.as_secs()));
                let state = match &snapshot.unreachable {
                    Some(reason) => self.printer.err().bad(format!("the cluster does not answer: {reason}")),
                    None => self.printer.err().dim(elapsed),
                };
                bar.show(table.above(state));
            }
            None => self.say(snapshot),
        }
    }

    fn say(&mut self, snapshot: &Snapshot) {
        let mut change = |name: String, words: String| {
            if self.said.get(&name) != Some(&words) {
                self.printer.step(format!("{name}: {words}"));
                self.said.insert(name, words);
            }
        };
        // What was not looked at yet is no news.
        for row in snapshot.rows.iter().filter(|row| row.state.reason != "unknown") {
            change(row.object.to_string(), words(row));
        }
        if let Some(reason) = &snapshot.unreachable {
            change("the cluster".to_owned(), format!("does not answer: {reason}"));
        } else if self.said.remove("the cluster").is_some() {
            self.printer.step("the cluster answers again");
        }
    }
}

fn counts(row: &Row) -> String {
    match (row.state.ready, row.state.wanted) {
        (Some(ready), Some(wanted)) => format!("{ready}/{wanted}"),
        _ => String::new(),
    }
}

fn why(row: &Row) -> String {
    match (&row.finding, row.waits_for.as_slice()) {
        (_, [first, rest @ ..]) if !row.state.is_ready() => {
            let names = rest.iter().fold(first.to_string(), |names, next| format!("{names}, {next}"));
            format!("waits for {names}")
        }
        (Some(finding), _) if !row.state.is_ready() => format!("{}: {}", finding.reason.as_str(), finding.message),
        _ => row.state.message.clone(),
    }
}

/// A row in words; the same as long as nothing changed.
#[must_use]
pub fn words(row: &Row) -> String {
    if row.state.is_ready() {
        return format!("{} ready", counts(row)).trim().to_owned();
    }
    let counts = match counts(row) {
        counts if counts.is_empty() => row.state.reason.clone(),
        counts => format!("{counts} ready, {}", row.state.reason),
    };
    match why(row) {
        why if why.is_empty() => counts,
        why => format!("{counts}: {why}"),
    }
}

fn cells(row: &Row, paint: Paint) -> Vec<String> {
    let state = match row.state.phase {
        Phase::Ready => paint.good("ready"),
        Phase::Failed => paint.bad("failed"),
        Phase::InProgress | Phase::Terminating | Phase::Missing => paint.warn(&row.state.reason),
    };
    let age = format_duration(Duration::from_secs(row.age.as_secs()));
    vec![row.object.to_string(), counts(row), state, age, why(row)]
}
