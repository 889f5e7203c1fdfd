//! Accounts in a database that servers of the version before have written, or write beside this one.

use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

use super::*;
use crate::accounts::{Accounts, RefreshBounds, RefreshHashes, Refreshed, User};
use crate::ids::{SessionId, UserId};

const HOUR: Duration = Duration::from_secs(3600);

fn hashes(token: u8, family: u8) -> RefreshHashes {
    RefreshHashes { token: [token; 32], family: [family; 32] }
}

/// A token as the version before stores it.
async fn insert_token(connection: &mut PgConnection, token: u8, session: SessionId, owner: UserId) -> sqlx::Result<()> {
    let insert = sqlx::query(
        "INSERT INTO refresh_tokens (hash, session, user_id, expires_at, spent) VALUES ($1, $2, $3, $4, false)",
    );
    let expires_at = Instant::now().plus(HOUR).micros();
    insert
        .bind([token; 32].to_vec())
        .bind(session.uuid())
        .bind(owner.uuid())
        .bind(expires_at)
        .execute(connection)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_the_version_before_keeps_its_sessions_and_drops_those_of_nobody() {
    let database = Database::create();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let all = sqlx::migrate!("./migrations");
    let first: Vec<_> = all.iter().filter(|migration| migration.version == 1).cloned().collect();
    Migrator { migrations: first.into(), ..Migrator::DEFAULT }.run_direct(None, &mut connection, false).await.unwrap();
    let (ada, gone, session) = (UserId::new(), UserId::new(), SessionId::new());
    let user = sqlx::query("INSERT INTO users (id, username, password_hash, created_at) VALUES ($1, 'ada', 'hash', 0)");
    user.bind(ada.uuid()).execute(&mut connection).await.unwrap();
    insert_token(&mut connection, 1, session, ada).await.unwrap();
    insert_token(&mut connection, 2, SessionId::new(), gone).await.unwrap();

    let bed = start(database).await;
    let listed = bed.engine.sessions(ada).await.unwrap();
    assert_eq!(listed.iter().map(|session| session.id).collect::<Vec<_>>(), [session]);
    let age = Instant::now().since(listed[0].created_at);
    assert!(age < HOUR, "its id tells when it was opened: {age:?} ago");
    let bounds = RefreshBounds { now: Instant::now(), token: HOUR, session: HOUR * 24 };
    let refreshed = bed.engine.refresh_session(hashes(1, 9), hashes(11, 9), bounds).await.unwrap();
    assert!(matches!(refreshed, Refreshed::Rotated { user, session: of, .. } if (user, of) == (ada, session)));
    assert_eq!(bed.engine.refresh_session(hashes(2, 8), hashes(12, 8), bounds).await.unwrap(), Refreshed::Unknown);

    // A server of the version before goes on, and can't make tokens for nobody either.
    let later = SessionId::new();
    insert_token(&mut connection, 3, later, ada).await.unwrap();
    insert_token(&mut connection, 4, SessionId::new(), gone).await.unwrap_err();
    let refreshed = bed.engine.refresh_session(hashes(3, 7), hashes(13, 7), bounds).await.unwrap();
    assert!(matches!(refreshed, Refreshed::Rotated { session: of, .. } if of == later));
    assert_eq!(bed.engine.sessions(ada).await.unwrap().len(), 2);
    let leave = sqlx::query(
        "WITH gone AS (DELETE FROM users WHERE id = $1 RETURNING id),
              tokens AS (DELETE FROM refresh_tokens WHERE user_id = $1),
              noted AS (INSERT INTO deleted_users SELECT id, ledger_now() FROM gone ON CONFLICT DO NOTHING)
         SELECT id FROM gone",
    );
    leave.bind(ada.uuid()).execute(&mut connection).await.unwrap();
    eventually("what it revokes is heard of", async || bed.engine.is_revoked(ada, later).await.unwrap()).await;
    assert_eq!(bed.engine.refresh_session(hashes(13, 7), hashes(23, 7), bounds).await.unwrap(), Refreshed::Unknown);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sign_ins_refreshes_and_a_deletion_in_three_processes_no_token_is_left() {
    let bed = Bed::new().await;
    let engines = [Arc::clone(&bed.engine), bed.beside().await, bed.beside().await];
    let bounds = RefreshBounds { now: Instant::now(), token: HOUR, session: HOUR * 24 };
    for round in 0..10_u8 {
        let user = User { id: UserId::new(), username: format!("ada-{round}"), created_at: Instant::now() };
        bed.engine.register(user.clone(), "hash".into()).await.unwrap();
        let open = |number: usize, refresh: RefreshHashes| {
            let now = Instant::now();
            engines[number % 3].open_session(crate::accounts::NewSession {
                id: SessionId::new(),
                user: user.id,
                password_hash: "hash".into(),
                refresh,
                created_at: now,
                expires_at: now.plus(HOUR),
                network: "192.0.2.1".into(),
                address: "192.0.2.1".into(),
                agent: None,
            })
        };
        assert!(open(0, hashes(100 + round, 100 + round)).await.unwrap());
        let (opened, refreshed, deleted) = tokio::join!(
            join_all((0..6).map(|number| open(number, hashes(10 * round + number as u8, 10 * round + number as u8)))),
            engines[1].refresh_session(hashes(100 + round, 100 + round), hashes(150 + round, 100 + round), bounds),
            engines[2].delete_user(user.id),
        );
        assert!(deleted.unwrap());
        // None of them waited for another without end, or was broken off.
        assert!(refreshed.is_ok() && opened.iter().all(Result::is_ok), "{refreshed:?} {opened:?}");
        let left: i64 =
            sqlx::query_scalar("SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM refresh_tokens)")
                .fetch_one(&bed.engine.shared.pool)
                .await
                .unwrap();
        assert_eq!(left, 0, "round {round}");
    }
}
