//! `cluster.json`: where an instance's data lies if it is not in the state directory. It stays when the instance stops, so
//! that who deletes the directory is told what else there is.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::str::FromStr;

use card_core::engine::cluster::Address;
use card_core::files;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::given::from_environment;
use super::{Place, Service};
use crate::failure::Failure;
use crate::instance::Paths;

/// The places of an instance's cluster, as they may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Of Postgres: `host:port/name`.
    pub database: String,
    /// Of Redis.
    pub redis: String,
}

impl Remembered {
    /// What of an address may be written down. An address that was checked before.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        let shown = |service, address: &str| {
            Place::of(service, address).map_or_else(|_| "unknown".to_owned(), |place| place.to_string())
        };
        Self { database: shown(Service::Postgres, &address.database), redis: shown(Service::Redis, &address.redis) }
    }

    /// Tells addresses apart that are shown alike, such as two passwords, without showing any: a hash that only who has the
    /// instance's key can make. None without a key.
    #[must_use]
    pub fn fingerprint(address: &Address, data: &Path) -> Option<String> {
        let key = std::fs::read(Paths::signing_key(data)).ok()?;
        let mut hash = Sha256::new();
        for part in [key.as_slice(), address.database.as_bytes(), address.redis.as_bytes()] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        Some(hash.finalize()[..16].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
    }

    /// What an instance ran on last, if that was a cluster.
    #[must_use]
    pub fn load(paths: &Paths) -> Option<Self> {
        serde_json::from_slice(&files::read(&paths.cluster()).ok()?).ok()
    }

    /// Writes it down.
    ///
    /// # Errors
    /// The directory can't be written.
    pub fn store(&self, paths: &Paths) -> io::Result<()> {
        files::replace(&paths.cluster(), &serde_json::to_vec_pretty(self)?)
    }

    /// The places to look at: those of the environment, else those that an instance ran on last.
    ///
    /// # Errors
    /// The environment's are unusable.
    pub fn places(
        paths: &Paths,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Vec<(Service, Option<Place>)>, Failure> {
        let remembered = Self::load(paths);
        [Service::Postgres, Service::Redis]
            .into_iter()
            .map(|service| {
                let given = from_environment(service, &variable)?.and_then(|text| Place::of(service, &text).ok());
                let last = || {
                    let Self { database, redis } = remembered.as_ref()?;
                    Place::from_str(if service == Service::Postgres { database } else { redis }).ok()
                };
                Ok((service, given.or_else(last)))
            })
            .collect()
    }
}
