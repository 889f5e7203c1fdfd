//! Opening the ledger: who may, which version it has, and what is refused.

use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use super::failure::{self, Cause, cause};
use super::retention;
use crate::engine::{EngineError, ErrorKind};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Connections for reads and rare writes. Reads of a thousand watchers share them: each takes a fraction of a
/// millisecond.
const POOL: u32 = 8;
const ACQUIRE: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(5);

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before; 0 for a database without one.
    pub from: i64,
    /// The schema now.
    pub to: i64,
}

/// How every connection of this engine is made.
pub(super) fn options(database: &str) -> Result<PgConnectOptions, EngineError> {
    // The error says what is wrong with the address, never the address.
    let options = PgConnectOptions::from_str(database).map_err(|error| {
        EngineError::new(ErrorKind::Broken, "the address of the database means nothing").caused_by(error)
    })?;
    Ok(options
        .application_name(concat!("cardctl ", env!("CARGO_PKG_VERSION")))
        // What a 2xx promises must not depend on how the server or the role is set up.
        .options([
            ("synchronous_commit", "on"),
            ("statement_timeout", "30s"),
            ("default_transaction_isolation", "read committed"),
            // Our statements follow an index in its order. While there are no statistics, to read everything and sort it
            // looks cheaper to Postgres. What has no index is then taken for so dear that it would be compiled first.
            ("enable_seqscan", "off"),
            ("enable_bitmapscan", "off"),
            ("jit", "off"),
        ])
        .statement_cache_capacity(64)
        .disable_statement_logging())
}

pub(super) async fn pool(options: &PgConnectOptions) -> Result<PgPool, EngineError> {
    let pool = PgPoolOptions::new()
        .max_connections(POOL)
        .min_connections(1)
        .acquire_timeout(ACQUIRE)
        // A connection that broke is found out by using it: reads are made again on the next one.
        .test_before_acquire(false)
        .connect_lazy_with(options.clone());
    Ok(pool)
}

/// Brings the schema of a database up to date, under a lock, and does nothing else. Any number may try at once.
///
/// # Errors
/// As [`super::open`].
pub async fn migrate(database: &str) -> Result<Migrated, EngineError> {
    migrate_with(&options(database)?).await
}

pub(super) async fn migrate_with(options: &PgConnectOptions) -> Result<Migrated, EngineError> {
    let connecting = tokio::time::timeout(CONNECT, PgConnection::connect_with(options));
    let mut connection = match connecting.await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(unreachable(error)),
        Err(_) => {
            return Err(EngineError::new(ErrorKind::Unavailable, "Postgres did not let us in within five seconds"));
        }
    };
    let from = version(&mut connection).await?;
    if from == 0 {
        refuse_what_is_not_ours(&mut connection).await?;
    }
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    MIGRATOR.run_direct(None, &mut connection, false).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => EngineError::new(
            ErrorKind::Broken,
            format!("the database has schema {version}, of a newer version; this one knows schema {newest} and changed nothing"),
        ),
        MigrateError::VersionMismatch(version) => EngineError::new(
            ErrorKind::Broken,
            format!("schema {version} of the database is not the one of this program; it was changed by something else"),
        ),
        MigrateError::Execute(error) => failure::classify(error),
        other => EngineError::new(ErrorKind::Broken, "the schema can't be brought up to date").caused_by(other),
    })?;
    warn_if_not_durable(&mut connection).await;
    let _ = connection.close().await;
    Ok(Migrated { from, to: newest })
}

/// The schema that the database has; 0 for none.
async fn version(connection: &mut PgConnection) -> Result<i64, EngineError> {
    let there: Option<String> = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text")
        .fetch_one(&mut *connection)
        .await
        .map_err(failure::classify)?;
    if there.is_none() {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await
        .map_err(failure::classify)
}

/// A database that holds something, and no migration of anybody's: an address that was mistyped, most likely.
async fn refuse_what_is_not_ours(connection: &mut PgConnection) -> Result<(), EngineError> {
    // One snapshot: another process may be migrating right now.
    let foreign: bool = sqlx::query_scalar(
        "SELECT count(*) > 0 AND count(*) FILTER (WHERE relname = '_sqlx_migrations') = 0 FROM pg_class
         WHERE relnamespace = to_regnamespace(current_schema()) AND relkind IN ('r', 'p', 'v', 'm')",
    )
    .fetch_one(connection)
    .await
    .map_err(failure::classify)?;
    if foreign {
        return Err(EngineError::new(
            ErrorKind::Broken,
            "the database holds tables of something else; nothing was changed: name an empty one (CREATE DATABASE)",
        ));
    }
    Ok(())
}

/// Begins the names of everything in Redis: the prefix that was asked for, and the ledger that it is about, so that two
/// platforms on one Redis never hand out each other's tasks.
pub(super) async fn namespace(pool: &PgPool, prefix: &str) -> Result<String, EngineError> {
    let ledger = sqlx::query_scalar!("SELECT id FROM ledger").fetch_one(pool).await.map_err(failure::classify)?;
    let ledger = ledger.simple().to_string();
    Ok(format!("{prefix}:{}", &ledger[..12]))
}

/// Whether the schema is the one that this program knows.
pub(super) async fn check_schema(pool: &PgPool) -> Result<(), EngineError> {
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    let found: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
        .fetch_one(pool)
        .await
        .map_err(failure::classify)?;
    if found == newest {
        Ok(())
    } else {
        Err(EngineError::new(ErrorKind::Broken, format!("the database has schema {found}, not {newest}")))
    }
}

/// Without it an answered accept can be lost with the power.
async fn warn_if_not_durable(connection: &mut PgConnection) {
    let setting: Result<String, _> = sqlx::query_scalar("SHOW fsync").fetch_one(connection).await;
    if setting.is_ok_and(|fsync| fsync != "on") {
        tracing::warn!("Postgres runs with fsync = off: what was accepted does not survive a loss of power");
    }
}

fn unreachable(error: sqlx::Error) -> EngineError {
    match cause(&error) {
        // A wrong password, a database that is not there: waiting does not help.
        Cause::Statement => EngineError::new(ErrorKind::Broken, "Postgres does not let us in").caused_by(error),
        _ => EngineError::new(ErrorKind::Unavailable, "Postgres can't be reached").caused_by(error),
    }
}

/// Days of the log must be there before the first accept.
pub(super) async fn prepare(options: &PgConnectOptions) -> Result<PgPool, EngineError> {
    migrate_with(options).await?;
    let pool = pool(options).await?;
    retention::ensure_days(&pool).await?;
    Ok(pool)
}
