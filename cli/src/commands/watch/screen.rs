//! Shows a board while it changes: on a terminal one aggregate progress line with a table under it that never
//! outgrows the screen; elsewhere one line for each change; nothing if so wished.

use std::time::Duration;

use card_core::tasks::Status;
use tokio::time::Instant;

use super::board::{Board, Row};
use crate::context::Context;
use crate::output::{Bar, Block, Paint, Printer};

/// Faster than the eye needs, slower than a terminal suffers from.
const FRAME: Duration = Duration::from_millis(100);
/// Rows under the progress line, if the terminal has room for them.
const MOST_ROWS: usize = 12;
/// Lines of the live part that are not rows: the progress line and the head.
const KEPT: usize = 2;

/// The live part of a command.
pub struct Screen {
    bar: Option<Bar>,
    drawn: Option<Instant>,
    begun: Instant,
    expected: Option<u64>,
}

impl Screen {
    /// A screen for so many tasks, if it is known how many there will be.
    #[must_use]
    pub fn new(context: &Context, expected: Option<u64>) -> Self {
        let printer = &context.printer;
        let bar = printer.bar("{msg}");
        Self { bar, drawn: None, begun: Instant::now(), expected }
    }

    /// Draws the board again, unless that was done a moment ago.
    pub fn draw(&mut self, printer: &Printer, board: &Board) {
        let Some(bar) = &self.bar else { return };
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < FRAME) {
            return;
        }
        self.drawn = Some(Instant::now());
        // Half of the screen: in a window that is made narrower each line may become two, and what the terminal scrolls away
        // can't be erased.
        let room = (terminal_rows() / 2).saturating_sub(KEPT).min(MOST_ROWS);
        let rows = board.latest(room).map(|row| cells(row, printer.err())).collect::<Vec<_>>();
        let mut block = Block::from(progress_line(board, self.expected, self.begun.elapsed(), printer.err()));
        if !rows.is_empty() && room > 0 {
            block = block.above(printer.panel(&HEAD, rows));
        }
        bar.show(block);
    }

    /// When to draw next, for a `select!`.
    pub async fn frame(&self) {
        tokio::time::sleep(FRAME).await;
    }

    /// Takes the live part off the terminal.
    pub fn clear(&mut self) {
        self.bar = None;
    }
}

/// The columns of a table of tasks.
pub const HEAD: [&str; 6] = ["task", "kind", "status", "attempts", "e2e", "error"];

/// The cells of a row.
#[must_use]
pub fn cells(row: &Row, paint: Paint) -> Vec<String> {
    vec![
        row.task.to_string(),
        row.kind.to_string(),
        paint.status(row.status),
        row.attempts.to_string(),
        row.end_to_end.map(milliseconds).unwrap_or_default(),
        row.error.clone().or_else(|| scheduled(row)).unwrap_or_default(),
    ]
}

/// What one that was not begun waits for, if it has a time.
fn scheduled(row: &Row) -> Option<String> {
    row.due_at.filter(|_| row.status == Status::Queued && row.attempts == 0).map(|due_at| format!("for {due_at}"))
}

/// A time span as a table shows it.
#[must_use]
pub fn milliseconds(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    if millis < 1000.0 { format!("{millis:.1} ms") } else { format!("{:.2} s", millis / 1000.0) }
}

fn progress_line(board: &Board, expected: Option<u64>, elapsed: Duration, paint: Paint) -> String {
    let counts = board.counts();
    let done = counts.succeeded + counts.failed();
    let total = expected.unwrap_or(counts.tasks).max(counts.tasks);
    let mut line = format!("{} {done}/{total}", bar(done, total, paint));
    for (count, text) in [
        (counts.running, paint.accent(format!("{} running", counts.running))),
        (counts.retrying, paint.warn(format!("{} retrying", counts.retrying))),
        (counts.declined, paint.warn(format!("{} declined", counts.declined))),
        (counts.dead, paint.bad(format!("{} dead", counts.dead))),
        (counts.cancelled, paint.warn(format!("{} cancelled", counts.cancelled))),
    ] {
        if count > 0 {
            line.push_str("  ");
            line.push_str(&text);
        }
    }
    line.push_str("  ");
    line.push_str(&paint.dim(clock(elapsed)));
    line
}

/// A time that runs.
#[must_use]
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes:02}:{seconds:02}") }
}

/// A bar of fixed width.
#[must_use]
pub fn bar(done: u64, total: u64, paint: Paint) -> String {
    const WIDTH: u64 = 24;
    let filled = (done.min(total) * WIDTH).checked_div(total).unwrap_or(0);
    let part = |length: u64, mark: &str| mark.repeat(usize::try_from(length).unwrap_or_default());
    format!("{}{}", paint.good(part(filled, "━")), paint.dim(part(WIDTH - filled, "─")))
}

/// The height of the terminal that progress is drawn on.
fn terminal_rows() -> usize {
    terminal_size::terminal_size_of(std::io::stderr()).map_or(24, |(_, height)| usize::from(height.0))
}
