//! Where the cluster's two servers are.

use std::fmt;

/// The addresses of the ledger and the delivery. They may hold passwords: neither `Debug` nor an error shows them.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Address {
    /// Of Postgres, as libpq writes it: `postgres://user@host:5432/database`. What it leaves out comes from `PGUSER`,
    /// `PGPASSWORD`, `PGSSLMODE` …
    pub database: String,
    /// Of Redis: `redis://host:6379/0` (`rediss://` with TLS), `redis-cluster://host:port,host:port` for the nodes of a
    /// Redis Cluster, `redis-sentinel://host:port,host:port/name` for the master that sentinels call so.
    pub redis: String,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address").finish_non_exhaustive()
    }
}
