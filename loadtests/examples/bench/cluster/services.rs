//! A Postgres with durable commits and a Redis that keeps nothing, for one platform.

use card_core::testing::{Postgres, PostgresOptions, Redis};
use sqlx::{Connection, PgConnection};

use crate::Failed;

pub(crate) struct Services {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
}

impl Services {
    pub(crate) fn start(options: PostgresOptions) -> Self {
        Self { postgres: Postgres::start(options), redis: Redis::start() }
    }

    /// To the ledger.
    pub(crate) async fn connect(&self) -> Result<PgConnection, Failed> {
        Ok(PgConnection::connect(&self.postgres.url("postgres")).await?)
    }

    /// Generated users come by the hundred thousand: autovacuum would look after them at any moment, and a checkpoint
    /// would write them.
    pub(super) async fn rest(&self) -> Result<(), Failed> {
        let mut connection = self.connect().await?;
        for statement in ["VACUUM (ANALYZE) users", "CHECKPOINT"] {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }

    /// `used_memory` of Redis, in MB.
    pub(crate) async fn redis_memory(&self) -> Result<f64, Failed> {
        let client = redis::Client::open(self.redis.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        let text: String = redis::cmd("INFO").arg("memory").query_async(&mut connection).await?;
        let bytes = text.lines().find_map(|line| line.strip_prefix("used_memory:")).ok_or("INFO has no used_memory")?;
        Ok(bytes.trim().parse::<f64>()? / 1e6)
    }
}
