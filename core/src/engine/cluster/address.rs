//! Where the two servers are.

mod libpq;

use std::fmt;

pub(super) use self::libpq::Server;

/// The addresses of the ledger and the delivery. They may hold passwords: neither `Debug` nor an error shows them.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Address {
    /// Of Postgres, in either of libpq's forms: `postgres://user@host:5432/database`, with several hosts
    /// (`host-a:5432,host-b:5432`) of which the primary is used, or `host=… dbname=…`. What it leaves out comes from
    /// `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE` …
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

/// Where a Postgres is, as an address and the environment say it: what may be shown, for who only looks whether it answers.
///
/// # Errors
/// The address can't be used. The sentence repeats nothing of it.
pub fn database_hosts(address: &str) -> Result<Vec<(String, u16)>, String> {
    let servers = Server::of(address, |name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
    Ok(servers.iter().map(Server::place).collect())
}
