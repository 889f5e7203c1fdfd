//! Tables that fit.

use tabled::builder::Builder;
use tabled::settings::peaker::Priority;
use tabled::settings::{Padding, Style, Width};

use super::{Paint, Size};

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
) -> String {
    let room = size.map(|size| size.rows.saturating_sub(FURNITURE + keep).max(FEWEST_ROWS));
    let hidden = room.map_or(0, |room| rows.len().saturating_sub(room));
    rows.truncate(rows.len() - hidden);
    let mut builder = Builder::default();
    builder.push_record(head.iter().map(|title| paint.bold(title.to_uppercase())));
    for row in rows {
        builder.push_record(row);
    }
    let mut table = builder.build();
    table.with(Style::empty()).with(Padding::new(0, 2, 0, 0));
    if let Some(size) = size {
        table.with(Width::truncate(size.columns).suffix("…").priority(Priority::max(true)));
    }
    let mut text: String = table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    if hidden > 0 {
        text.push('\n');
        text.push_str(&paint.dim(format!("… and {hidden} more")));
    }
    text
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
        let text = render(&["id", "what"], rows(30), Paint::plain(), Some(size), 2);
        assert_eq!(text.lines().count(), 8);
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.ends_with("… and 24 more"), "{text}");
    }

    #[test]
    fn nothing_is_left_out_of_a_pipe() {
        let text = render(&["id", "what"], rows(300), Paint::plain(), None, 2);
        assert_eq!(text.lines().count(), 301);
        assert!(text.starts_with("ID   WHAT\n"), "{text}");
    }
}
