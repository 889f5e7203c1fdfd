//! What goes on, while it goes on.

use std::sync::Arc;
use std::time::Duration;

use crate::output::{Bar, Printer};

/// One line that changes on a terminal, a line for each change elsewhere.
pub(super) struct Doing {
    printer: Arc<Printer>,
    bar: Option<Bar>,
}

impl Doing {
    pub(super) fn new(printer: &Arc<Printer>) -> Self {
        let bar = printer.bar("{spinner} {wide_msg}");
        if let Some(bar) = &bar {
            bar.spin(Duration::from_millis(120));
        }
        Self { printer: Arc::clone(printer), bar }
    }

    /// What is done now.
    pub(super) fn at(&self, text: impl Into<String>) {
        let text = text.into();
        match &self.bar {
            Some(bar) => bar.show(text),
            None => self.printer.step(text),
        }
    }

    /// So many bytes come next.
    pub(super) fn bytes(&self, size: u64, text: String) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(size);
                bar.set_position(0);
                bar.show(text);
                bar.restyle("{spinner} {msg} {bar:24} {bytes} of {total_bytes} {bytes_per_sec}");
            }
            None => self.printer.step(text),
        }
    }

    /// So many more of them are done.
    pub(super) fn more(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.advance(bytes);
        }
    }
}

/// Bytes as people read them.
pub(super) fn megabytes(bytes: u64) -> String {
    let tenths = (bytes + 50_000) / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::megabytes;

    #[test]
    fn bytes_are_rounded() {
        for (bytes, text) in [(0, "0.0 MB"), (49_999, "0.0 MB"), (1_950_000, "2.0 MB"), (9_940_000, "9.9 MB")] {
            assert_eq!(megabytes(bytes), text);
        }
    }
}
