//! The engine for more than one machine: Postgres is the ledger, Redis Streams are the doorbell.

mod address;

pub use self::address::Address;
use super::{EngineError, ErrorKind, Store};
use crate::settings::Settings;

/// Connects, brings the schema up to date (under a lock, once among all that try) and starts the engine's tasks. Needs
/// a tokio runtime.
///
/// # Errors
/// `Broken`: the schema is from a newer version, or the address means nothing. `Unavailable`: Postgres can't be
/// reached. A Redis that is away is no error: it only delays.
pub async fn open(_address: &Address, _settings: &Settings) -> Result<Store, EngineError> {
    Err(EngineError::new(ErrorKind::Broken, "the cluster engine is not there yet"))
}

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before; 0 for a database without one.
    pub from: i64,
    /// The schema now.
    pub to: i64,
}

/// Brings the schema of a database up to date, under a lock, and does nothing else. Any number may try at once.
///
/// # Errors
/// As [`open`].
pub async fn migrate(_database: &str) -> Result<Migrated, EngineError> {
    Err(EngineError::new(ErrorKind::Broken, "the cluster engine is not there yet"))
}
