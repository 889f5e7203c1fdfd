//! The fixtures themselves: they start, they break as they say, and they leave nothing behind.

mod connecting;
mod many;

use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::waiting::complete;
use super::*;

fn ask_postgres(url: &str, statement: &str) -> sqlx::Result<i64> {
    complete(async {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_one(&mut connection).await
    })
}

fn tell_postgres(url: &str, statement: &str) -> sqlx::Result<()> {
    complete(async {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.map(drop)
    })
}

fn ask_redis<T: ::redis::FromRedisValue>(url: &str, words: &[&str]) -> ::redis::RedisResult<T> {
    let mut connection = ::redis::Client::open(url)?.get_connection()?;
    connection.set_read_timeout(Some(std::time::Duration::from_millis(300)))?;
    let mut command = ::redis::cmd(words[0]);
    command.arg(&words[1..]).query(&mut connection)
}

#[test]
fn a_postgres_keeps_what_was_committed_through_every_way_to_end_it() {
    let postgres = Postgres::start(PostgresOptions::default().with("max_connections", "20"));
    let url = postgres.url("postgres");
    tell_postgres(&url, "CREATE TABLE kept (n bigint)").unwrap();
    for (n, end) in [
        (1, (|postgres| postgres.restart(Shutdown::Fast)) as fn(&Postgres)),
        (2, |postgres| postgres.restart(Shutdown::Immediate)),
        (3, |postgres| {
            postgres.kill();
            postgres.start_again();
        }),
    ] {
        tell_postgres(&url, "INSERT INTO kept VALUES (1)").unwrap();
        end(&postgres);
        assert_eq!(ask_postgres(&url, "SELECT count(*) FROM kept").unwrap(), n);
    }
    let setting = "SELECT current_setting('max_connections')::bigint * (current_setting('fsync') = 'on')::int";
    assert_eq!(ask_postgres(&url, setting).unwrap(), 20);
    assert_eq!(ask_postgres(&postgres.socket_url("postgres"), "SELECT 4::bigint").unwrap(), 4);
}

#[test]
fn a_killed_postgres_leaves_none_of_its_processes() {
    let postgres = Postgres::start(PostgresOptions::default());
    let url = postgres.url("postgres");
    let backend = complete(async {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let id: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
        postgres.kill();
        id
    });
    waiting::eventually("the backend is gone", std::time::Duration::from_secs(10), || {
        // One that nobody has collected yet has no command line.
        std::fs::read(format!("/proc/{backend}/cmdline")).map_or(true, |line| line.is_empty()).then_some(())
    });
    assert!(TcpStream::connect(postgres.address()).is_err());
}

#[test]
fn a_redis_that_was_killed_comes_back_empty_on_its_port() {
    let redis = Redis::start();
    let url = redis.url();
    ask_redis::<()>(&url, &["SET", "key", "value"]).unwrap();
    redis.kill();
    assert!(TcpStream::connect(redis.address()).is_err(), "its port refuses");
    redis.start_again_empty();
    assert_eq!(ask_redis::<Option<String>>(&url, &["GET", "key"]).unwrap(), None);

    ask_redis::<()>(&url, &["SET", "key", "value"]).unwrap();
    redis.flush_all();
    assert_eq!(ask_redis::<Option<String>>(&url, &["GET", "key"]).unwrap(), None);
}

#[test]
fn a_paused_redis_is_silent_until_it_goes_on() {
    let redis = Redis::start();
    ask_redis::<()>(&redis.url(), &["SET", "key", "value"]).unwrap();
    let mut connection = ::redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    connection.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    redis.pause();
    let silent: ::redis::RedisResult<String> = ::redis::cmd("GET").arg("key").query(&mut connection);
    assert!(silent.unwrap_err().is_timeout());
    redis.resume();
    assert_eq!(ask_redis::<String>(&redis.url(), &["GET", "key"]).unwrap(), "value");
}

#[test]
fn a_panic_leaves_no_server_and_no_directory() {
    let mut addresses = Vec::new();
    let mut socket = PathBuf::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let (postgres, redis) = (Postgres::start(PostgresOptions::default()), Redis::start());
        addresses.extend([postgres.address(), redis.address()]);
        socket = postgres.directory().to_owned();
        assert!(socket.is_dir());
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "{address} still listens");
    }
    assert!(!socket.exists());
}

#[test]
fn a_database_is_empty_its_own_and_gone_afterwards() {
    let postgres = Postgres::start(PostgresOptions::default());
    let redis = Redis::start();
    let (server, redis) = (postgres.url("postgres"), redis.url());
    let count = "SELECT count(*) FROM pg_database WHERE datname LIKE 'test%'";
    {
        let first = Database::create_in(&server, &redis);
        let second = Database::create_in(&server, &redis);
        assert_ne!(first.prefix(), second.prefix());
        tell_postgres(first.url(), "CREATE TABLE here (n int)").unwrap();
        assert_eq!(ask_postgres(second.url(), "SELECT count(*) FROM pg_tables WHERE tablename = 'here'").unwrap(), 0);
        assert_eq!(ask_postgres(&server, count).unwrap(), 2);
        ask_redis::<()>(&redis, &["SET", &format!("{}:{{s01}}:ready", first.prefix()), "1"]).unwrap();
        ask_redis::<()>(&redis, &["SET", "another's", "1"]).unwrap();
    }
    assert_eq!(ask_postgres(&server, count).unwrap(), 0);
    assert_eq!(ask_redis::<Vec<String>>(&redis, &["KEYS", "*"]).unwrap(), ["another's"]);
}

/// Also shows that the servers of `./test` are there.
#[tokio::test]
async fn a_database_in_the_servers_of_all_tests_works_inside_of_a_runtime() {
    let database = Database::create();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut connection).await.unwrap();
    assert_eq!(name, database.prefix());
}
