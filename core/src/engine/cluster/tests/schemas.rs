//! Several platforms in one database, each in a schema of its own; and a log whose days are not there.

use super::*;
use crate::engine::ErrorKind;
use crate::engine::conformance::{add, add_in};

/// The address with a search path, as libpq writes it.
fn on(database: &Database, path: &str) -> String {
    format!("{}?options=-c%20search_path%3D{path}", database.url())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn platforms_in_schemas_of_one_database_know_nothing_of_each_other() {
    let database = Database::create();
    execute(database.url(), &["CREATE SCHEMA one", "CREATE SCHEMA \"Two, or so\"", "CREATE SCHEMA three"]).await;
    // Each sees the others' tables further along its path.
    let paths = ["public", "one,public", "%22Two,%5C%20or%5C%20so%22,one,public", "missing,three,one,public"];
    let mut engines = Vec::new();
    for path in paths {
        engines.push(open_at(&on(&database, path), &database).await.unwrap());
    }
    let runs: Vec<RunId> = engines.iter().map(|_| RunId::new()).collect();
    for (number, engine) in engines.iter().enumerate() {
        let told = accept_all(engine, (0..=number).map(|_| add_in(&runs[number])).collect()).await;
        work(Arc::clone(engine), Tally::default(), told.len()).await;
        engine.ping().await.unwrap();
    }
    for (number, engine) in engines.iter().enumerate() {
        let stats = engine.stats().await.unwrap();
        assert_eq!((stats.accepted_total, stats.settled_total), (number as u64 + 1, number as u64 + 1));
        retention::Upkeep::new(Duration::from_secs(86_400)).round(&engine.shared).await;
    }
    let days = "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r' AND relnamespace = ";
    for schema in ["public", "one", "\"Two, or so\"", "three"] {
        let days: i64 = ask(database.url(), &format!("{days}'{schema}'::regnamespace")).await;
        assert_eq!(days, 9, "{schema}");
    }
    for engine in engines {
        engine.close().await;
    }
}

#[tokio::test]
async fn a_search_path_without_a_schema_is_refused() {
    let database = Database::create();
    let error = open_at(&on(&database, "missing"), &database).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Broken);
    assert!(error.shared().to_string().contains("no schema of the search_path"), "{}", error.shared());
}

#[tokio::test]
async fn a_log_without_a_place_for_today_or_tomorrow_is_not_ready_and_refuses_as_unavailable() {
    let bed = Bed::new().await;
    bed.engine.ping().await.unwrap();
    let day = |day: i64| format!("date '1970-01-01' + ((ledger_now() / 86400000000)::integer + {day})");
    for missing in [1, 0] {
        let name: String =
            ask(bed.database.url(), &format!("SELECT 'events_' || to_char({}, 'YYYYMMDD')", day(missing))).await;
        execute(bed.database.url(), &[&format!("DROP TABLE {name}")]).await;
        let error = bed.engine.ping().await.unwrap_err();
        assert!(error.shared().to_string().contains("today or tomorrow"), "{}", error.shared());
    }
    let error = bed.engine.accept(add()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    migrate(bed.database.url()).await.unwrap();
    bed.engine.ping().await.unwrap();
    bed.engine.accept(add()).await.unwrap();
}

/// A server of this version goes on beside the next schema, and says so.
#[tokio::test]
async fn a_newer_schema_is_worked_on_by_who_opened_an_older_one() {
    let bed = Bed::new().await;
    execute(
        bed.database.url(),
        &["INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
           VALUES (9000, 'of the next version', true, 'x', 1)"],
    )
    .await;
    bed.engine.ping().await.unwrap();
    bed.engine.accept(add()).await.unwrap();
}
