//! A login, a right or the database that is taken away while the engine runs: callers are told to come again, doubt stays
//! doubt, and what was taken away may be given back without a restart.

use super::*;
use crate::engine::ErrorKind;
use crate::engine::conformance::{add, add_in};

/// A role of this test's own that owns the database.
async fn owned() -> (Database, String, String) {
    let database = Database::create();
    let role = format!("role_{}", database.prefix());
    let statements =
        [format!("CREATE ROLE {role} LOGIN"), format!("ALTER DATABASE {} OWNER TO {role}", database.prefix())];
    execute(database.url(), &[&statements[0], &statements[1]]).await;
    let address = database.url().replacen("card@", &format!("{role}@"), 1);
    (database, role, address)
}

async fn end_sessions(database: &Database, role: &str) {
    let end = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{role}'");
    let _: i64 = ask(database.url(), &end).await;
}

async fn give_up(database: Database, role: &str) {
    let url = std::env::var("CARDCTL_TEST_DATABASE_URL").unwrap();
    drop(database);
    execute(&url, &[&format!("DROP ROLE {role}")]).await;
}

/// Every call that a server makes for its callers.
async fn kinds(engine: &ClusterEngine) -> Vec<ErrorKind> {
    let mut kinds = Vec::new();
    kinds.extend(engine.accept(add()).await.err());
    kinds.extend(engine.get(TaskId::new()).await.err());
    kinds.extend(engine.stats().await.err());
    kinds.extend(engine.set_paused(false).await.err());
    kinds.extend(engine.ping().await.err());
    kinds.iter().map(EngineError::kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_refused_later_is_unavailable_and_works_again_without_a_restart() {
    let (database, role, address) = owned().await;
    let engine = open_at(&address, &database).await.unwrap();
    let run = RunId::new();
    let before = accept_all(&engine, vec![add_in(&run)]).await;
    execute(database.url(), &[&format!("ALTER ROLE {role} NOLOGIN")]).await;
    end_sessions(&database, &role).await;
    eventually("the ledger is known to be away", async || {
        let _ = engine.get(before[0]).await;
        engine.shared.ledger_away.load(Ordering::Acquire)
    })
    .await;
    // The first write over a broken connection may be in doubt; from then on nothing is sent.
    let _ = engine.accept(add()).await;
    assert_eq!(kinds(&engine).await, [ErrorKind::Unavailable; 5]);
    let error = engine.accept(add()).await.unwrap_err();
    assert!(error.shared().to_string().contains("not permitted to log in"), "{}", error.shared());
    execute(database.url(), &[&format!("ALTER ROLE {role} LOGIN")]).await;
    let after = accept_all(&engine, vec![add_in(&run)]).await;
    assert!(persist(|| engine.get(after[0])).await.is_some());
    engine.close().await;
    give_up(database, &role).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_in_doubt_stays_in_doubt_when_the_login_is_refused_meanwhile() {
    let (database, role, address) = owned().await;
    let engine = open_at(&address, &database).await.unwrap();
    // Whoever holds this keeps every write waiting for its turn.
    let mut holder = PgConnection::connect(database.url()).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock('books'::regclass::oid::bigint)").execute(&mut holder).await.unwrap();
    let new = add();
    let (writing, id) = (Arc::clone(&engine), new.id);
    let write = tokio::spawn(async move { writing.accept(new).await });
    eventually("the write waits", async || {
        let waits =
            format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}' AND wait_event_type = 'Lock'");
        ask::<i64>(database.url(), &waits).await == 1
    })
    .await;
    execute(database.url(), &[&format!("ALTER ROLE {role} NOLOGIN")]).await;
    end_sessions(&database, &role).await;
    let error = write.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown, "{error:?}");
    sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut holder).await.unwrap();
    execute(database.url(), &[&format!("ALTER ROLE {role} LOGIN")]).await;
    // The same call again tells.
    let again = NewTask { id, ..add() };
    persist(|| engine.accept(again.clone())).await;
    assert!(persist(|| engine.get(id)).await.is_some());
    assert_eq!(persist(|| engine.stats()).await.accepted_total, 1);
    engine.close().await;
    give_up(database, &role).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_taken_away_is_unavailable_and_not_a_defect() {
    let (database, role, address) = owned().await;
    migrate(database.url()).await.unwrap();
    let grant = format!("SELECT grant_runtime('{role}')");
    execute(database.url(), &[&grant]).await;
    let engine = open_at(&address, &database).await.unwrap();
    engine.accept(add()).await.unwrap();
    execute(database.url(), &[&format!("REVOKE INSERT ON tasks, events FROM {role}")]).await;
    let error = engine.accept(add()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.fix().unwrap().contains("grant_runtime"));
    let error = engine.ping().await.unwrap_err();
    assert!(error.to_string().contains("INSERT on events, INSERT on tasks"), "{error}");
    execute(database.url(), &[&grant]).await;
    engine.accept(add()).await.unwrap();
    engine.ping().await.unwrap();
    engine.close().await;
    give_up(database, &role).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_or_a_schema_that_is_dropped_is_unavailable_and_not_a_defect() {
    let bed = Bed::new().await;
    accept_all(&bed.engine, vec![add()]).await;
    execute(bed.database.url(), &["ALTER SCHEMA public RENAME TO elsewhere"]).await;
    assert_eq!(kinds(&bed.engine).await, [ErrorKind::Unavailable; 5]);
    execute(bed.database.url(), &["ALTER SCHEMA elsewhere RENAME TO public"]).await;
    accept_all(&bed.engine, vec![add()]).await;
    let server = std::env::var("CARDCTL_TEST_DATABASE_URL").unwrap();
    execute(&server, &[&format!("DROP DATABASE {} WITH (FORCE)", bed.database.prefix())]).await;
    // What was sent as the connection broke is in doubt; from then on nothing is sent.
    let _ = (bed.engine.accept(add()).await, bed.engine.set_paused(false).await);
    eventually("all is unavailable", async || {
        kinds(&bed.engine).await.iter().all(|kind| *kind == ErrorKind::Unavailable)
    })
    .await;
    assert_eq!(kinds(&bed.engine).await, [ErrorKind::Unavailable; 5]);
}
