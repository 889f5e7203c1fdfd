//! Real servers for tests and benchmarks: a Postgres and its standby, a PgBouncer, a Redis, a Redis Cluster, a Redis with
//! sentinels, an nginx, a proxy that cuts connections, and a database for one test.
//!
//! Each server is private: a free loopback port, a temporary directory, and the end of the process when its value is
//! dropped, by its id, in a panic as well. On Linux it even ends when the process that started it is killed.
//!
//! These are fixtures: what goes wrong is a panic that says what was missing, and shows the end of the server's log.
//! They work inside and outside of a tokio runtime, and block the calling thread for as long as a call takes: up to a
//! second for a start, more for a fail-over. A test whose own tasks must go on meanwhile needs
//! `#[tokio::test(flavor = "multi_thread")]`.

mod cluster;
mod database;
mod ledger;
mod nginx;
mod node;
mod pgbouncer;
mod ports;
mod postgres;
mod process;
mod proxy;
mod redis;
mod sentinels;
#[cfg(test)]
mod tests;
mod waiting;
pub mod words;

pub use self::cluster::RedisCluster;
pub use self::database::Database;
pub use self::ledger::TestLedger;
pub use self::nginx::{Nginx, Passed};
pub use self::pgbouncer::PgBouncer;
pub use self::postgres::{Postgres, PostgresOptions, Shutdown};
pub use self::proxy::Proxy;
pub use self::redis::Redis;
pub use self::sentinels::Sentinels;
