//! Copies of a ledger on the same Redis.

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::*;
use crate::engine::ErrorKind;
use crate::engine::conformance::add;
use crate::testing::{Postgres, PostgresOptions};

async fn run(database: &str, statement: String) {
    let mut connection = PgConnection::connect(database).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn name(database: &Database) -> String {
    database.url().rsplit('/').next().unwrap().split('?').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_on_the_same_redis_is_refused_until_it_has_an_identity_of_its_own() {
    let bed = Bed::new().await;
    let before = accept_all(&bed.engine, (0..20).map(|_| add()).collect()).await;
    bed.engine.close().await;
    let bed = start(bed.database).await;
    bed.engine.close().await;
    let copy = Database::create();
    let (original, copied) = (name(&bed.database), name(&copy));
    let elsewhere = Database::create();
    run(elsewhere.url(), format!("DROP DATABASE {copied}")).await;
    run(elsewhere.url(), format!("CREATE DATABASE {copied} TEMPLATE {original}")).await;

    let original = Arc::new(open_engine(&bed.address, &bed.settings, &KINDS).await.unwrap());
    let address = Address { database: copy.url().to_owned(), ..bed.address.clone() };
    let error = open_engine(&address, &bed.settings, &KINDS).await.err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert!(error.to_string().contains("is a copy"), "{error}");
    assert!(error.fix().unwrap().contains("migrate --new-identity"), "{error:?}");
    assert_eq!(migrate(copy.url()).await.unwrap_err().kind(), ErrorKind::Broken);

    migrate_copy(copy.url()).await.unwrap();
    let copy = Arc::new(open_engine(&address, &bed.settings, &KINDS).await.unwrap());
    // Both have the twenty from before, under the same ids, and ten of their own.
    let mut own = Vec::new();
    for engine in [&original, &copy] {
        own.push(accept_all(engine, (0..10).map(|_| add()).collect()).await);
    }
    for (engine, own) in [original, copy].iter().zip(own) {
        let handed = work(Arc::clone(engine), Tally::default(), 30).await;
        let expected: HashSet<_> = before.iter().copied().chain(own).collect();
        assert_eq!(handed.into_iter().collect::<HashSet<_>>(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_with_the_very_same_ledger_the_later_is_refused_while_the_other_works() {
    let bed = Bed::new().await;
    let id: uuid::Uuid = {
        let mut connection = PgConnection::connect(bed.database.url()).await.unwrap();
        sqlx::query_scalar("SELECT id FROM ledger").fetch_one(&mut connection).await.unwrap()
    };
    // As a snapshot of the volume would be: everything in it says that it is the original.
    let server = Postgres::start(PostgresOptions::default());
    let twin = Database::create_in(&server.url("postgres"), bed.database.redis());
    migrate(twin.url()).await.unwrap();
    run(twin.url(), format!("UPDATE ledger SET id = '{id}', origin = NULL")).await;
    let address = Address { database: twin.url().to_owned(), ..bed.address.clone() };
    eventually("the original sweeps", async || bed.engine.shared.delivery.sweeper().await.unwrap().is_some()).await;
    let error = open_engine(&address, &bed.settings, &KINDS).await.err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert!(error.to_string().contains("a copy of this ledger"), "{error}");
    // A switchover: the one before has ended.
    bed.engine.close().await;
    let engine = Arc::new(open_engine(&address, &bed.settings, &KINDS).await.unwrap());
    let tasks = accept_all(&engine, (0..5).map(|_| add()).collect()).await;
    assert_eq!(work(engine, Tally::default(), 5).await.len(), tasks.len());
}

/// A physical copy has the system identifier of the original: what tells it apart is only that another server runs on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_backup_that_was_promoted_is_refused_while_the_original_works_and_may_become_its_own() {
    let primary = Postgres::start(PostgresOptions::default());
    let database = Database::create_in(&primary.url("postgres"), &std::env::var("CARDCTL_TEST_REDIS_URL").unwrap());
    let bed = start(database).await;
    let before = accept_all(&bed.engine, (0..10).map(|_| add()).collect()).await;
    let copy = primary.standby();
    let url = copy.url(bed.database.prefix());
    eventually("the copy has it all", async || {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let there: i64 = sqlx::query_scalar("SELECT count(*) FROM tasks").fetch_one(&mut connection).await.unwrap();
        usize::try_from(there).unwrap() == before.len()
    })
    .await;
    copy.promote();
    eventually("the original sweeps", async || bed.engine.shared.delivery.sweeper().await.unwrap().is_some()).await;
    let address = Address { database: url.clone(), ..bed.address.clone() };
    let error = open_engine(&address, &bed.settings, &KINDS).await.err().expect("refused");
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert!(error.to_string().contains("a copy of this ledger"), "{error}");
    assert!(error.fix().unwrap().contains("migrate --new-identity"), "{error:?}");

    migrate_copy(&url).await.unwrap();
    let copy = Arc::new(open_engine(&address, &bed.settings, &KINDS).await.unwrap());
    let mut own = Vec::new();
    for engine in [&bed.engine, &copy] {
        own.push(accept_all(engine, (0..5).map(|_| add()).collect()).await);
    }
    for (engine, own) in [Arc::clone(&bed.engine), copy].into_iter().zip(own) {
        let handed = work(engine, Tally::default(), 15).await;
        let expected: HashSet<_> = before.iter().copied().chain(own).collect();
        assert_eq!(handed.into_iter().collect::<HashSet<_>>(), expected);
    }
}
