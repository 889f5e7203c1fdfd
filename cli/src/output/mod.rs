//! The only way to stdout and stderr: stdout is data, stderr is talk.
//!
//! What others wrote (a server, a task's error, a cluster, a file's name) is in nearly all of it, and whatever of it a terminal
//! or a CI system would act on is escaped here, once, for every command: see [`Block`], [`Paint`] and [`card_core::plain`].
//!
//! Under `-o text` a command writes lines with [`Printer::text`]; under `json` and `jsonl` it writes documents with
//! [`Printer::data`]. Each of the two does nothing in the other's format, so a command may simply call both.

mod bar;
mod bars;
mod block;
mod fold;
mod paint;
mod table;
mod terminal;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use card_core::plain;
use card_core::telemetry::mask::secrets;
use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use nix::errno::Errno;
use serde::Serialize;

pub use self::bar::Bar;
pub use self::block::Block;
pub use self::paint::Paint;
pub use self::terminal::Size;
use crate::failure::Failure;
use card_core::exit::Exit;

/// What stdout carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One JSON object a line, as they come.
    Jsonl,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// Colour on a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ProgressChoice {
    /// Bar on a terminal, plain lines elsewhere.
    #[default]
    Auto,
    /// Bar that is redrawn.
    Bar,
    /// Line for each change.
    Plain,
    /// No progress.
    None,
}

/// How progress is shown on stderr, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// With indicatif, through [`Printer::bar`].
    Bar,
    /// With [`Printer::say`], one line for each change.
    Plain,
    /// Not at all.
    None,
}

/// What the flags ask of the output.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choices {
    /// Of stdout.
    pub format: Format,
    /// `--color`.
    pub color: Color,
    /// `--progress`.
    pub progress: ProgressChoice,
}

/// Writes everything that this program says.
#[derive(Debug)]
pub struct Printer {
    format: Format,
    progress: Progress,
    out: Paint,
    err: Paint,
    bars: MultiProgress,
    /// When the program began: one that was closed since does not say so any more.
    out_was_terminal: bool,
    // Lines from several tasks must not mix.
    writing: Mutex<()>,
}

impl Printer {
    /// A printer for this process's stdout and stderr.
    #[must_use]
    pub fn new(choices: Choices) -> Self {
        let progress = match choices.progress {
            ProgressChoice::Auto if terminal::err_is_capable() => Progress::Bar,
            ProgressChoice::Auto | ProgressChoice::Plain => Progress::Plain,
            ProgressChoice::Bar => Progress::Bar,
            ProgressChoice::None => Progress::None,
        };
        let target = if progress == Progress::Bar { bars::target() } else { ProgressDrawTarget::hidden() };
        let mark = Paint::mark();
        Self {
            format: choices.format,
            progress,
            out: Paint::new(choices.color, terminal::out_is_capable(), mark),
            err: Paint::new(choices.color, terminal::err_is_capable(), mark),
            bars: MultiProgress::with_draw_target(target),
            out_was_terminal: io::stdout().is_terminal(),
            writing: Mutex::new(()),
        }
    }

    /// What stdout carries.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Whether stdout carries lines for people.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self.format, Format::Text)
    }

    /// How to show progress on stderr.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// Something that moves on stderr, by an indicatif template; none unless [`Printer::progress`] is [`Progress::Bar`].
    #[must_use]
    pub fn bar(&self, template: &'static str) -> Option<Bar> {
        let shows = self.progress == Progress::Bar;
        shows.then(|| Bar::new(self.bars.add(ProgressBar::no_length()), self.err, template))
    }

    /// Styles for what goes to [`Printer::text`].
    #[must_use]
    pub const fn out(&self) -> Paint {
        self.out
    }

    /// Styles for what goes to [`Printer::say`].
    #[must_use]
    pub const fn err(&self) -> Paint {
        self.err
    }

    /// Whether stdout is a terminal that understands cursor movements.
    #[must_use]
    pub fn out_is_terminal(&self) -> bool {
        terminal::out_is_capable()
    }

    /// Rows and columns of the terminal at stdout; none if stdout is none.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        terminal::out_size()
    }

    /// A document (`json`) or a line of the stream (`jsonl`) on stdout, with `"v":1` put in front. Nothing in text
    /// mode. `document` must be a struct or a map without a `v` of its own; under `json` a command writes one.
    ///
    /// # Errors
    /// stdout was closed by its reader (the program then ends with 0), or can't be written.
    pub fn data<T: Serialize + ?Sized>(&self, document: &T) -> Result<(), Failure> {
        let versioned = Versioned { v: 1, document };
        let line = match self.format {
            Format::Text => return Ok(()),
            Format::Json => serde_json::to_string_pretty(&versioned),
            Format::Jsonl => serde_json::to_string(&versioned),
        };
        self.write_out(&plain::json(&line.map_err(Failure::internal)?))
    }

    /// Lines for people on stdout, in text mode only. A text is one line.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub fn text(&self, block: impl Into<Block>) -> Result<(), Failure> {
        if self.is_text() { self.write_out(&self.out_lines(&block.into())) } else { Ok(()) }
    }

    /// How many lie beyond those that were shown; nothing if none.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub fn and_more(&self, shown: u64, all: u64) -> Result<(), Failure> {
        match all.saturating_sub(shown) {
            0 => Ok(()),
            more => self.text(self.out().dim(format!("  … and {more} more"))),
        }
    }

    /// The same as [`Printer::text`], in place of what the terminal shows.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub fn redraw(&self, block: impl Into<Block>) -> Result<(), Failure> {
        // Home, and clear below: no flicker.
        self.write_out(&format!("\x1b[H\x1b[J{}", self.out_lines(&block.into())))
    }

    /// Text on stdout whatever the format, for what is data in itself: shell variables, a document, a report. Lines stay
    /// lines.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub fn raw(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.write_out(&plain::document(text.as_ref()))
    }

    /// Text of this program's own on stdout as it is, such as its help with colours or a completion script.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub fn own(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.write_out(text.as_ref())
    }

    /// The same on stderr.
    pub fn say_own(&self, text: impl AsRef<str>) {
        self.while_still(|| {
            let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
        });
    }

    /// A command for the CI system that runs this, which must not be said otherwise: on stderr, on a line of its own.
    pub fn command(&self, line: impl AsRef<str>) {
        self.say_own(plain::line(line.as_ref()));
    }

    /// Returns when the reader of stdout went away, without a write to notice it by; never if stdout is a file or a terminal.
    pub async fn reader_gone(&self) {
        terminal::out_closes().await;
    }

    /// Talk on stderr, without secrets that others put into it (P7). A stderr that can't be written is nobody's concern.
    pub fn say(&self, block: impl Into<Block>) {
        let lines = self.err.lines(&block.into());
        let lines = secrets(&lines);
        // A line of others is a line of the log that somebody reads; only a terminal needs it broken.
        match terminal::err_is_capable() {
            true => self.say_own(folded(&lines, terminal::err_size().columns)),
            false => self.say_own(lines),
        }
    }

    /// Progress on stderr, if progress is shown as lines.
    pub fn step(&self, block: impl Into<Block>) {
        if self.progress == Progress::Plain {
            self.say(block);
        }
    }

    /// A table for [`Printer::text`], bounded by the terminal's width and height if stdout is one. `keep` lines of the
    /// height are left for others.
    #[must_use]
    pub fn table(&self, head: &[&str], rows: Vec<Vec<String>>, keep: usize) -> Block {
        table::render(head, rows, self.out, self.size(), keep)
    }

    /// The same behind so many columns.
    #[must_use]
    pub fn table_behind(&self, indent: usize, head: &[&str], rows: Vec<Vec<String>>, keep: usize) -> Block {
        let size = self.size().map(|size| Size { columns: size.columns.saturating_sub(indent), ..size });
        table::render(head, rows, self.out, size, keep).behind(&" ".repeat(indent))
    }

    /// A table for a [`Bar`], bounded by the terminal at stderr.
    #[must_use]
    pub fn panel(&self, head: &[&str], rows: Vec<Vec<String>>) -> Block {
        let size = Size { rows: usize::MAX, ..terminal::err_size() };
        table::render(head, rows, self.err, Some(size), 0)
    }

    /// A table bounded by the terminal's width only, for what is searched rather than looked at.
    #[must_use]
    pub fn list(&self, head: &[&str], rows: Vec<Vec<String>>) -> Block {
        let size = self.size().map(|size| Size { rows: usize::MAX, ..size });
        table::render(head, rows, self.out, size, 0)
    }

    /// A failure: on stderr for people and, unless in text mode, on stdout for programs.
    pub fn failure(&self, failure: &Failure) {
        if failure.is_closed_output() {
            return;
        }
        self.say(failure.render(self.err));
        // Its own failure to be written can't be reported anywhere.
        let _ = self.data(&failure.document());
    }

    fn out_lines(&self, block: &Block) -> String {
        let lines = self.out.lines(block);
        match self.size().filter(|_| terminal::out_is_capable()) {
            Some(size) => folded(&lines, size.columns),
            None => lines,
        }
    }

    fn write_out(&self, text: &str) -> Result<(), Failure> {
        self.while_still(|| {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush())
        })
        .or_else(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Err(Failure::closed_output()),
            // Its terminal was closed. What is under way is finished, and nobody is there to read it.
            _ if self.out_was_terminal && error.raw_os_error() == Some(Errno::EIO as i32) => Ok(()),
            _ => Err(Failure::new("output", Exit::Internal, format!("stdout can't be written: {error}"))),
        })
    }

    fn while_still<T>(&self, write: impl FnOnce() -> T) -> T {
        let _writing = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if self.progress == Progress::Bar { self.bars.suspend(write) } else { write() }
    }
}

/// A path as people write it: `~` is their home directory.
#[must_use]
pub fn home(path: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && home.parent().is_some());
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => Path::new("~").join(rest).display().to_string(),
        None => path.display().to_string(),
    }
}

/// Lines that fit.
fn folded(lines: &str, columns: usize) -> String {
    lines.split('\n').map(|line| fold::fold(line, columns)).collect::<Vec<_>>().join("\n")
}

#[derive(Serialize)]
struct Versioned<'a, T: ?Sized> {
    v: u8,
    #[serde(flatten)]
    document: &'a T,
}
