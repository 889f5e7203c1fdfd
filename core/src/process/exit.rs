//! How a process ends: its runtime, and the one sentence that says why it could not start.

use std::io::Write;
use std::process::ExitCode;

use super::EnvironmentError;
use crate::engine::EngineError;
pub use crate::exit::Exit;
use crate::telemetry::mask::mask;

/// Why a process did not start: a sentence that names the next step.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(String);

impl NotReady {
    /// With a sentence; no secrets.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<EnvironmentError> for NotReady {
    fn from(error: EnvironmentError) -> Self {
        Self(error.to_string())
    }
}

impl From<EngineError> for NotReady {
    fn from(error: EngineError) -> Self {
        // With its cause: "can't be opened" alone helps nobody.
        let told = error.shared().to_string();
        Self(error.fix().map_or_else(|| told.clone(), |fix| format!("{told}; fix: {fix}")))
    }
}

/// Runs a process on a runtime of its own. Why it did not start goes to stderr, masked like a log.
pub fn run(process: impl Future<Output = Result<Exit, NotReady>>) -> ExitCode {
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| NotReady(format!("the runtime can't start: {error}")))
        .and_then(|runtime| {
            let ended = runtime.block_on(process);
            // What still runs (a blocking read, an abandoned connection) must not hold the process.
            runtime.shutdown_background();
            ended
        });
    ended
        .unwrap_or_else(|error| {
            // Not through the log: it may not be installed yet. A closed stderr is no reason for another exit code.
            let _ = writeln!(std::io::stderr(), "error: {}", mask(&error.to_string()));
            Exit::NotReady
        })
        .into()
}
