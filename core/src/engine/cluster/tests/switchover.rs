//! A switchover to a standby whose old primary stays up and answers, read-only: no connection to it breaks by itself.

use super::*;
use crate::engine::ErrorKind;
use crate::engine::conformance::add_in;

/// An engine on a primary, before, while and after another server becomes the primary.
async fn switch_over(standby: &Postgres, database: &Database, address: &str, lead: impl FnOnce()) {
    let engine = open_at(address, database).await.unwrap();
    let run = RunId::new();
    let mut told = accept_all(&engine, (0..20).map(|_| add_in(&run)).collect()).await;
    // Every connection of the pool is there, and leads to the old primary.
    join_all((0..64).map(|_| engine.get(told[0])))
        .await
        .into_iter()
        .for_each(|found| assert!(found.unwrap().is_some()));

    execute(database.url(), &["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"]).await;
    eventually("the old primary takes no writes, and the caller is told so", async || {
        let new = add_in(&run);
        match engine.accept(new.clone()).await {
            Ok(_) => told.push(new.id),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
        }
        engine.accept(new).await.is_err()
    })
    .await;
    let last: String = ask(database.url(), "SELECT pg_current_wal_lsn()::text").await;
    let follower = standby.url(database.prefix());
    eventually("the standby has it all", async || {
        ask::<bool>(&follower, &format!("SELECT pg_last_wal_replay_lsn() >= '{last}'::pg_lsn")).await
    })
    .await;
    standby.promote();
    lead();

    told.extend(accept_all(&engine, (0..20).map(|_| add_in(&run)).collect()).await);
    for id in &told {
        assert!(persist(|| engine.get(*id)).await.is_some(), "{id}: accepted, and read from where it was not");
    }
    let accepted: i64 = ask(&follower, "SELECT accepted FROM books ORDER BY page DESC LIMIT 1").await;
    assert_eq!(usize::try_from(accepted).unwrap(), told.len(), "all that was answered is at the new primary");
    work(Arc::clone(&engine), Tally::default(), told.len()).await;
    let page = persist(|| engine.effects(&run, None, 1_000)).await;
    assert!(page.items.iter().all(|count| (count.effects, count.finals) == (1, 1)), "{page:?}");
    assert_eq!(page.items.len(), told.len());
    persist(|| engine.ping()).await;
    eventually("nobody is left at the old primary", async || {
        let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'cardctl%'";
        // Whoever reads finds the old connections, and gives them up.
        join_all((0..16).map(|_| engine.get(told[0]))).await;
        ask::<i64>(database.url(), left).await == 0
    })
    .await;
    engine.close().await;
}

fn redis() -> String {
    std::env::var("CARDCTL_TEST_REDIS_URL").expect("see Database::create")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepts_go_on_after_a_switchover_whose_old_primary_stays_up_read_only() {
    let primary = Postgres::start(PostgresOptions::default());
    let database = Database::create_in(&primary.url("postgres"), &redis());
    let standby = primary.standby();
    let name = Proxy::start(primary.address());
    let address = Postgres::url_at(name.address(), database.prefix());
    switch_over(&standby, &database, &address, || name.lead_to(standby.address())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_hosts_the_one_that_takes_writes_is_found_whichever_it_is() {
    let primary = Postgres::start(PostgresOptions::default());
    let database = Database::create_in(&primary.url("postgres"), &redis());
    let standby = primary.standby();
    // The standby first, and one that is not there at all.
    let hosts = format!("127.0.0.1:1,{},{}", standby.address(), primary.address());
    let address = format!("postgres://card@{hosts}/{}", database.prefix());
    switch_over(&standby, &database, &address, || {}).await;
}

#[tokio::test]
async fn a_standby_alone_is_not_opened_and_is_called_one() {
    let primary = Postgres::start(PostgresOptions::default());
    let database = Database::create_in(&primary.url("postgres"), &redis());
    migrate(database.url()).await.unwrap();
    let standby = primary.standby();
    let error = open_at(&standby.url(database.prefix()), &database).await.err().unwrap();
    // It may be promoted in a moment.
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.shared().to_string().contains("standby"), "{}", error.shared());
    assert!(error.fix().unwrap().contains("host-a,host-b"));
}
