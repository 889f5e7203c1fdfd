//! A ledger of its own for one test, on either engine.

use std::path::PathBuf;

use super::Database;
use crate::engine::cluster::{self, Address};
use crate::engine::{EngineError, KnownKind, Store, sqlite};
use crate::settings::Settings;

/// Which engine whole suites run on, unless a test says: `postgres`, or the embedded one. `./test` runs them on both.
const ENGINE: &str = "CARDCTL_TEST_ENGINE";

/// A ledger of its own for one test; it goes when this is dropped.
#[derive(Debug)]
pub enum TestLedger {
    /// SQLite, in a directory of its own.
    File(tempfile::TempDir),
    /// Postgres and Redis, in servers that others use as well.
    Servers(Database),
}

impl TestLedger {
    /// On the engine that this run of the tests is for.
    ///
    /// # Panics
    /// What it needs is not there.
    #[must_use]
    pub fn create() -> Self {
        match std::env::var(ENGINE).as_deref() {
            Ok("postgres") => Self::Servers(Database::create()),
            Ok("sqlite") | Err(_) => Self::file(),
            Ok(other) => panic!("{ENGINE} is {other:?}: sqlite or postgres"),
        }
    }

    /// One on each engine.
    ///
    /// # Panics
    /// What they need is not there.
    #[must_use]
    pub fn both() -> [Self; 2] {
        [Self::file(), Self::Servers(Database::create())]
    }

    fn file() -> Self {
        Self::File(tempfile::tempdir().expect("a temporary directory can be made"))
    }

    /// The file of an embedded one.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File(dir) => Some(dir.path().join("ledger.db")),
            Self::Servers(_) => None,
        }
    }

    /// Makes settings those of a process on this ledger.
    pub fn set(&self, settings: &mut Settings) {
        if let Self::Servers(database) = self {
            database.prefix().clone_into(&mut settings.delivery.prefix);
        }
    }

    /// Opens it, as one more process.
    ///
    /// # Errors
    /// As the engine's own `open`.
    pub async fn try_open(&self, settings: &Settings, kinds: &[KnownKind]) -> Result<Store, EngineError> {
        match self {
            Self::File(dir) => sqlite::open(&dir.path().join("ledger.db"), &settings.ledger, kinds).await,
            Self::Servers(database) => {
                let mut settings = settings.clone();
                self.set(&mut settings);
                let address = Address { database: database.url().to_owned(), redis: database.redis().to_owned() };
                cluster::open(&address, &settings, kinds).await
            }
        }
    }

    /// Opens it, as one more process.
    ///
    /// # Panics
    /// It can't be opened.
    pub async fn open(&self, settings: &Settings, kinds: &[KnownKind]) -> Store {
        self.try_open(settings, kinds).await.unwrap_or_else(|error| panic!("the ledger of this test: {error:?}"))
    }
}
