//! What moves on a terminal: one or a few lines at its end that are drawn again and again.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Block, Paint, folded, terminal};

/// A line, or several, that can be drawn again. Gone from the terminal when it is dropped.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    paint: Paint,
}

impl Bar {
    pub(super) fn new(bar: ProgressBar, paint: Paint, template: &'static str) -> Self {
        let bar = Self { bar, paint };
        bar.restyle(template);
        bar
    }

    /// What it says now, for `{msg}` in the template.
    pub fn show(&self, block: impl Into<Block>) {
        let columns = terminal::err_size().columns;
        self.bar.set_message(folded(&self.paint.lines(&block.into()), columns));
    }

    /// Moves by itself.
    pub fn spin(&self, every: Duration) {
        self.bar.enable_steady_tick(every);
    }

    /// How far it goes.
    pub fn set_length(&self, length: u64) {
        self.bar.set_length(length);
    }

    /// How far it is.
    pub fn set_position(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// So much farther.
    pub fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    /// Looks otherwise from now on.
    pub fn restyle(&self, template: &'static str) {
        // The templates are constants: they can't be wrong.
        self.bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
