//! Opening the ledger: who may, which version it has, and what is refused.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection, PgConnection, PgPool};

use super::failure::{self, Cause, at_start, cause};
use super::sessions::{PATIENT, Sessions};
use super::{copies, kinds, retention};
use crate::engine::{EngineError, ErrorKind, KnownKind};

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema before; 0 for a database without one.
    pub from: i64,
    /// The schema now.
    pub to: i64,
}

/// Brings the schema of a database up to date, under a lock, and makes the days of the log that are due. Any number may
/// try at once.
///
/// # Errors
/// As [`super::open`].
pub async fn migrate(database: &str) -> Result<Migrated, EngineError> {
    migrate_to(database, async |connection| copies::identify(connection).await.map(drop)).await
}

/// The same for a copy of another platform's database, which gets an identity of its own. Nothing may run on it meanwhile.
///
/// # Errors
/// As [`super::open`].
pub async fn migrate_copy(database: &str) -> Result<Migrated, EngineError> {
    migrate_to(database, async |connection| copies::renew(connection).await).await
}

async fn migrate_to(
    database: &str,
    identify: impl AsyncFnOnce(&mut PgConnection) -> Result<(), EngineError>,
) -> Result<Migrated, EngineError> {
    let mut connection = first(&*Sessions::new(database)?).await?;
    let migrated = bring_up_to_date(&mut connection).await?;
    identify(&mut connection).await?;
    retention::ensure_days(&mut connection).await.map_err(at_start)?;
    let _ = connection.close().await;
    Ok(migrated)
}

/// Whether a process could work on the ledger: the primary is found and lets it in, a session keeps what is set, and the
/// role has its rights if the ledger is there. Changes nothing.
///
/// # Errors
/// As [`super::open`].
pub async fn look(database: &str) -> Result<(), EngineError> {
    let mut connection = first(&*Sessions::new(database)?).await?;
    if version(&mut connection).await? > 1 {
        check_rights(&mut connection).await?;
    }
    let _ = connection.close().await;
    Ok(())
}

/// Days of the log must be there before the first accept.
pub(super) async fn prepare(sessions: &std::sync::Arc<Sessions>, kinds: &[KnownKind]) -> Result<PgPool, EngineError> {
    let mut connection = first(sessions).await?;
    bring_up_to_date(&mut connection).await?;
    check_rights(&mut connection).await?;
    kinds::bring(&mut connection, kinds).await?;
    retention::ensure_days(&mut connection).await.map_err(at_start)?;
    let available = available(&mut connection).await.map_err(at_start)?;
    let _ = connection.close().await;
    Ok(sessions.pool(available))
}

/// How many connections this role may have to this database, whoever has them now.
async fn available(connection: &mut PgConnection) -> Result<u32, sqlx::Error> {
    let available: i32 = sqlx::query_scalar(
        "SELECT least(current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
                      (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
                      (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()))",
    )
    .fetch_one(connection)
    .await?;
    Ok(u32::try_from(available).unwrap_or(0))
}

async fn first(sessions: &Sessions) -> Result<PgConnection, EngineError> {
    let mut connection = sessions.connect(PATIENT).await.map_err(at_start)?;
    sessions.refuse_sharing(&mut connection).await.map_err(at_start)?;
    let whole: String =
        sqlx::query_scalar("SHOW full_page_writes").fetch_one(&mut connection).await.map_err(at_start)?;
    if whole != "on" {
        // Some file systems write pages whole by themselves.
        tracing::warn!(
            "Postgres runs with full_page_writes = off: unless its file system writes pages whole, a loss of power can damage the ledger"
        );
    }
    Ok(connection)
}

async fn bring_up_to_date(connection: &mut PgConnection) -> Result<Migrated, EngineError> {
    let from = version(connection).await?;
    let newest = newest();
    if from == 0 {
        refuse_what_is_not_ours(connection).await?;
    }
    // Who may not change the schema may work on it all the same, once it is right.
    if is_complete(connection, from).await? {
        return Ok(Migrated { from, to: newest });
    }
    // An index over a large log takes as long as it takes.
    sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await.map_err(at_start)?;
    MIGRATOR.run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => EngineError::new(
            ErrorKind::Broken,
            format!("the database has schema {version}, of a newer version; this one knows schema {newest} and changed nothing"),
        ),
        MigrateError::VersionMismatch(version) => EngineError::new(
            ErrorKind::Broken,
            format!("schema {version} of the database is not the one of this program; it was changed by something else"),
        ),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) if is_forbidden(&error) => {
            let found = if from == 0 { "no ledger".to_owned() } else { format!("schema {from}") };
            let message =
                format!("the database has {found}, this program needs schema {newest}, and this role may not upgrade it");
            EngineError::new(ErrorKind::Broken, message)
                .caused_by(error)
                .fixed_by("run card-server migrate once, as the owner of the ledger, and give this role its rights: SELECT grant_runtime('ROLE')")
        }
        MigrateError::Execute(error) => at_start(error),
        // Postgres went away meanwhile, or its disk is full: that says nothing about the schema.
        MigrateError::ExecuteMigration(error, _) if !matches!(cause(&error), Cause::Statement) => at_start(error),
        other => EngineError::new(ErrorKind::Broken, "the schema can't be upgraded").caused_by(other),
    })?;
    Ok(Migrated { from, to: newest })
}

async fn check_rights(connection: &mut PgConnection) -> Result<(), EngineError> {
    let missing: Option<String> =
        sqlx::query_scalar("SELECT missing_rights()").fetch_one(connection).await.map_err(at_start)?;
    missing.map_or(Ok(()), |missing| Err(lacks(ErrorKind::Broken, &missing)))
}

/// The role has not all that a server or worker needs.
pub(super) fn lacks(kind: ErrorKind, missing: &str) -> EngineError {
    EngineError::new(kind, format!("this role lacks rights on the ledger: {missing}"))
        .fixed_by("give them, as the owner of the ledger: SELECT grant_runtime('ROLE')")
}

fn newest() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn is_forbidden(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42501")
}

/// The schema that the database has; 0 for none.
async fn version(connection: &mut PgConnection) -> Result<i64, EngineError> {
    let there: Option<String> = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations')::text")
        .fetch_one(&mut *connection)
        .await
        .map_err(at_start)?;
    if there.is_none() {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await
        .map_err(at_start)
}

/// Whether every migration of this program was applied as it is, and none besides.
async fn is_complete(connection: &mut PgConnection, from: i64) -> Result<bool, EngineError> {
    if from != newest() {
        return Ok(false);
    }
    let applied: Vec<(i64, Vec<u8>, bool)> =
        sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
            .fetch_all(connection)
            .await
            .map_err(at_start)?;
    let known = MIGRATOR.iter().map(|migration| (migration.version, migration.checksum.to_vec(), true));
    Ok(known.eq(applied))
}

/// A database that holds something, and no migration of anybody's: an address that was mistyped, most likely.
async fn refuse_what_is_not_ours(connection: &mut PgConnection) -> Result<(), EngineError> {
    // One snapshot: another process may be migrating right now.
    let foreign: bool = sqlx::query_scalar(
        "SELECT count(*) > 0 AND count(*) FILTER (WHERE relname = '_sqlx_migrations') = 0 FROM pg_class
         WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relkind IN ('r', 'p', 'v', 'm')",
    )
    .fetch_one(connection)
    .await
    .map_err(at_start)?;
    if foreign {
        return Err(EngineError::new(
            ErrorKind::Broken,
            "the database holds tables of something else; nothing was changed: name an empty one (CREATE DATABASE)",
        ));
    }
    Ok(())
}

/// The ledger's own name.
pub(super) async fn ledger(pool: &PgPool) -> Result<uuid::Uuid, EngineError> {
    sqlx::query_scalar("SELECT id FROM ledger").fetch_one(pool).await.map_err(failure::classify)
}

/// Whether the schema is one that this program can work on. A newer one is: versions after this one only add to it, while
/// servers of this one still run.
pub(super) async fn check_schema(pool: &PgPool) -> Result<(), EngineError> {
    let found: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
        .fetch_one(pool)
        .await
        .map_err(failure::classify)?;
    if found >= newest() {
        Ok(())
    } else {
        Err(EngineError::new(ErrorKind::Broken, format!("the database has schema {found}, not {}", newest())))
    }
}
