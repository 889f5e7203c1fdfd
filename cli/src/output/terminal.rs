//! What is at the other end of stdout and stderr.

use std::io::{IsTerminal, stderr, stdout};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

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

/// Whether nobody can read stdout any more: the other end of a pipe or socket is closed.
pub(super) fn out_is_closed() -> bool {
    let out = stdout();
    let mut polled = [PollFd::new(out.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    poll(&mut polled, PollTimeout::ZERO).is_ok() && polled[0].revents().is_some_and(|events| events.intersects(gone))
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}
