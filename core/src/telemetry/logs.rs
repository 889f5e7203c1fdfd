//! Logs to stderr, as text or JSON, masked and made plain line by line.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::component::Named;
use super::mask::mask;
use crate::plain;
use crate::settings::{Log, LogFormat};

/// A log level or filter that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("log.level: {0}")]
pub struct InvalidFilter(String);

/// The pool of connections to Postgres tries again by itself, and says so each time. That the ledger is away is said once,
/// by the engine, with the reason.
const QUIET: &str = "sqlx_core::pool=off";

/// Sends this process's logs to stderr. Does nothing if a logger is set already (tests).
///
/// # Errors
/// The level is not one.
pub fn install(log: &Log) -> Result<(), InvalidFilter> {
    install_as(log, None)
}

/// As [`install`]. With the name of a `component`, such as `worker-2`, each line of JSON carries it, so that the logs of
/// several processes can be read as one.
///
/// # Errors
/// The level is not one.
pub fn install_as(log: &Log, component: Option<&str>) -> Result<(), InvalidFilter> {
    let filter = EnvFilter::builder().parse(&log.level).map_err(|error| InvalidFilter(error.to_string()))?;
    let quiet = QUIET.parse().map_err(|_| InvalidFilter(QUIET.to_owned()))?;
    let filter = filter.add_directive(quiet);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(MaskedStderr::default());
    let installed = match log.format {
        LogFormat::Text => builder.with_ansi(false).with_target(false).try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .map_event_format(|format| Named::new(format, component))
            .try_init(),
    };
    drop(installed);
    // A panic's message may carry what must not be written: it goes through the same mask, not to stderr as it is.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, message = panic.payload_as_str().unwrap_or("panicked"), "panicked");
    }));
    Ok(())
}

#[derive(Default)]
struct MaskedStderr {
    torn: AtomicBool,
}

impl<'a> MakeWriter<'a> for MaskedStderr {
    type Writer = MaskedLine<'a, io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        MaskedLine { line: Vec::with_capacity(256), out: io::stderr(), torn: &self.torn }
    }
}

/// Gathers what is written of one event and lets it out masked, as one line, in one write.
struct MaskedLine<'a, W: Write> {
    line: Vec<u8>,
    out: W,
    /// Whether the last line that was written ends in the middle, as on a disk that is full: the next one must not become
    /// part of it.
    torn: &'a AtomicBool,
}

impl<W: Write> MaskedLine<'_, W> {
    fn let_out(&mut self, line: &str) -> io::Result<()> {
        let whole = if self.torn.load(Ordering::Acquire) { format!("\n{line}") } else { line.to_owned() };
        let mut rest = whole.as_bytes();
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.torn.store(!rest.is_empty(), Ordering::Release);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for MaskedLine<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = std::mem::take(&mut self.line);
        if !written.is_empty() {
            let written = String::from_utf8_lossy(&written);
            // A line break inside would begin a line that nobody logged.
            let line = plain::line(&mask(written.strip_suffix('\n').unwrap_or(&written))).into_owned();
            self.let_out(&(line + "\n"))?;
        }
        self.out.flush()
    }
}

impl<W: Write> Drop for MaskedLine<'_, W> {
    fn drop(&mut self) {
        // A log that can't be written (disk full, closed pipe) must not take the platform down.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_written_in_pieces_is_masked_whole() {
        let mut out = Vec::new();
        let torn = AtomicBool::new(false);
        let mut line = MaskedLine { line: Vec::new(), out: &mut out, torn: &torn };
        line.write_all(b"to ada@exam").unwrap();
        line.write_all(b"ple.com\n").unwrap();
        drop(line);
        assert_eq!(out, b"to [email]\n");
    }

    /// Takes so many bytes and is full then.
    struct Disk<'a>(&'a mut Vec<u8>, usize);

    impl Write for Disk<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.1 - self.0.len());
            self.0.extend_from_slice(&bytes[..taken]);
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_a_full_disk_tore_does_not_swallow_the_next_one() {
        let (mut out, torn) = (Vec::new(), AtomicBool::new(false));
        for (text, room) in [("one\n", 100), ("two is long\n", 7), ("lost\n", 7), ("three\n", 100), ("four\n", 100)] {
            let mut line = MaskedLine { line: Vec::new(), out: Disk(&mut out, room), torn: &torn };
            line.write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(String::from_utf8(out).unwrap(), "one\ntwo\nthree\nfour\n");
    }

    #[test]
    fn what_others_wrote_makes_no_line_of_its_own() {
        let mut out = Vec::new();
        let mut line = MaskedLine { line: Vec::new(), out: &mut out, torn: &AtomicBool::new(false) };
        line.write_all("host \u{1b}[2Jx\n2026-01-01 ERROR forged\u{202e}\n".as_bytes()).unwrap();
        line.flush().unwrap();
        drop(line);
        assert_eq!(String::from_utf8(out).unwrap(), "host \\u001b[2Jx\\n2026-01-01 ERROR forged\\u202e\n");
    }
}
