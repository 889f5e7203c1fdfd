//! What a caller can do about an error of Postgres or Redis. Messages never hold addresses: they may hold passwords.

use sqlx::Error;

use crate::engine::{EngineError, ErrorKind};

/// What to make of an error of Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The connection is gone; whether the statement was carried out is not known.
    Connection,
    /// The server rolled the statement back; the same again may work at once.
    Contention,
    /// The server can't do it now: starting, stopping, out of disk or of connections, read-only after a fail-over.
    Server,
    /// The statement is at fault.
    Statement,
}

/// Classes and codes: <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
pub(super) fn cause(error: &Error) -> Cause {
    match error {
        Error::Database(database) => match database.code().as_deref() {
            // admin_shutdown, crash_shutdown and the like end the session; a batch in it may have been committed.
            Some("57P01" | "57P02" | "57P05" | "25P03") => Cause::Connection,
            Some("40001" | "40P01" | "55P03") => Cause::Contention,
            Some("57P03" | "57P04" | "57014" | "25006") => Cause::Server,
            Some(code) if code.starts_with("08") => Cause::Connection,
            Some(code) if code.starts_with("53") || code.starts_with("58") => Cause::Server,
            _ => Cause::Statement,
        },
        Error::Io(_) | Error::Protocol(_) | Error::PoolClosed | Error::WorkerCrashed | Error::Tls(_) => {
            Cause::Connection
        }
        Error::PoolTimedOut => Cause::Server,
        _ => Cause::Statement,
    }
}

/// For a statement that only reads, or that is known not to have been carried out.
pub(super) fn classify(error: Error) -> EngineError {
    let (kind, message) = match cause(&error) {
        Cause::Connection => (ErrorKind::Unavailable, "the connection to Postgres is broken"),
        Cause::Contention => (ErrorKind::Unavailable, "Postgres rolled a statement back"),
        Cause::Server => (ErrorKind::Unavailable, "Postgres does not serve now"),
        Cause::Statement => (ErrorKind::Internal, "Postgres refused a statement"),
    };
    EngineError::new(kind, message).caused_by(error)
}

/// For a statement that may have been carried out before the connection broke.
pub(super) fn classify_write(error: Error) -> EngineError {
    match cause(&error) {
        Cause::Connection => {
            EngineError::new(ErrorKind::Unknown, "the connection to Postgres broke during a write").caused_by(error)
        }
        _ => classify(error),
    }
}

pub(super) fn closed() -> EngineError {
    EngineError::new(ErrorKind::Closed, "the engine is closed")
}

/// For what Redis was asked.
pub(super) fn redis(error: redis::RedisError) -> EngineError {
    EngineError::new(ErrorKind::Unavailable, "Redis does not answer as it should").caused_by(error)
}
