//! What is at the other end of stdout and stderr.

use std::io::{IsTerminal, stderr, stdout};

/// Of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Characters in a line.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
}

pub(super) fn out_is_capable() -> bool {
    stdout().is_terminal() && !is_dumb()
}

pub(super) fn err_is_capable() -> bool {
    stderr().is_terminal() && !is_dumb()
}

pub(super) fn out_size() -> Option<Size> {
    let (width, height) = terminal_size::terminal_size_of(stdout())?;
    Some(Size { columns: usize::from(width.0), rows: usize::from(height.0) })
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}
