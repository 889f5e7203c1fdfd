//! Databases whose collation or encoding is another than ours.

use super::*;
use crate::accounts::{Accounts, Registered, User, folded};
use crate::engine::ErrorKind;
use crate::ids::UserId;

fn user(name: &str) -> User {
    User { id: UserId::new(), username: name.into(), created_at: Instant::now() }
}

/// A database beside another one, which goes with the server.
struct Beside<'a> {
    server: &'a str,
    name: String,
}

impl Beside<'_> {
    async fn new<'a>(server: &'a str, database: &Database, how: &str) -> Beside<'a> {
        let name = format!("{}_beside", database.prefix());
        execute(server, &[&format!("CREATE DATABASE {name} TEMPLATE template0 {how}")]).await;
        Beside { server, name }
    }

    fn url(&self) -> String {
        format!("{}/{}", self.server.rsplit_once('/').unwrap().0, self.name)
    }

    async fn gone(self) {
        execute(self.server, &[&format!("DROP DATABASE {} WITH (FORCE)", self.name)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_one_whatever_their_case_in_a_turkish_database() {
    let (database, server) = (Database::create(), std::env::var("CARDCTL_TEST_DATABASE_URL").unwrap());
    let turkish =
        Beside::new(&server, &database, "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LOCALE 'C'").await;
    assert_ne!(ask::<String>(&turkish.url(), "SELECT lower('ISTANBUL')").await, "istanbul", "or this tests nothing");
    let engine = open_at(&turkish.url(), &database).await.unwrap();
    assert_eq!(engine.register(user("ISTANBUL"), "hash".into()).await.unwrap(), Registered::Created);
    assert_eq!(engine.register(user("istanbul"), "hash".into()).await.unwrap(), Registered::UsernameTaken);
    for name in ["ISTANBUL", "istanbul", "IsTaNbUl"] {
        assert!(engine.credentials(name).await.unwrap().is_some(), "{name}");
    }
    // The Kelvin sign is no k, the dotless i no i.
    engine.register(user("kevin"), "hash".into()).await.unwrap();
    for name in ["\u{212a}evin", "\u{131}stanbul", "\u{130}STANBUL"] {
        assert!(engine.credentials(name).await.unwrap().is_none(), "{name}");
    }
    engine.close().await;
    turkish.gone().await;
}

/// The index folds in SQL, look-ups in Rust: they have to agree on every name there can be.
#[tokio::test]
async fn an_index_and_a_look_up_fold_every_name_alike() {
    let database = Database::create();
    let every: String = (b'!'..=b'~').map(char::from).filter(|letter| folded(&letter.to_string()).is_some()).collect();
    assert_eq!(every.len(), 26 + 26 + 10 + 3);
    let in_sql: String = ask(database.url(), &format!("SELECT lower('{every}' COLLATE \"C\")")).await;
    assert_eq!(folded(&every).unwrap(), in_sql);
}

#[tokio::test]
async fn two_names_that_a_collation_let_pass_are_counted_before_anything_is_changed() {
    let database = Database::create();
    execute(database.url(), &[include_str!("../../../../migrations/0001_ledger.sql"), "DROP INDEX users_username"])
        .await;
    for name in ["ISTANBUL", "istanbul", "ada"] {
        let insert = "INSERT INTO users (id, username, created_at) VALUES (gen_random_uuid(), ";
        execute(database.url(), &[&format!("{insert}'{name}', 0)")]).await;
    }
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let second = include_str!("../../../../migrations/0002_roles_and_schemas.sql");
    let error = sqlx::raw_sql(second).execute(&mut connection).await.unwrap_err().to_string();
    assert!(error.contains("1 names of users differ by letter case alone") && !error.contains("stanbul"), "{error}");
}

#[tokio::test]
async fn a_database_that_can_not_hold_every_text_is_refused() {
    let (database, server) = (Database::create(), std::env::var("CARDCTL_TEST_DATABASE_URL").unwrap());
    let latin = Beside::new(&server, &database, "ENCODING 'LATIN1' LOCALE 'C'").await;
    for error in [open_at(&latin.url(), &database).await.err().unwrap(), migrate(&latin.url()).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Broken);
        assert!(error.shared().to_string().contains("LATIN1"), "{}", error.shared());
        assert!(error.fix().unwrap().contains("ENCODING 'UTF8'"));
    }
    let tables: i64 =
        ask(&latin.url(), "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").await;
    assert_eq!(tables, 0, "nothing was made");
    latin.gone().await;
}
