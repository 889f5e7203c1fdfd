//! A line of figures that fits: what does not, is left out from the end.

use crate::output::Paint;

const GAP: &str = "   ";

/// A line in the making.
pub(super) struct Row {
    text: String,
    width: usize,
    columns: usize,
    full: bool,
}

impl Row {
    /// An empty line with room for so many characters.
    pub(super) fn new(columns: usize) -> Self {
        Self { text: String::new(), width: 0, columns, full: false }
    }

    /// Adds a piece as it is.
    pub(super) fn add(self, piece: impl AsRef<str>) -> Self {
        self.styled(piece, |piece| piece.to_owned())
    }

    /// Adds a title and its figures.
    pub(super) fn figure(self, paint: Paint, title: &str, figure: impl AsRef<str>) -> Self {
        let figure = figure.as_ref();
        let length = title.chars().count() + 1;
        self.styled(format!("{title} {figure}"), |piece| format!("{} {}", paint.dim(title), &piece[length..]))
    }

    /// Adds a piece in its style, which takes no room.
    pub(super) fn styled(mut self, piece: impl AsRef<str>, style: impl FnOnce(&str) -> String) -> Self {
        let piece = piece.as_ref();
        let gap = if self.text.is_empty() { "" } else { GAP };
        let width = gap.len() + piece.chars().count();
        // Nothing comes after what was left out: a line that is sometimes there and sometimes here can't be read.
        self.full = self.full || self.width + width > self.columns;
        if !self.full {
            self.text.push_str(gap);
            self.text.push_str(&style(piece));
            self.width += width;
        }
        self
    }

    /// The room that is left for a piece.
    pub(super) fn room(&self) -> usize {
        if self.full { 0 } else { self.columns.saturating_sub(self.width + GAP.len()) }
    }

    /// The line.
    pub(super) fn done(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out_with_all_that_follows() {
        let row = |columns| Row::new(columns).add("one").add("seventeen letters").add("x").done();
        assert_eq!(row(80), "one   seventeen letters   x");
        assert_eq!(row(23), "one   seventeen letters");
        assert_eq!(row(22), "one");
        assert_eq!(row(0), "");
    }
}
