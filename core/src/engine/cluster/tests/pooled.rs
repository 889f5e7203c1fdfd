//! Behind PgBouncer: in session mode it works and keeps what it promises; where sessions are shared it is refused.

use super::*;
use crate::engine::ErrorKind;
use crate::engine::conformance::add_in;
use crate::testing::PgBouncer;

/// A role that would lose the last commits with the server, and owns the database.
const LAZY: [&str; 2] = ["CREATE ROLE lazy LOGIN", "ALTER ROLE lazy SET synchronous_commit = off"];

fn address(bouncer: &PgBouncer, role: &str, database: &Database) -> String {
    format!("postgres://{role}@{}/{}", bouncer.address(), database.prefix())
}

/// Commits that nobody waits for reach the disk seconds later.
fn slow_to_write() -> PostgresOptions {
    PostgresOptions::default().with("wal_writer_delay", "10s").with("wal_writer_flush_after", "1GB")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_through_pgbouncer_survives_a_crash_whatever_the_role_is_set_to() {
    let postgres = Postgres::start(slow_to_write());
    // As packaged: it refuses whatever parameter of a session it does not know. And as most set it: it drops them.
    for settings in [&[][..], &["ignore_startup_parameters = extra_float_digits, options"]] {
        let redis = std::env::var("CARDCTL_TEST_REDIS_URL").expect("see Database::create");
        let database = Database::create_in(&postgres.url("postgres"), &redis);
        let known: bool =
            ask(&postgres.url("postgres"), "SELECT count(*) > 0 FROM pg_roles WHERE rolname = 'lazy'").await;
        if !known {
            execute(&postgres.url("postgres"), &LAZY).await;
        }
        let owner = format!("ALTER DATABASE {} OWNER TO lazy", database.prefix());
        execute(&postgres.url("postgres"), &[&owner]).await;
        let bouncer = PgBouncer::start(postgres.address(), &["card", "lazy"], settings);
        let address = address(&bouncer, "lazy", &database);
        let engine = open_at(&address, &database).await.unwrap();
        let run = RunId::new();
        let told = accept_all(&engine, (0..4).map(|_| add_in(&run)).collect()).await;
        for _ in 0..16 {
            let kept = sqlx::query_scalar::<_, String>("SELECT current_setting('synchronous_commit')");
            assert_eq!(kept.fetch_one(&engine.shared.pool).await.unwrap(), "on");
        }
        postgres.kill();
        postgres.start_again();
        for id in &told {
            assert!(persist(|| engine.get(*id)).await.is_some(), "{id} was answered and is lost");
        }
        engine.close().await;
    }
}

#[tokio::test]
async fn every_commit_of_the_ledger_is_durable_even_in_a_session_that_is_not_ours() {
    let bed = Bed::new().await;
    let mut connection = PgConnection::connect(bed.database.url()).await.unwrap();
    sqlx::query("SET synchronous_commit = off").execute(&mut connection).await.unwrap();
    let within = "SELECT (begin_turn()).page, current_setting('synchronous_commit')";
    let (_, within): (i64, String) = sqlx::query_as(within).fetch_one(&mut connection).await.unwrap();
    assert_eq!(within, "on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_shares_sessions_is_refused_and_named() {
    let database = Database::create();
    migrate(database.url()).await.unwrap();
    let server = database.url().split(['@', '/']).nth(3).unwrap().parse().unwrap();
    for settings in [
        &["pool_mode = transaction"][..],
        &[
            "pool_mode = transaction",
            "ignore_startup_parameters = extra_float_digits, options",
            "server_round_robin = 1",
        ],
        &["pool_mode = transaction", "min_pool_size = 5"],
        &["pool_mode = statement"],
    ] {
        let bouncer = PgBouncer::start(server, &["card"], settings);
        let address = address(&bouncer, "card", &database);
        for error in [open_at(&address, &database).await.err().unwrap(), migrate(&address).await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Broken, "{settings:?}: {error:?}");
            let told = error.shared().to_string();
            assert!(told.contains("pooler"), "{settings:?}: {told}");
            assert!(error.fix().unwrap().contains("pool_mode = session"), "{settings:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_platform_works_behind_pgbouncer_in_session_mode() {
    let database = Database::create();
    let server = database.url().split(['@', '/']).nth(3).unwrap().parse().unwrap();
    let bouncer = PgBouncer::start(server, &["card"], &["pool_mode = session"]);
    let engine = open_at(&address(&bouncer, "card", &database), &database).await.unwrap();
    let run = RunId::new();
    let told = accept_all(&engine, (0..50).map(|_| add_in(&run)).collect()).await;
    work(Arc::clone(&engine), Tally::default(), told.len()).await;
    assert_eq!(engine.effects(&run, None, 1_000).await.unwrap().items.len(), told.len());
    engine.ping().await.unwrap();
    engine.close().await;
}

#[tokio::test]
async fn a_server_that_does_not_write_to_disk_is_refused() {
    // The last of a name counts, and the fixture's own come last: set where it has no say.
    let postgres = Postgres::start(PostgresOptions::default());
    let redis = std::env::var("CARDCTL_TEST_REDIS_URL").expect("see Database::create");
    let database = Database::create_in(&postgres.url("postgres"), &redis);
    postgres.stop(crate::testing::Shutdown::Fast);
    let postgres = postgres.without_fsync();
    let error = open_at(&postgres.url(database.prefix()), &database).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert!(error.shared().to_string().contains("fsync = off"), "{}", error.shared());
    assert!(error.fix().unwrap().contains("fsync = on"));
}
