//! What is at the other end of stdout and stderr.

use std::future::pending;
use std::io::{IsTerminal, stderr, stdout};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::oneshot;

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

/// Of the terminal that progress is drawn on; a usual one if stderr does not say.
pub(super) fn err_size() -> Size {
    terminal_size::terminal_size_of(stderr()).map_or(Size { columns: 80, rows: 24 }, |(width, height)| Size {
        columns: usize::from(width.0),
        rows: usize::from(height.0),
    })
}

/// Returns when nobody can read stdout any more, as the other end of a pipe or socket is closed; never for what has no such
/// end, a file or a terminal.
pub(super) async fn out_closes() {
    let (tell, told) = oneshot::channel();
    // The kernel has nothing to wait with that is both safe to use from here and not a thread. It ends with the program.
    let waiting = std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        let out = stdout();
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
        while !out.is_terminal() {
            let mut polled = [PollFd::new(out.as_fd(), PollFlags::empty())];
            match poll(&mut polled, PollTimeout::NONE) {
                Ok(_) if polled[0].revents().is_some_and(|events| events.intersects(gone)) => {
                    let _ = tell.send(());
                    return;
                }
                Err(Errno::EINTR) => {}
                _ => break,
            }
        }
    });
    if waiting.is_err() || told.await.is_err() {
        pending::<()>().await;
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}
