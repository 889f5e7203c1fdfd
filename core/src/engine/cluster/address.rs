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

/// Where a Postgres is, and what of its address may not be shown. For who shows it, or only looks whether it answers.
pub struct Located {
    /// Hosts, or directories of sockets, with their ports, in the order of the address.
    pub hosts: Vec<(String, u16)>,
    /// The database, if one is named.
    pub database: Option<String>,
    /// Passwords that the address holds, in each way that they are written.
    pub secrets: Vec<String>,
}

/// Reads the address of a Postgres, with what the environment of this process adds to it.
///
/// # Errors
/// It can't be used. The sentence repeats nothing of it.
pub fn locate(database: &str) -> Result<Located, String> {
    let (servers, secrets) = Server::read(database.trim(), |name| std::env::var(name).ok())?;
    Ok(Located {
        database: servers.first().and_then(|server| server.options.get_database()).map(str::to_owned),
        hosts: servers.iter().map(Server::place).collect(),
        secrets,
    })
}
