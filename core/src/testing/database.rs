//! A database for one test, inside of a Postgres that many tests share.

use std::env;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use super::waiting::complete;

/// An empty database and a prefix in Redis that nobody else uses. Both go when it is dropped.
///
/// A database and not a schema: advisory locks, `NOTIFY`, statistics and the names of everything belong to a database, so
/// tests that migrate, wait and count side by side can't meet. It costs 20 ms to make and 20 ms to drop (a schema: 2),
/// with `STRATEGY = WAL_LOG`; `FILE_COPY` takes 55, for two checkpoints that everybody else waits for as well.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
    url: String,
    redis: String,
}

impl Database {
    /// Makes one inside of the servers that `./test` starts for all tests.
    ///
    /// # Panics
    /// The servers are not there.
    #[must_use]
    pub fn create() -> Self {
        let address = |name| {
            env::var(name).unwrap_or_else(|_| {
                panic!(
                    "this test needs a Postgres and a Redis, and {name} names none: \
                     ./test --services -- cargo nextest run -p card-core"
                )
            })
        };
        Self::create_in(&address("CARDCTL_TEST_DATABASE_URL"), &address("CARDCTL_TEST_REDIS_URL"))
    }

    /// Makes one inside of these servers: the address of any database of a Postgres whose user may create databases, and
    /// that of a Redis.
    ///
    /// # Panics
    /// The Postgres is not there.
    #[must_use]
    pub fn create_in(postgres: &str, redis: &str) -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 STRATEGY = WAL_LOG");
        let created = complete(execute(postgres, create));
        created.unwrap_or_else(|error| panic!("can't create a database for this test: {error}"));
        let url = with_database(postgres, &name);
        Self { server: postgres.to_owned(), name, url, redis: redis.to_owned() }
    }

    /// The address of the database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of the Redis, which others use as well.
    #[must_use]
    pub fn redis(&self) -> &str {
        &self.redis
    }

    /// With what the names of this test's keys in Redis begin: the setting `delivery.prefix`. Also the database's name.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.name
    }

    /// Takes all that this test has in Redis away, as a wiped Redis would.
    ///
    /// # Panics
    /// The Redis is not there.
    pub fn wipe_redis(&self) {
        forget(&self.redis, &self.name).unwrap_or_else(|error| panic!("can't wipe Redis: {error}"));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Whether the servers are still there or not: they and all that is in them end with the tests.
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = complete(execute(&self.server, drop));
        let _ = forget(&self.redis, &self.name);
    }
}

/// Runs a statement that takes no parameters. Our own text: the only thing in it that varies is a name we made of digits.
async fn execute(server: &str, statement: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await
}

fn forget(redis: &str, prefix: &str) -> redis::RedisResult<()> {
    let client = redis::Client::open(redis)?;
    let mut connection = client.get_connection_with_timeout(std::time::Duration::from_secs(5))?;
    let keys = redis::cmd("SCAN").cursor_arg(0).arg("MATCH").arg(format!("*{prefix}*")).arg("COUNT").arg(1000).clone();
    let keys: Vec<String> = keys.iter(&mut connection)?.collect::<redis::RedisResult<_>>()?;
    if keys.is_empty() { Ok(()) } else { redis::cmd("UNLINK").arg(keys).query(&mut connection) }
}

/// The same server's address with another database.
fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) = url.split_once('?').map_or((url, None), |(address, rest)| (address, Some(rest)));
    let begin = address.find("://").map_or(0, |at| at + 3);
    let end = address[begin..].find('/').map_or(address.len(), |at| begin + at);
    let parameters = parameters.map(|rest| format!("?{rest}")).unwrap_or_default();
    format!("{}/{database}{parameters}", &address[..end])
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn another_database_of_the_same_server_keeps_the_rest_of_its_address() {
        assert_eq!(with_database("postgres://card@127.0.0.1:5432/postgres", "x"), "postgres://card@127.0.0.1:5432/x");
        assert_eq!(with_database("postgres://127.0.0.1", "x"), "postgres://127.0.0.1/x");
        assert_eq!(with_database("postgres:///a?host=/tmp/b", "x"), "postgres:///x?host=/tmp/b");
    }
}
