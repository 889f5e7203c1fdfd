//! What a caller can do about an error of Postgres or Redis. Messages never hold addresses: they may hold passwords.

use sqlx::Error;

use super::sessions::Unfit;
use crate::engine::{EngineError, ErrorKind};

/// What to make of an error of Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The connection is gone; whether the statement was carried out is not known.
    Connection,
    /// The server rolled the statement back; the same again may work at once.
    Contention,
    /// The server can't do it now: starting, stopping, out of connections.
    Server,
    /// The server has no room on its disk. Nothing was done.
    Full,
    /// The server is not the primary, or not any more. Another connection may lead to the one that is.
    Demoted,
    /// This process may not, or what it needs is not installed: a login, a right, the database, the schema, a session of its
    /// own. Nothing was done, and an operator has to do something; it may work again without a restart.
    Refused,
    /// The statement is at fault.
    Statement,
}

impl Cause {
    /// Whether the connection that met it is of no more use.
    pub(super) const fn ends_connection(self) -> bool {
        matches!(self, Self::Connection | Self::Server | Self::Demoted | Self::Refused)
    }
}

/// Classes and codes: <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
pub(super) fn cause(error: &Error) -> Cause {
    match error {
        Error::Database(database) => match database.code().as_deref() {
            // There is no partition for the day. No table of ours has a condition of its own.
            Some("23514") if database.constraint().is_none() => Cause::Server,
            Some(code) => of_code(code),
            None => Cause::Statement,
        },
        Error::Io(_) | Error::Protocol(_) | Error::PoolClosed | Error::WorkerCrashed => Cause::Connection,
        // A certificate that is not right does not get right by waiting; a connection cut in the handshake is `Io`.
        Error::Tls(_) => Cause::Refused,
        Error::PoolTimedOut => Cause::Server,
        Error::Configuration(inner) => inner.downcast_ref::<Unfit>().map_or(Cause::Statement, |unfit| unfit.cause),
        _ => Cause::Statement,
    }
}

fn of_code(code: &str) -> Cause {
    match code {
        // admin_shutdown, crash_shutdown, idle_session_timeout and the like end the session; a batch in it may have been
        // committed. database_dropped as well.
        "57P01" | "57P02" | "57P04" | "57P05" | "25P03" | "25P04" | "40003" => Cause::Connection,
        "40001" | "40P01" | "55P03" => Cause::Contention,
        // read_only_sql_transaction; what a standby says about what it can't do during recovery.
        "25006" | "55000" => Cause::Demoted,
        "57P03" | "57014" => Cause::Server,
        "53100" => Cause::Full,
        // insufficient_privilege; no such database, schema, table, column, function.
        "42501" | "3D000" | "3F000" | "42P01" | "42703" | "42883" => Cause::Refused,
        // A prepared statement that is not there, or is there already: the session is not ours alone.
        "26000" | "42P05" => Cause::Refused,
        _ if code.starts_with("08") => Cause::Connection,
        _ if code.starts_with("28") => Cause::Refused,
        _ if code.starts_with("53") || code.starts_with("58") => Cause::Server,
        _ => Cause::Statement,
    }
}

/// For a statement that only reads, or that is known not to have been carried out.
pub(super) fn classify(error: Error) -> EngineError {
    let (kind, message) = match cause(&error) {
        Cause::Connection => (ErrorKind::Unavailable, "the connection to Postgres is broken"),
        Cause::Contention => (ErrorKind::Unavailable, "Postgres rolled a statement back"),
        Cause::Server => (ErrorKind::Unavailable, "Postgres does not serve now"),
        Cause::Full => (ErrorKind::DiskFull, "the disk of Postgres is full"),
        Cause::Demoted => (ErrorKind::Unavailable, "this Postgres takes no writes"),
        Cause::Refused => (ErrorKind::Unavailable, "Postgres refuses this process"),
        Cause::Statement => (ErrorKind::Internal, "Postgres refused a statement"),
    };
    explained(EngineError::new(kind, message), error)
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

/// For who opens the ledger: what waiting does not change is told apart from what it may.
pub(super) fn at_start(error: Error) -> EngineError {
    // A certificate that is not right. Only while connecting: later it would be a connection that broke.
    let error = match error {
        Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => Error::Tls(io.into()),
        error => error,
    };
    let (kind, message) = match cause(&error) {
        Cause::Refused | Cause::Statement => (ErrorKind::Broken, "Postgres refused the login"),
        Cause::Demoted => (ErrorKind::Unavailable, "there is no Postgres that takes writes"),
        Cause::Full => (ErrorKind::DiskFull, "the disk of Postgres is full"),
        _ => (ErrorKind::Unavailable, "Postgres can't be reached"),
    };
    explained(EngineError::new(kind, message), error)
}

/// With what can be done about it, if the error says.
fn explained(told: EngineError, error: Error) -> EngineError {
    let fix = match &error {
        Error::Configuration(inner) => inner.downcast_ref::<Unfit>().and_then(|unfit| unfit.fix),
        Error::Database(database) => database.code().as_deref().and_then(fix),
        Error::Tls(_) => Some("look at sslmode and sslrootcert of the address, and at the server's certificate"),
        _ => None,
    };
    let told = match error {
        // Its own words; around them there is only that it is about connecting.
        Error::Configuration(inner) => told.caused_by(inner),
        error => told.caused_by(error),
    };
    match fix {
        Some(fix) => told.fixed_by(fix),
        None => told,
    }
}

/// What an error says, for a log.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::Configuration(inner) => inner.to_string(),
        error => error.to_string(),
    }
}

/// What an operator can do about an error of Postgres.
fn fix(code: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" => "correct the password in the address of the database, or reset it: ALTER ROLE NAME PASSWORD",
        "28000" => {
            "allow the role to log in: CREATE ROLE NAME LOGIN, a line in pg_hba.conf, and TLS if that line asks for it"
        }
        "3D000" => "create the database: CREATE DATABASE NAME, or correct its name in the address",
        "3F000" => "create the schema: CREATE SCHEMA NAME, or correct the role's search_path",
        "42501" => "give the role its rights, as the owner of the ledger: SELECT grant_runtime('ROLE')",
        "42P01" | "42703" | "42883" => "look whether the schema of the ledger is whole, then: card-server migrate",
        "23514" => "make the days of the log, as the owner of the ledger: card-server migrate",
        "53300" => "raise max_connections or the role's CONNECTION LIMIT: a process needs 3 connections and uses 10",
        "26000" | "42P05" => "set the pooler to session mode (PgBouncer: pool_mode = session), or name Postgres itself",
        // What PgBouncer says about a parameter of the startup packet.
        "08P01" => "look at the pooler's log, and name Postgres itself if there is no pooler",
        "53100" => "make room on the disk of Postgres",
        _ => return None,
    })
}

pub(super) fn closed() -> EngineError {
    EngineError::new(ErrorKind::Closed, "the engine is closed")
}

/// For what Redis was asked.
pub(super) fn redis(error: redis::RedisError) -> EngineError {
    EngineError::new(ErrorKind::Unavailable, "Redis does not answer as it should").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_not_right_does_not_get_right_by_waiting() {
        let wrong = || Error::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, "invalid peer certificate"));
        let told = at_start(wrong());
        assert_eq!(told.kind(), ErrorKind::Broken);
        assert!(told.fix().is_some_and(|fix| fix.contains("sslrootcert")), "{told:?}");
        // In the middle of a write nobody knows what was carried out.
        assert_eq!(classify_write(wrong()).kind(), ErrorKind::Unknown);
    }

    #[test]
    fn what_an_operator_has_to_mend_is_told_apart_from_what_passes_and_from_what_is_ours() {
        for (codes, expected) in [
            (&["57P01", "57P02", "57P04", "57P05", "25P03", "08006", "40003"][..], Cause::Connection),
            (&["40001", "40P01", "55P03"], Cause::Contention),
            (&["25006", "55000"], Cause::Demoted),
            (&["57P03", "53300", "58030", "57014"], Cause::Server),
            (&["53100"], Cause::Full),
            (&["28P01", "28000", "42501", "3D000", "3F000", "42P01", "42883", "26000", "42P05"], Cause::Refused),
            (&["22021", "23505", "42601", "XX000", "22P02"], Cause::Statement),
        ] {
            for code in codes {
                assert_eq!(of_code(code), expected, "{code}");
            }
        }
    }
}
