//! The terminal that progress bars are drawn on: stderr, for as long as somebody looks at it. One that was closed takes what it
//! is given and shows nothing; indicatif's own ends the program then, in the middle of what it has to put in order.
//!
//! Between two frames the cursor stands where the frame begins, and the next one erases from there to the end of the screen.
//! Whatever a terminal makes of the lines when its window is resized, it keeps its cursor at the letter where it stood: nothing of
//! an older frame stays. indicatif's own movements count lines of the width that was, so they are left out.

use std::io::{self, IsTerminal, Write, stderr};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressDrawTarget, TermLike};

use super::{fold, terminal};

/// Frames a second.
const RATE: u8 = 20;

/// Where bars are drawn, if stderr is a terminal.
pub(super) fn target() -> ProgressDrawTarget {
    match stderr().is_terminal() {
        true => ProgressDrawTarget::term_like_with_hz(Box::new(Screen::default()), RATE),
        false => ProgressDrawTarget::hidden(),
    }
}

/// A frame is written at once.
#[derive(Debug, Default)]
struct Screen(Mutex<Frame>);

#[derive(Debug, Default)]
struct Frame {
    lines: Vec<String>,
    /// indicatif fills the rest of each line with spaces, which a resized terminal would make lines of.
    awaits_filling: bool,
    /// Whether the frame before is on the screen.
    shown: bool,
}

impl Frame {
    fn text(&mut self, text: &str) {
        match (self.awaits_filling, text) {
            (true, _) => self.awaits_filling = false,
            (false, "\r") => {}
            (false, line) => {
                self.lines.push(line.to_owned());
                self.awaits_filling = true;
            }
        }
    }

    /// What a terminal of this width is sent.
    fn finish(&mut self, columns: usize) -> String {
        let mut sent = if self.shown { "\r\x1b[J".to_owned() } else { String::new() };
        self.awaits_filling = false;
        let lines = std::mem::take(&mut self.lines);
        self.shown = !lines.is_empty();
        if self.shown {
            let below = lines.iter().map(|line| fold::rows(line, columns)).sum::<usize>() - 1;
            sent.push_str(&lines.join("\r\n"));
            sent.push('\r');
            if below > 0 {
                sent.push_str(&format!("\x1b[{below}A"));
            }
        }
        sent
    }
}

impl Screen {
    fn frame<T>(&self, change: impl FnOnce(&mut Frame) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        u16::try_from(terminal::err_size().columns).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(terminal::err_size().rows).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.frame(|frame| {
            frame.text(text);
            frame.awaits_filling = false;
        });
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.frame(|frame| frame.text(text));
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let sent = self.frame(|frame| frame.finish(terminal::err_size().columns));
        let mut stderr = stderr().lock();
        let _ = stderr.write_all(sent.as_bytes()).and_then(|()| stderr.flush());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(frame: &mut Frame, lines: &[&str], columns: usize) -> String {
        for line in lines {
            frame.text(line);
            frame.text("   ");
        }
        frame.finish(columns)
    }

    #[test]
    fn a_frame_ends_where_it_begins_and_the_next_erases_from_there() {
        let mut frame = Frame::default();
        assert_eq!(drawn(&mut frame, &["one", "two"], 80), "one\r\ntwo\r\x1b[1A");
        assert_eq!(drawn(&mut frame, &["three"], 80), "\r\x1b[Jthree\r");
        assert_eq!(drawn(&mut frame, &[], 80), "\r\x1b[J");
        assert_eq!(drawn(&mut frame, &[], 80), "");
        assert_eq!(drawn(&mut frame, &["a line of 21 letters."], 10), "a line of 21 letters.\r\x1b[2A");
    }
}
