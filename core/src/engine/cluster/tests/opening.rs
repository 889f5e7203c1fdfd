//! Opening: whose database, which version, and two hundred at once.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::*;
use crate::engine::ErrorKind;
use crate::testing::{Postgres, PostgresOptions};

async fn run(database: &str, statements: &'static str) {
    let mut connection = PgConnection::connect(database).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The names of all that is in a database, and what is noted of migrations.
async fn contents(database: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(database).await.unwrap();
    let names = sqlx::query_scalar(
        "SELECT relname || ' ' || relfilenode FROM pg_class WHERE relnamespace = 'public'::regnamespace
         UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
    );
    let names = names.fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    names
}

async fn refused(database: &Database) -> EngineError {
    let address = Address { database: database.url().to_owned(), redis: database.redis().to_owned() };
    let error = open_engine(&address, &Settings::default(), &KINDS).await.err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Broken, "{error:?}");
    assert_eq!(migrate(database.url()).await.unwrap_err().kind(), ErrorKind::Broken);
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once_migrate_an_empty_database_once() {
    let postgres = Postgres::start(PostgresOptions::default().with("max_connections", "500"));
    let redis = std::env::var("CARDCTL_TEST_REDIS_URL").expect("see Database::create");
    let database = Database::create_in(&postgres.url("postgres"), &redis);
    let bare = (0..180).map(|_| migrate(database.url()));
    let opened = (0..20).map(|_| {
        let address = Address { database: database.url().to_owned(), redis: redis.clone() };
        let mut settings = Settings::default();
        settings.delivery.prefix = database.prefix().to_owned();
        async move { open_engine(&address, &settings, &KINDS).await }
    });
    let (bare, opened) = tokio::join!(join_all(bare), join_all(opened));
    let newest = bare[0].as_ref().unwrap().to;
    for migrated in bare {
        let migrated = migrated.unwrap();
        assert_eq!(migrated.to, newest);
        // One that came in between found what was done so far.
        assert!((0..=newest).contains(&migrated.from));
    }
    for engine in opened {
        let engine = engine.unwrap();
        engine.ping().await.unwrap();
        engine.close().await;
    }
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let migrations: i64 =
        sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations").fetch_one(&mut connection).await.unwrap();
    let pages: i64 = sqlx::query_scalar("SELECT count(*) FROM books").fetch_one(&mut connection).await.unwrap();
    let known = i64::try_from(std::fs::read_dir("migrations").unwrap().count()).unwrap();
    assert_eq!((migrations, pages), (known, 1));
    assert_eq!(migrate(database.url()).await.unwrap(), Migrated { from: newest, to: newest });
}

/// As by `kill -9` of whoever migrates, or of Postgres: what was begun is undone, and the next one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_killed_anywhere_goes_on() {
    let whole = Database::create();
    let newest = migrate(whole.url()).await.unwrap().to;
    let names = async |url: &str| -> Vec<String> {
        // Without the numbers of files.
        contents(url).await.iter().map(|name| name.split(' ').next().unwrap().to_owned()).collect()
    };
    let wanted = names(whole.url()).await;
    let mut stopped = 0;
    for round in 0..8_u64 {
        let database = Database::create();
        let mut killer = PgConnection::connect(database.url()).await.unwrap();
        for time in 0..4 {
            let url = database.url().to_owned();
            let migrating = tokio::spawn(async move { migrate(&url).await });
            // Each time somewhere else: the whole takes some hundred milliseconds.
            sleep(Duration::from_millis((round * 13 + time * 37) % 190)).await;
            sqlx::query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .execute(&mut killer)
            .await
            .unwrap();
            if let Err(error) = migrating.await.unwrap() {
                stopped += 1;
                assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Unknown), "{error:?}");
            }
        }
        assert_eq!(migrate(database.url()).await.unwrap().to, newest);
        assert_eq!(names(database.url()).await, wanted, "round {round}");
    }
    assert!(stopped > 3, "only {stopped} were killed");
}

#[tokio::test]
async fn a_newer_schema_is_refused_untouched() {
    let database = Database::create();
    let newest = migrate(database.url()).await.unwrap().to;
    run(
        database.url(),
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9000, 'of the future', true, 'x', 1)",
    )
    .await;
    let before = contents(database.url()).await;
    let error = refused(&database).await.to_string();
    assert!(error.contains("9000") && error.contains("newer") && error.contains(&newest.to_string()), "{error}");
    assert_eq!(contents(database.url()).await, before);
}

#[tokio::test]
async fn a_schema_that_something_else_changed_is_refused() {
    let database = Database::create();
    migrate(database.url()).await.unwrap();
    run(database.url(), "UPDATE _sqlx_migrations SET checksum = 'other' WHERE version = 1").await;
    let error = refused(&database).await.to_string();
    assert!(error.contains("changed by something else"), "{error}");
}

#[tokio::test]
async fn a_database_of_something_else_is_refused_untouched() {
    let database = Database::create();
    run(database.url(), "CREATE TABLE tasks (id integer); INSERT INTO tasks VALUES (7)").await;
    let before = contents(database.url()).await;
    let error = refused(&database).await.to_string();
    assert!(error.contains("something else") && error.contains("empty"), "{error}");
    assert_eq!(contents(database.url()).await, before);
}

#[tokio::test]
async fn what_cannot_be_opened_is_told_apart_and_names_no_password() {
    let database = Database::create();
    let address = |database: String| Address { database, redis: "redis://127.0.0.1:1/".into() };
    let missing = database.url().replace(database.prefix(), "there_is_none").replace("card@", "card:hunter2@");
    let settings = Settings::default();
    let error = open_engine(&address(missing), &settings, &KINDS).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert!(!format!("{error:?} {}", error.shared()).contains("hunter2"), "{error:?}");
    let away = "postgres://card:hunter2@127.0.0.1:1/card".to_owned();
    let error = open_engine(&address(away), &settings, &KINDS).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!format!("{error:?} {}", error.shared()).contains("hunter2"), "{error:?}");
}

/// What was mistaken is told apart, at once, with what helps against it.
#[tokio::test]
async fn the_fix_fits_the_mistake() {
    let postgres = Postgres::start(PostgresOptions::default());
    let redis = std::env::var("CARDCTL_TEST_REDIS_URL").expect("see Database::create");
    let database = Database::create_in(&postgres.url("postgres"), &redis);
    let url = |rest: &str| format!("postgres://{rest}");
    let (at, name) = (postgres.address(), database.prefix());
    execute(
        database.url(),
        &["CREATE ROLE strict LOGIN PASSWORD 'right'", "CREATE ROLE other LOGIN", "CREATE ROLE shut"],
    )
    .await;
    let rules = postgres.directory().join("data/pg_hba.conf");
    let lines = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("host all strict all scram-sha-256\nhost all other all reject\n{lines}")).unwrap();
    execute(database.url(), &["SELECT pg_reload_conf()"]).await;
    eventually("the rules are read", async || {
        PgConnection::connect(&url(&format!("strict:wrong@{at}/{name}"))).await.is_err()
    })
    .await;
    for (address, kind, told, fix) in [
        (format!("strict:wrong@{at}/{name}"), ErrorKind::Broken, "password authentication failed", "the password"),
        (format!("strict@{at}/{name}"), ErrorKind::Broken, "password", "the password"),
        (format!("other@{at}/{name}"), ErrorKind::Broken, "pg_hba", "pg_hba.conf"),
        (format!("nobody@{at}/{name}"), ErrorKind::Broken, "does not exist", "CREATE ROLE"),
        (format!("shut@{at}/{name}"), ErrorKind::Broken, "not permitted to log in", "CREATE ROLE"),
        (format!("card@{at}/missing"), ErrorKind::Broken, "does not exist", "CREATE DATABASE"),
        (format!("card@{at}/{name}?sslmode=require"), ErrorKind::Broken, "TLS", "sslmode"),
        (format!("strict:right@{at}/{name}"), ErrorKind::Broken, "may not upgrade it", "card-server migrate"),
        (format!("card@127.0.0.1:1/{name}"), ErrorKind::Unavailable, "refused", ""),
    ] {
        let error = open_at(&url(&address), &database).await.err().unwrap_or_else(|| panic!("{address} is opened"));
        assert_eq!(error.kind(), kind, "{address}: {error:?}");
        let said = error.shared().to_string();
        assert!(said.contains(told), "{address}: {said}");
        assert!(error.fix().unwrap_or_default().contains(fix), "{address}: {said}: {:?}", error.fix());
        assert!(!said.contains("wrong") && !said.contains(&at.to_string()), "{said}");
    }
}
