//! What server, worker, CLI and load generator share.
//!
//! Owns the wire types, the [`engine::Engine`] seam with its implementations, the closed list of
//! [`problem`]s, [`settings`], [`telemetry`], and what every [`process`] needs around its work. It knows
//! nothing of HTTP serving, of the command line or of how a step does its work.

pub mod accounts;
pub mod chosen;
pub mod engine;
pub mod exit;
pub mod files;
pub mod fronts;
pub mod ids;
pub mod plain;
pub mod problem;
pub mod process;
pub mod retry;
pub mod settings;
pub mod tasks;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;

/// The version of every binary in this workspace, as `--version` and `status` print it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
