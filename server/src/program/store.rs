//! Which store a server works on: a file of its own, or the cluster that the environment names.

use std::path::PathBuf;

use card_core::engine::cluster::{self, Address};
use card_core::engine::{EngineError, Store, sqlite};
use card_core::process::NotReady;
use card_core::settings::Settings;
use card_kinds::Registry;

/// The file of a server that is told nothing.
const LEDGER: &str = "cards.db";

/// See the module.
#[derive(Debug, PartialEq)]
pub(super) enum StoreChoice {
    /// SQLite, in this file.
    Ledger(PathBuf),
    /// Postgres and Redis.
    Cluster(Address),
}

impl StoreChoice {
    /// # Errors
    /// Both were given: the data would be in one and be looked for in the other.
    pub(super) fn of(ledger: Option<PathBuf>, cluster: Option<Address>) -> Result<Self, NotReady> {
        match (ledger, cluster) {
            (Some(_), Some(_)) => Err(NotReady::new(
                "a SQLite ledger and Postgres are both configured; leave out --ledger and CARDCTL_LEDGER, or unset CARDCTL_DATABASE and CARDCTL_REDIS (and …_FILE)",
            )),
            (ledger, None) => Ok(Self::Ledger(ledger.unwrap_or_else(|| LEDGER.into()))),
            (None, Some(address)) => Ok(Self::Cluster(address)),
        }
    }

    /// Workers in the server's own process, unless said: a cluster has processes for them.
    pub(super) const fn workers(&self) -> usize {
        match self {
            Self::Ledger(_) => 1,
            Self::Cluster(_) => 0,
        }
    }

    pub(super) async fn open(&self, settings: &Settings, kinds: &Registry) -> Result<Store, EngineError> {
        match self {
            Self::Ledger(path) => sqlite::open(path, &settings.ledger, &kinds.known()).await,
            Self::Cluster(address) => cluster::open(address, settings, &kinds.known()).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        Address { database: "postgres://u:hidden@h/d".to_owned(), redis: "redis://h".to_owned() }
    }

    #[test]
    fn a_server_works_on_one_store() {
        assert_eq!(StoreChoice::of(None, None).unwrap(), StoreChoice::Ledger("cards.db".into()));
        assert_eq!(StoreChoice::of(Some("x.db".into()), None).unwrap().workers(), 1);
        assert_eq!(StoreChoice::of(None, Some(address())).unwrap().workers(), 0);
        let both = StoreChoice::of(Some("x.db".into()), Some(address())).unwrap_err().to_string();
        assert!(both.contains("--ledger") && !both.contains("hidden"), "{both}");
    }
}
