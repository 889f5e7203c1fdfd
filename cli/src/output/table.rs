//! Tables that fit.

use tabled::builder::Builder;
use tabled::settings::{Padding, Style};

use super::{Block, Paint, Size};

/// Header, its underline is none, and the line that counts what is left out.
const FURNITURE: usize = 2;
const FEWEST_ROWS: usize = 3;

/// Rows under a head; cut to the size with a last line that says how many are not shown.
pub(super) fn render(head: &[&str], rows: Vec<Vec<String>>, paint: Paint, size: Option<Size>, keep: usize) -> Block {
    let (head, mut rows) = match size {
        Some(size) => fitting(head, rows, paint, size.columns),
        None => (head.to_vec(), rows),
    };
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
    let mut block = Block::of(table.to_string().lines().map(|line| widths.hide(line.trim_end())));
    if hidden > 0 {
        block.push(paint.dim(format!("… and {hidden} more")));
    }
    block
}

/// Columns that name something: cut, they name nothing, so they are whole.
const WHOLE: [&str; 4] = ["task", "run", "worker", "image"];
/// Columns to go without where not even short texts leave room for all, the first one first.
const SPARED: [&str; 4] = ["kind", "attempts", "host", "kinds"];
/// Texts are not cut below this.
const SHORTEST: usize = 16;
const GAP: usize = 2;

/// The columns and cells that fit into the width: texts are cut first, then columns go.
fn fitting<'a>(
    head: &[&'a str],
    mut rows: Vec<Vec<String>>,
    paint: Paint,
    columns: usize,
) -> (Vec<&'a str>, Vec<Vec<String>>) {
    let mut head = head.to_vec();
    loop {
        let mut widths: Vec<usize> = (0..head.len())
            .map(|at| {
                let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| paint.width(cell));
                cells.max().unwrap_or(0).max(head[at].len())
            })
            .collect();
        let total = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let mut over = total(&widths).saturating_sub(columns);
        while over > 0 {
            let shrinkable = (0..head.len()).filter(|at| !WHOLE.contains(&head[*at]));
            let widest =
                shrinkable.filter(|at| widths[*at] > head[*at].len().max(SHORTEST)).max_by_key(|at| widths[*at]);
            let Some(widest) = widest else { break };
            widths[widest] -= 1;
            over -= 1;
        }
        if over > 0
            && let Some(spared) = SPARED.iter().find_map(|name| head.iter().position(|title| title == name))
        {
            head.remove(spared);
            rows.iter_mut().for_each(|row| drop((row.len() > spared).then(|| row.remove(spared))));
            continue;
        }
        // Narrower than any table is made for.
        if over > 0 && head.len() > 1 {
            head.pop();
            let count = head.len();
            rows.iter_mut().for_each(|row| row.truncate(count));
            continue;
        }
        for row in &mut rows {
            for (cell, width) in row.iter_mut().zip(&widths) {
                if paint.width(cell) > *width {
                    *cell = paint.cut(cell, *width);
                }
            }
        }
        return (head, rows);
    }
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
    fn ids_are_whole_where_texts_are_cut_and_columns_left_out() {
        let id = "tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b";
        let cells = [id, "replacement", "retrying", "3", "12.3 ms", "issuer-unavailable: the issuer can't be reached"];
        let head = ["task", "kind", "status", "attempts", "e2e", "error"];
        let lines = |columns| {
            let row = cells.iter().map(ToString::to_string).collect();
            let block = render(&head, vec![row], Paint::plain(), Some(Size { columns, rows: 24 }), 0);
            block.lines().to_vec()
        };
        assert_eq!(lines(80)[0], format!("{:<40}  STATUS    E2E      ERROR", "TASK"));
        assert_eq!(lines(80)[1], format!("{id}  retrying  12.3 ms  issuer-unavailable…"));
        assert!(lines(120)[1].starts_with(&format!("{id}  replacement  retrying  3 ")), "{:?}", lines(120));
        assert_eq!(lines(44)[1], id);
        for columns in 40..140 {
            assert!(
                lines(columns)
                    .iter()
                    .all(|line| line.chars().count() <= columns && (line.starts_with("TASK") || line.starts_with(id)))
            );
        }
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
