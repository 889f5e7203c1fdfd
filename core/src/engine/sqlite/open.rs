//! Opening the ledger's file: who may, which version it has, and what is refused.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::writer::classify;
use crate::engine::kinds::{KnownKind, missing};
use crate::engine::{EngineError, ErrorKind};
use crate::files;

/// The schema that this build reads and writes.
pub const SCHEMA_VERSION: i64 = 5;

/// "card", so that a stray SQLite file is not taken for a ledger.
const APPLICATION_ID: i64 = 0x6361_7264;

/// The migrations: the one at index n leads from schema n to n + 1.
const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];

/// Makes sure that this process is the only one on the file, as long as the returned file is open: leases live in
/// memory, so two processes would hand out the same tasks.
pub(super) fn lock(path: &Path) -> Result<File, EngineError> {
    let lock_path = path.with_extension("lock");
    let broken = |message: String| EngineError::new(ErrorKind::Broken, message);
    let file = files::open_or_create(&lock_path, OpenOptions::new().write(true))
        .map_err(|error| broken(format!("{} can't be opened", lock_path.display())).caused_by(error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(broken(format!("{} is in use by another process", path.display()))),
        Err(TryLockError::Error(error)) => {
            Err(broken(format!("{} can't be locked", lock_path.display())).caused_by(error))
        }
    }
}

/// Opens the file for writing, creates or migrates its schema, and refuses what it must not touch.
pub(super) fn open_writer(path: &Path) -> Result<Connection, EngineError> {
    let explain = |error: rusqlite::Error| {
        let error = classify(error);
        EngineError::new(error.kind(), format!("{}: {error}", path.display())).caused_by(error)
    };
    make_private(path)?;
    let mut connection = connect(path).map_err(explain)?;
    let version = schema_version(&connection).map_err(explain)?;
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(explain)?;
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(explain)?;
    if objects > 0 && application != APPLICATION_ID {
        let message = format!("{} is a SQLite file of something else; it was not touched", path.display());
        return Err(EngineError::new(ErrorKind::Broken, message));
    }
    if version > SCHEMA_VERSION {
        let message = format!(
            "{} has schema {version}, written by a newer cardctl; this one knows schema {SCHEMA_VERSION} and did not touch it",
            path.display()
        );
        return Err(EngineError::new(ErrorKind::Broken, message));
    }
    if version > 0 && version < SCHEMA_VERSION {
        back_up(&connection, path, version)?;
    }
    // Writing the header also finds out now, not at the first accept, whether the file takes writes.
    connection.execute_batch("PRAGMA journal_mode = WAL").map_err(explain)?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(explain)?;
    for migration in &MIGRATIONS[usize::try_from(version).unwrap_or(0)..] {
        transaction.execute_batch(migration).map_err(explain)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(explain)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(explain)?;
    transaction.commit().map_err(explain)?;
    connection
        .execute_batch(
            "PRAGMA wal_autocheckpoint = 0;
             PRAGMA cache_size = -49152;",
        )
        .map_err(explain)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Tells the ledger of the kinds that this program knows, and answers all that it knows.
pub(super) fn bring_kinds(connection: &Connection, ours: &[KnownKind]) -> Result<Vec<KnownKind>, EngineError> {
    let there = read_kinds(connection).map_err(classify)?;
    for KnownKind { code, kind, has_effect } in missing(ours, &there)? {
        connection
            .execute(
                "INSERT INTO kinds (code, name, has_effect) VALUES (?1, ?2, ?3)",
                (code, kind.as_str(), has_effect),
            )
            .map_err(classify)?;
    }
    read_kinds(connection).map_err(classify)
}

fn read_kinds(connection: &Connection) -> rusqlite::Result<Vec<KnownKind>> {
    let mut statement = connection.prepare("SELECT code, name, has_effect FROM kinds ORDER BY code")?;
    let kinds = statement.query_map([], |row| {
        let kind = row.get_ref(1)?.as_str()?.parse();
        let kind =
            kind.map_err(|_| rusqlite::Error::InvalidColumnType(1, "name".into(), rusqlite::types::Type::Text))?;
        Ok(KnownKind { code: row.get(0)?, kind, has_effect: row.get(2)? })
    })?;
    kinds.collect()
}

/// A connection for writing, with what all connections have in common.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // FULL: a commit returns when the log is on disk, so a 202 survives the loss of power.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON;")?;
    Ok(connection)
}

/// A connection that can't write.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.execute_batch("PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY;")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

pub(super) fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Makes sure that the ledger and what SQLite keeps beside it are ours and can be read by nobody else: SQLite makes the
/// others with the ledger's mode, and the ledger with whatever the umask leaves.
fn make_private(path: &Path) -> Result<(), EngineError> {
    let refused = |path: PathBuf| move |error: std::io::Error| unusable(&path, error);
    match files::create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(unusable(path, error)),
        _ => {}
    }
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let path = PathBuf::from(name);
        files::check(&path).map_err(refused(path))?;
    }
    Ok(())
}

fn unusable(path: &Path, error: std::io::Error) -> EngineError {
    // A full disk is not the file's fault: it is told apart by what the caller can do.
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge => {
            ErrorKind::DiskFull
        }
        _ => ErrorKind::Broken,
    };
    let message = match files::Distrust::of(&error) {
        Some(distrust) => format!("{distrust}; {}", distrust.fix),
        None => format!("{}: {error}", path.display()),
    };
    EngineError::new(kind, message).caused_by(error)
}

/// In one piece: what an attempt that was cut off left behind is not taken for a copy.
fn back_up(connection: &Connection, path: &Path, version: i64) -> Result<(), EngineError> {
    let copy = path.with_extension(format!("schema-{version}.bak"));
    let new = path.with_extension(format!("schema-{version}.bak.new"));
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unusable(&new, error)),
        _ => {}
    }
    // SQLite writes into an empty file, and leaves its mode alone.
    files::create(&new).map_err(|error| unusable(&new, error))?;
    connection.execute("VACUUM INTO ?1", [new.to_string_lossy()]).map_err(|error| {
        let error = classify(error);
        EngineError::new(error.kind(), format!("{}: {error}", new.display())).caused_by(error)
    })?;
    std::fs::rename(&new, &copy).map_err(|error| unusable(&copy, error))
}
