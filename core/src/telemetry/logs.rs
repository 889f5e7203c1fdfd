//! Logs to stderr, as text or JSON, masked line by line.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::component::Named;
use super::mask::mask;
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
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(MaskedStderr);
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

struct MaskedStderr;

impl<'a> MakeWriter<'a> for MaskedStderr {
    type Writer = MaskedLine<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        MaskedLine { line: Vec::with_capacity(256), out: io::stderr() }
    }
}

/// Gathers what is written of one event and lets it out masked, in one write.
struct MaskedLine<W: Write> {
    line: Vec<u8>,
    out: W,
}

impl<W: Write> Write for MaskedLine<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = String::from_utf8_lossy(&self.line);
        self.out.write_all(mask(&line).as_bytes())?;
        self.line.clear();
        self.out.flush()
    }
}

impl<W: Write> Drop for MaskedLine<W> {
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
        let mut line = MaskedLine { line: Vec::new(), out: &mut out };
        line.write_all(b"to ada@exam").unwrap();
        line.write_all(b"ple.com\n").unwrap();
        drop(line);
        assert_eq!(out, b"to [email]\n");
    }
}
