//! The ledger's side of a platform of processes: how its Postgres is named, who may enter, and what is said when it changes.

use card_core::testing::Database;
use cardctl::instance::Paths;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::cluster::Cluster;
use crate::sandbox::{Ended, eventually};

const UP: [&str; 7] = ["up", "-d", "-t", "processes", "--port", "0", "--wait-timeout=60s"];

fn run(cluster: &Cluster, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    Ended::of(cluster.command(arguments).envs(variables.iter().copied()).output().unwrap())
}

/// `user@host:port` and what is behind them, apart.
fn parts(database: &Database) -> (&str, &str) {
    let (_, rest) = database.url().split_once('@').unwrap();
    rest.split_once('/').unwrap().0.split_once(':').unwrap()
}

async fn execute(database: &Database, statements: &[String]) {
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut connection).await.unwrap();
    }
}

#[test]
fn a_password_that_was_changed_says_that_restart_applies_it() {
    let cluster = Cluster::new();
    // This Postgres trusts whoever comes from here, with any password.
    let with = |password: &str| cluster.database.url().replacen("card@", &format!("card:{password}@"), 1);
    let (old, new) = (with("hunter2hunter2"), with("swordfish"));
    let up =
        |address: &str, flags: &[&str]| run(&cluster, &[("CARDCTL_DATABASE", address)], &[&UP[..], flags].concat());
    assert_eq!(up(&old, &[]).code, Some(0));
    let before = cluster.sandbox.record();
    let again = up(&old, &[]);
    assert_eq!(again.code, Some(0), "the same is the same: {}", again.stderr);
    let ended = up(&new, &[]);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    for said in ["error[configuration-differs]", "addresses: ", "password", "up --restart"] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains("swordfish"), "{}", ended.stderr);
    assert_eq!(cluster.sandbox.record().process, before.process, "nothing was touched");
    let restarted = up(&new, &["--restart"]);
    assert_eq!(restarted.code, Some(0), "{}", restarted.stderr);
    let again = up(&new, &[]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_says_what_keeps_a_platform_out_of_its_ledger() {
    let cluster = Cluster::new();
    let (database, role) = (&cluster.database, format!("role_{}", cluster.database.prefix()));
    execute(
        database,
        &[format!("CREATE ROLE {role} LOGIN"), format!("ALTER ROLE {role} SET default_transaction_read_only = on")],
    )
    .await;
    let address = database.url().replacen("card@", &format!("{role}:hunter2@"), 1);
    let doctor = || {
        tokio::task::block_in_place(|| run(&cluster, &[("CARDCTL_DATABASE", &address)], &["doctor", "-t", "processes"]))
    };
    let told = doctor();
    assert_eq!(told.code, Some(3), "{}", told.stdout);
    assert!(told.stdout.contains("takes no writes") && told.stdout.contains("name the primary"), "{}", told.stdout);
    execute(database, &[format!("ALTER ROLE {role} NOLOGIN")]).await;
    let told = doctor();
    assert!(told.stdout.contains("not permitted to log in") && told.stdout.contains("CREATE ROLE"), "{}", told.stdout);
    assert!(!told.stdout.contains("hunter2"), "{}", told.stdout);
    execute(database, &[format!("DROP ROLE {role}")]).await;
}

#[test]
fn an_address_leaves_to_the_environment_what_libpq_would() {
    let cluster = Cluster::new();
    let (host, port) = parts(&cluster.database);
    let name = cluster.database.prefix();
    for (address, variables) in [
        (format!("postgres:///{name}"), &[("PGHOST", host), ("PGPORT", port), ("PGUSER", "card")][..]),
        (format!("dbname={name} host={host} user=card"), &[("PGPORT", port)]),
        (format!("postgres://card@127.0.0.1:1,{host}:{port}/{name}"), &[]),
    ] {
        let variables = [variables, &[("CARDCTL_DATABASE", address.as_str())]].concat();
        let up = run(&cluster, &variables, &UP);
        assert_eq!(up.code, Some(0), "{address}: {}", up.stderr);
        let doctor = run(&cluster, &variables, &["doctor", "-t", "processes"]);
        assert!(doctor.stdout.contains(&format!("{host}:{port}/{name}")), "{address}: {}", doctor.stdout);
        cluster.works();
        cluster.expect(0, &["down"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_that_is_refused_later_is_503_and_one_line_of_the_log() {
    let cluster = Cluster::new();
    let (database, role) = (&cluster.database, format!("role_{}", cluster.database.prefix()));
    let own = format!("ALTER DATABASE {} OWNER TO {role}", database.prefix());
    execute(database, &[format!("CREATE ROLE {role} LOGIN"), own]).await;
    let address = database.url().replacen("card@", &format!("{role}@"), 1);
    let up = tokio::task::block_in_place(|| run(&cluster, &[("CARDCTL_DATABASE", &address)], &UP));
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let record = cluster.sandbox.record();
    let token = std::fs::read_to_string(Paths::operator_token(&record.data_dir)).unwrap();
    let client = card_http::local().build().unwrap();
    let status = async || {
        let asked = client.get(format!("{}/api/v1/stats", record.url)).bearer_auth(token.trim()).send().await;
        asked.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);
    let end = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{role}'");
    execute(database, &[format!("ALTER ROLE {role} NOLOGIN"), end]).await;
    let log = || std::fs::read_to_string(cluster.sandbox.paths().log()).unwrap();
    let said =
        |log: &str, text: &str| log.lines().filter(|line| line.contains("server-1") && line.contains(text)).count();
    while said(&log(), "Postgres is unreachable") == 0 {
        status().await;
    }
    for _ in 0..100 {
        assert_eq!(status().await, 503);
    }
    let lines = log();
    assert_eq!(said(&lines, "Postgres is unreachable"), 1, "{lines}");
    assert!(said(&lines, "not permitted to log in") >= 1, "{lines}");
    let loud = said(&lines, "WARN") + said(&lines, "ERROR");
    assert!(loud <= 3, "{loud} lines for a hundred requests: {lines}");
    execute(database, &[format!("ALTER ROLE {role} LOGIN")]).await;
    tokio::task::block_in_place(|| {
        eventually("it is back without a restart", || said(&log(), "Postgres is back") == 1);
        cluster.works();
        cluster.expect(0, &["down"]);
    });
    execute(database, &[format!("ALTER DATABASE {} OWNER TO card", database.prefix())]).await;
    execute(
        database,
        &[format!("REASSIGN OWNED BY {role} TO card"), format!("DROP OWNED BY {role}"), format!("DROP ROLE {role}")],
    )
    .await;
}
