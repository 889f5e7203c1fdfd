//! How far an operation came, while it goes on.

use std::time::Duration;

use tokio::time::Instant;

use crate::output::{Bar, Printer};

/// Between two lines, where there is no bar.
const PAUSE: Duration = Duration::from_secs(2);

/// A bar on a terminal, a line now and then elsewhere.
pub(in crate::commands) struct Progress<'a> {
    printer: &'a Printer,
    bar: Option<Bar>,
    total: u64,
    told: Instant,
}

impl<'a> Progress<'a> {
    /// Towards so many.
    pub(in crate::commands) fn new(printer: &'a Printer, total: u64) -> Self {
        let bar = printer.bar("{bar:30} {pos} of {len} {msg} {per_sec} {eta} left");
        if let Some(bar) = &bar {
            bar.set_length(total);
        }
        Self { printer, bar, total, told: Instant::now() }
    }

    /// So many are `word`, such as "queued again".
    pub(in crate::commands) fn at(&mut self, done: u64, word: &'static str) {
        if let Some(bar) = &self.bar {
            bar.show(word);
            bar.set_position(done);
        }
        if done < self.total && self.told.elapsed() >= PAUSE {
            self.told = Instant::now();
            self.printer.step(format!("{done} of {} {word}", self.total));
        }
    }
}
