//! Tables that fit.

use tabled::builder::Builder;
use tabled::settings::peaker::Priority;
use tabled::settings::{Padding, Style, Width};

use super::{Block, Paint, Size};

/// Header, its underline is none, and the line that counts what is left out.
const FURNITURE: usize = 2;
const FEWEST_ROWS: usize = 3;

/// Rows under a head; cut to the size with a last line that says how many are not shown.
pub(super) fn render(
    head: &[&str],
    mut rows: Vec<Vec<String>>,
    paint: Paint,
    size: Option<Size>,
    keep: usize,
) -> Block {
    let room = size.map(|size| size.rows.saturating_sub(FURNITURE + keep).max(FEWEST_ROWS));
    let hidden = room.map_or(0, |room| rows.len().saturating_sub(room));
    rows.truncate(rows.len() - hidden);
    // Styles have no width as escape sequences; whether they are shown is found out when the line is written.
    let widths = paint.always();
    let mut builder = Builder::default();
    builder.push_record(head.iter().map(|title| widths.line(&paint.bold(title.to_uppercase()))));
    for row in rows {
        // Escape sequences, which have no width, and nothing else that a terminal acts on.
        builder.push_record(row.iter().map(|cell| widths.line(cell)));
    }
    let mut table = builder.build();
    table.with(Style::empty()).with(Padding::new(0, 2, 0, 0));
    if let Some(size) = size {
        table.with(Width::truncate(size.columns).suffix("…").priority(Priority::max(true)));
    }
    let mut block = Block::of(table.to_string().lines().map(|line| widths.hide(line.trim_end())));
    if hidden > 0 {
        block.push(paint.dim(format!("… and {hidden} more")));
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Vec<Vec<String>> {
        (0..count).map(|n| vec![n.to_string(), "x".repeat(60)]).collect()
    }

    #[test]
    fn a_table_fits_the_terminal() {
        let size = Size { columns: 40, rows: 10 };
        let block = render(&["id", "what"], rows(30), Paint::plain(), Some(size), 2);
        assert_eq!(block.lines().len(), 8);
        assert!(block.lines().iter().all(|line| line.chars().count() <= 40), "{block:?}");
        assert_eq!(block.lines()[7], "… and 24 more");
    }

    #[test]
    fn nothing_is_left_out_of_a_pipe() {
        let block = render(&["id", "what"], rows(300), Paint::plain(), None, 2);
        assert_eq!(block.lines().len(), 301);
        assert_eq!(block.lines()[0], "ID   WHAT");
    }

    #[test]
    fn a_cell_of_others_is_one_line_whose_width_is_that_of_its_letters() {
        let paint = Paint::new(crate::output::Color::Always, false, Paint::mark());
        let cells = |what: &str| vec![paint.good("ok"), what.to_owned(), "end".to_owned()];
        let rows = vec![cells("a\u{1b}[2J\nb\u{202e}"), cells("plain")];
        let block = render(&["a", "b", "c"], rows, paint, None, 0);
        let shown: Vec<_> = block.lines().iter().map(|line| paint.line(line)).collect();
        assert_eq!(shown.len(), 3);
        assert!(shown[1].contains("a\\u001b[2J\\nb\\u202e") && shown[1].contains("\u{1b}[32mok"), "{shown:?}");
        let ends: Vec<_> = shown[1..]
            .iter()
            .map(|line| line.replace("\u{1b}[32m", "").replace("\u{1b}[0m", ""))
            .map(|line| line.find("end"))
            .collect();
        assert_eq!(ends[0], ends[1], "{shown:?}");
    }
}
