//! Fewer connections than processes would like.

use super::*;
use crate::engine::ErrorKind;
use crate::engine::conformance::add;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_with_twelve_connections_all_accept_while_they_read() {
    let postgres = Postgres::start(PostgresOptions::default());
    let redis = std::env::var("CARDCTL_TEST_REDIS_URL").expect("see Database::create");
    let database = Database::create_in(&postgres.url("postgres"), &redis);
    let own = format!("ALTER DATABASE {} OWNER TO few", database.prefix());
    execute(&postgres.url("postgres"), &["CREATE ROLE few LOGIN CONNECTION LIMIT 12", &own]).await;
    let address = format!("postgres://few@{}/{}", postgres.address(), database.prefix());
    let opened = join_all((0..3).map(|_| persist(|| open_at(&address, &database)))).await;
    let stop = CancellationToken::new();
    let readers: Vec<_> = opened
        .iter()
        .flat_map(|engine| (0..32).map(|_| (Arc::clone(engine), stop.clone())))
        .map(|(engine, stop)| {
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    // A read that finds no connection is told so; that is not what this is about.
                    let _ = engine.stats().await;
                }
            })
        })
        .collect();
    for _ in 0..10 {
        for engine in &opened {
            for answer in join_all((0..10).map(|_| engine.accept(add()))).await {
                answer.unwrap();
            }
        }
    }
    // A writer that loses its connection gets one, whoever was quicker to take the one that became free.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE usename = 'few' AND query LIKE '%accept_tasks%'";
    let _: i64 = ask(&postgres.url("postgres"), end).await;
    for engine in &opened {
        accept_all(engine, (0..10).map(|_| add()).collect()).await;
    }
    stop.cancel();
    for reader in readers {
        reader.await.unwrap();
    }
    for engine in opened {
        engine.close().await;
    }
}

#[tokio::test]
async fn a_server_without_enough_connections_is_named_with_what_a_process_needs() {
    let postgres = Postgres::start(PostgresOptions::default());
    let redis = std::env::var("CARDCTL_TEST_REDIS_URL").expect("see Database::create");
    let database = Database::create_in(&postgres.url("postgres"), &redis);
    let own = format!("ALTER DATABASE {} OWNER TO few", database.prefix());
    execute(&postgres.url("postgres"), &["CREATE ROLE few LOGIN CONNECTION LIMIT 1", &own]).await;
    let address = format!("postgres://few@{}/{}", postgres.address(), database.prefix());
    let error = open_at(&address, &database).await.err().unwrap();
    // Others may give some back.
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.fix().unwrap().contains("CONNECTION LIMIT"), "{}", error.shared());
}
