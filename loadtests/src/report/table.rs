//! A table that reads well as it stands and as Markdown: the same columns, padded.

/// To which side a column's cells go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    /// Figures.
    Right,
}

pub(super) struct Table {
    head: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: impl IntoIterator<Item = (&'static str, Side)>) -> Self {
        Self { head: head.into_iter().collect(), rows: Vec::new() }
    }

    /// One cell a column; for Markdown they are escaped already.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.head.len(), "one cell a column");
        self.rows.push(cells);
    }

    /// With bars, and a line under the head that says to which side.
    pub(super) fn markdown(&self) -> String {
        // Three dashes are the least that every reader takes for a table.
        let widths: Vec<usize> = self.widths().into_iter().map(|width| width.max(3)).collect();
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = self.head.iter().zip(&widths).map(|((_, side), width)| match side {
            Side::Left => "-".repeat(*width),
            Side::Right => "-".repeat(width - 1) + ":",
        });
        let head = line(self.padded(self.names(), &widths)) + &line(rule.collect());
        self.rows.iter().fold(head, |text, row| text + &line(self.padded(row.iter().map(String::as_str), &widths)))
    }

    /// With spaces, for a terminal.
    pub(super) fn text(&self) -> String {
        let widths = self.widths();
        let line = |cells: Vec<String>| cells.join("  ").trim_end().to_owned() + "\n";
        let head = line(self.padded(self.names(), &widths));
        self.rows.iter().fold(head, |text, row| text + &line(self.padded(row.iter().map(String::as_str), &widths)))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.head.iter().map(|(name, _)| *name)
    }

    fn widths(&self) -> Vec<usize> {
        let longest = |column: usize, name: &str| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([name.chars().count()]).max().unwrap_or_default()
        };
        self.names().enumerate().map(|(column, name)| longest(column, name)).collect()
    }

    fn padded<'a>(&self, cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> Vec<String> {
        let sides = self.head.iter().map(|(_, side)| *side);
        cells
            .zip(sides.zip(widths))
            .map(|(cell, (side, width))| match side {
                Side::Left => format!("{cell:<width$}"),
                Side::Right => format!("{cell:>width$}"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([("figure", Side::Left), ("n", Side::Right), ("verdict", Side::Left)]);
        table.row(["é".to_owned(), "1,234".to_owned(), "pass".to_owned()]);
        table.row(["accept.p95".to_owned(), "7".to_owned(), String::new()]);
        assert_eq!(table.text(), "figure          n  verdict\né           1,234  pass\naccept.p95      7\n");
        assert_eq!(
            table.markdown(),
            "| figure     |     n | verdict |\n| ---------- | ----: | ------- |\n| é          | 1,234 | pass    |\n\
             | accept.p95 |     7 |         |\n"
        );
    }
}
