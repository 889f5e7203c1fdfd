//! A role that owns the ledger, and another that only works on it.

use super::*;
use crate::accounts::{Accounts, Admission, Refreshed, SignInAttempt, SignInLimits, User};
use crate::engine::ErrorKind;
use crate::engine::conformance::{add_in, bounds, failed, refresh, replacement, session};
use crate::ids::UserId;

struct Roles {
    postgres: Postgres,
    database: Database,
}

impl Roles {
    async fn new() -> Self {
        let postgres = Postgres::start(PostgresOptions::default());
        let redis = std::env::var("CARDCTL_TEST_REDIS_URL").expect("see Database::create");
        let database = Database::create_in(&postgres.url("postgres"), &redis);
        let own = format!("ALTER DATABASE {} OWNER TO owner", database.prefix());
        let statements = ["CREATE ROLE owner LOGIN", "CREATE ROLE \"run time\" LOGIN", &own];
        execute(database.url(), &statements).await;
        // As since Postgres 15, in an older one as well.
        execute(
            database.url(),
            &["REVOKE CREATE ON SCHEMA public FROM PUBLIC", "GRANT CREATE ON SCHEMA public TO owner"],
        )
        .await;
        Self { postgres, database }
    }

    fn url(&self, role: &str) -> String {
        format!("postgres://{role}@{}/{}", self.postgres.address(), self.database.prefix())
    }

    fn owner(&self) -> String {
        self.url("owner")
    }

    fn runtime(&self) -> String {
        self.url("run%20time")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_the_documented_rights_does_all_that_a_platform_does_and_nothing_else() {
    let roles = Roles::new().await;
    migrate(&roles.owner()).await.unwrap();
    execute(&roles.owner(), &["SELECT grant_runtime('\"run time\"')"]).await;
    let newest = migrate(&roles.owner()).await.unwrap().to;
    assert_eq!(
        migrate(&roles.runtime()).await.unwrap(),
        Migrated { from: newest, to: newest },
        "nothing to do, and it may look"
    );

    let engine = open_at(&roles.runtime(), &roles.database).await.unwrap();
    let (run, ada) = (RunId::new(), UserId::new());
    let user = User { id: ada, username: "ada".into(), created_at: Instant::now() };
    engine.register(user.clone(), "hash".into()).await.unwrap();
    let attempt = SignInAttempt { name: "ada".into(), user: Some(ada), network: "192.0.2.1".into() };
    let limits = SignInLimits { pair: 5, account: 5, network: 5 };
    let Admission::Admitted(counted) = engine.admit_sign_in(attempt, limits).await.unwrap() else {
        panic!("the first sign-in is admitted")
    };
    engine.forgive_sign_in(counted).await.unwrap();
    let now = bounds(Instant::now());
    let (kept, other) = (session(&user, refresh(1, 1)), session(&user, refresh(2, 2)));
    let (kept_id, other_id) = (kept.id, other.id);
    assert!(engine.open_session(kept).await.unwrap() && engine.open_session(other).await.unwrap());
    engine.refresh_session(refresh(1, 1), refresh(1, 3), now).await.unwrap();
    assert!(engine.change_password(ada, "hash".into(), "new".into(), kept_id).await.unwrap());
    assert!(engine.is_revoked(ada, other_id).await.unwrap() && !engine.is_revoked(ada, kept_id).await.unwrap());
    assert_eq!(engine.refresh_session(refresh(1, 1), refresh(1, 4), now).await.unwrap(), Refreshed::Reused);
    let mut told = accept_all(&engine, (0..5).map(|_| add_in(&run)).collect()).await;
    // What a person orders under a run's name is noted as the person's.
    told.extend(accept_all(&engine, vec![NewTask { run: Some(run.clone()), ..replacement(ada) }]).await);
    let lost = crate::engine::conformance::claim_one(&*engine).await;
    engine.end(&lost.lease, lost.started_at, End::GiveUp(failed())).await.unwrap();
    engine.retry_dead(lost.lease.task).await.unwrap();
    work(Arc::clone(&engine), Tally::default(), told.len()).await;
    engine.set_paused(true).await.unwrap();
    engine.set_paused(false).await.unwrap();
    engine.ping().await.unwrap();
    engine.delete_user(ada).await.unwrap();
    engine.clean_run(&run).await.unwrap();
    // The days of the log are made and dropped by whoever sweeps.
    let day =
        "SELECT ensure_days((ledger_now() / 86400000000)::integer - 30, (ledger_now() / 86400000000)::integer - 29)";
    assert_eq!(ask::<i32>(&roles.runtime(), day).await, 2);
    let days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass";
    let before: i64 = ask(&roles.owner(), days).await;
    retention::Upkeep::new(Duration::from_secs(86_400)).round(&engine.shared).await;
    assert_eq!(ask::<i64>(&roles.owner(), days).await, before - 2);
    sqlx::query("SELECT refresh_statistics()").execute(&engine.shared.pool).await.unwrap();
    engine.close().await;

    let mut connection = PgConnection::connect(&roles.runtime()).await.unwrap();
    for forbidden in [
        "DROP TABLE tasks",
        "TRUNCATE effects",
        "ALTER TABLE events ADD COLUMN mine integer",
        "CREATE TABLE mine (a integer)",
        "CREATE FUNCTION ledger_now(integer) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        "DELETE FROM _sqlx_migrations",
        "UPDATE ledger SET id = gen_random_uuid()",
        "SELECT grant_runtime('\"run time\"')",
    ] {
        let error = sqlx::query(forbidden).execute(&mut connection).await.expect_err(forbidden);
        let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
        assert_eq!(code, "42501", "{forbidden}: {error}");
    }
}

#[tokio::test]
async fn a_role_without_the_rights_is_told_which_and_how_to_get_them() {
    let roles = Roles::new().await;
    let told = async |wanted: &[&str]| {
        let error = open_at(&roles.runtime(), &roles.database).await.err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Broken, "{error:?}");
        let told = format!("{}; {}", error.shared(), error.fix().unwrap_or_default());
        for wanted in wanted {
            assert!(told.contains(wanted), "{wanted}: {told}");
        }
    };
    told(&["no ledger", "card-server migrate", "as the owner"]).await;
    migrate(&roles.owner()).await.unwrap();
    told(&["permission denied", "grant_runtime"]).await;
    execute(
        &roles.owner(),
        &["SELECT grant_runtime('\"run time\"')", "REVOKE UPDATE, INSERT ON effects FROM \"run time\""],
    )
    .await;
    told(&["INSERT on effects, UPDATE on effects", "grant_runtime"]).await;
    execute(
        &roles.owner(),
        &[
            "GRANT UPDATE, INSERT ON effects TO \"run time\"",
            "REVOKE EXECUTE ON FUNCTION ensure_days FROM \"run time\"",
        ],
    )
    .await;
    told(&["EXECUTE on ensure_days"]).await;
    // As if the program were newer than the schema.
    execute(
        &roles.owner(),
        &["SELECT grant_runtime('\"run time\"')", "DELETE FROM _sqlx_migrations WHERE version > 1"],
    )
    .await;
    told(&["schema 1", "may not upgrade it", "card-server migrate"]).await;
}

/// Whoever may call what the owner may has no way to make it mean something else.
#[tokio::test]
async fn functions_with_the_owners_rights_look_nowhere_but_in_the_ledgers_schema() {
    let database = Database::create();
    migrate(database.url()).await.unwrap();
    let loose = "SELECT coalesce(string_agg(proname, ', '), '') FROM pg_proc
                 WHERE pronamespace = 'public'::regnamespace AND prosecdef
                   AND (proconfig IS NULL OR NOT 'search_path=public, pg_temp' = ANY (proconfig)
                        OR has_function_privilege('pg_monitor', oid, 'EXECUTE'))";
    assert_eq!(ask::<String>(database.url(), loose).await, "");
}
