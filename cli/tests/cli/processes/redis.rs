//! A Redis that can't be used as it is, or should be set up otherwise.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use card_core::testing::Redis;
use sqlx::{Connection, PgConnection};

use super::cluster::Cluster;
use crate::sandbox::{Ended, eventually};

fn up(cluster: &Cluster, redis: &str) -> Ended {
    let mut command = cluster.command(&["up", "-d", "-t", "processes", "--port", "0", "--wait-timeout", "60s"]);
    command.env("CARDCTL_REDIS", redis);
    Ended::of(command.output().unwrap())
}

#[test]
fn a_redis_that_can_not_be_used_ends_up_at_once_with_the_reason_and_the_fix() {
    let cluster = Cluster::new();
    let redis = Redis::start();
    redis.command::<()>(&["ACL", "SETUSER", "card", "on", ">hunter2", "~*", "&*", "+@all", "-@scripting"]);
    let here = redis.address();
    for (address, reason, fix) in [
        (format!("redis://card:wrong@{here}"), "refuses this user", "correct user and password"),
        (format!("redis://card:hunter2@{here}"), "refuses what delivery needs", "docs/operations.md"),
        (format!("redis://{here}/99"), "no database 99", "the number after the last /"),
        (format!("rediss://{here}"), "asks for TLS", "redis:// instead of rediss://"),
        (format!("redis://{here}/0?x=1"), "parameters", "CARDCTL_REDIS"),
    ] {
        let ended = up(&cluster, &address);
        assert_eq!(ended.code, Some(3), "{address}: {}", ended.stderr);
        assert!(ended.stderr.contains("error[redis]") && ended.stderr.contains(reason), "{address}: {}", ended.stderr);
        assert!(ended.stderr.contains("fix: ") && ended.stderr.contains(fix), "{address}: {}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
        let mut doctor = cluster.command(&["-t", "processes", "doctor"]);
        let doctor = Ended::of(doctor.env("CARDCTL_REDIS", &address).output().unwrap());
        assert!(format!("{}{}", doctor.stdout, doctor.stderr).contains(reason), "{}{}", doctor.stdout, doctor.stderr);
        cluster.sandbox.assert_nothing_runs();
    }
}

#[test]
fn a_policy_that_removes_keys_is_told_by_up_doctor_log_and_metric() {
    let cluster = Cluster::new();
    let redis = Redis::start_with(&[("maxmemory", "64mb"), ("maxmemory-policy", "allkeys-lru")]);
    let ended = up(&cluster, &redis.url());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("maxmemory-policy allkeys-lru"), "{}", ended.stderr);
    let mut doctor = cluster.command(&["doctor"]);
    let doctor = Ended::of(doctor.env("CARDCTL_REDIS", redis.url()).output().unwrap());
    assert!(doctor.stdout.contains("allkeys-lru") && doctor.stdout.contains("noeviction"), "{}", doctor.stdout);
    let url = cluster.sandbox.record().url;
    let metric = || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let text = runtime.block_on(async {
            let http = card_http::local().build().unwrap();
            http.get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap()
        });
        text.lines().find_map(|line| line.strip_prefix("redis_evicts ").map(str::to_owned))
    };
    eventually("the metric says so", || metric().as_deref() == Some("1"));
    let log = cluster.expect(0, &["logs", "server-1", "--level", "warn"]);
    assert!(log.stdout.contains("noeviction"), "{}", log.stdout);
    cluster.expect(0, &["down"]);
}

#[test]
fn the_workers_of_the_run_before_are_not_counted() {
    let cluster = Cluster::new();
    cluster.up(&["--workers", "3"]);
    let alive = || cluster.run(&["status", "-o", "json"]).json()["workers"].as_array().map_or(0, Vec::len);
    eventually("three are alive", || alive() == 3);
    cluster.expect(0, &["down"]);
    cluster.up(&["--workers", "1"]);
    assert_eq!(alive(), 1);
    cluster.expect(0, &["scale", "workers=2"]);
    eventually("two are alive", || alive() == 2);
    cluster.expect(0, &["scale", "workers=1"]);
    eventually("one has ended", || cluster.names().iter().filter(|name| name.starts_with("worker")).count() == 1);
    assert_eq!(alive(), 1);
    cluster.expect(0, &["down"]);
}

/// What a fail-over to a standby that lagged does: the ledger does not know what it had accepted.
#[test]
fn a_wait_that_ends_with_lost_work_says_that_it_is_lost() {
    let cluster = Cluster::new();
    cluster.up(&[]);
    cluster.expect(0, &["queue", "pause"]);
    let mut command = cluster.command(&["submit", "-c", "5", "-w", "--timeout", "15s", "--progress", "none"]);
    let submit = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("all are accepted", || cluster.run(&["queue", "stats", "-o", "json"]).json()["accepted_total"] == 6);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut connection = PgConnection::connect(cluster.database.url()).await.unwrap();
        let lost =
            "WITH gone AS (DELETE FROM tasks WHERE id IN (SELECT id FROM tasks ORDER BY seq LIMIT 2) RETURNING id)
                    DELETE FROM events WHERE task IN (SELECT id FROM gone)";
        assert_eq!(sqlx::query(lost).execute(&mut connection).await.unwrap().rows_affected(), 2);
    });
    let ended = Ended::of(submit.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(9), "{}", ended.stderr);
    for words in ["audit failed", "5 accepted", "2 lost", "3 pending", "2 accepted tasks are lost", "3 others continue"]
    {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("pending tasks continue"), "{}", ended.stderr);
    cluster.expect(0, &["down"]);
}

/// A process of the test's own, which ends with it.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// How often the doctor says that a Redis can be used.
fn usable(said: &str) -> usize {
    said.lines().filter(|line| line.contains("Redis at") && line.ends_with("can be used")).count()
}

/// A sentinel that speaks TLS alone, to everybody, and watches a master that does.
fn tls_sentinel(dir: &Path, port: u16, master: u16, tls: &str) -> Ending {
    let file = dir.join("sentinel.conf");
    let text = format!(
        "bind 127.0.0.1\nport 0\ntls-port {port}\ndir {}\n{tls}\ntls-replication yes\n\
         sentinel monitor cards 127.0.0.1 {master} 1\nsentinel auth-pass cards hunter2\n",
        dir.display()
    );
    std::fs::write(&file, text).unwrap();
    let child = Command::new("redis-server").arg(&file).arg("--sentinel").stdout(Stdio::null()).spawn();
    Ending(child.expect("redis-server is in PATH: see ./test"))
}

#[test]
fn tls_reaches_a_server_and_the_master_behind_sentinels_with_the_password() {
    let cluster = Cluster::new();
    let dir = tempfile::tempdir().unwrap();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let cert = file("cert.pem", signed.cert.pem());
    let key = file("key.pem", signed.signing_key.serialize_pem());
    let (port, sentinel) = (free_port(), free_port());
    let redis = Redis::start_with(&[
        ("tls-port", &port.to_string()),
        ("tls-cert-file", &cert),
        ("tls-key-file", &key),
        ("tls-ca-cert-file", &cert),
        ("tls-auth-clients", "no"),
    ]);
    redis.command::<()>(&["CONFIG", "SET", "requirepass", "hunter2"]);
    let tls = format!("tls-cert-file {cert}\ntls-key-file {key}\ntls-ca-cert-file {cert}\ntls-auth-clients no");
    let _sentinel = tls_sentinel(dir.path(), sentinel, port, &tls);
    let doctor = |address: &str, trusted: bool| {
        let mut command = cluster.command(&["-t", "processes", "doctor"]);
        command.env("CARDCTL_REDIS", address);
        if trusted {
            command.env("SSL_CERT_FILE", &cert);
        }
        let ended = Ended::of(command.output().unwrap());
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("hunter2"));
        ended.stdout
    };
    let single = format!("rediss://:hunter2@127.0.0.1:{port}");
    let behind = format!("rediss-sentinel://:hunter2@127.0.0.1:{sentinel}/cards");
    let mut said = String::new();
    eventually("both can be used", || {
        said = [&single, &behind].map(|address| doctor(address, true)).join("");
        usable(&said) == 2
    });
    for address in [&single, &behind] {
        let said = doctor(address, false);
        assert!(said.contains("certificate") && said.contains("SSL_CERT_FILE"), "{said}");
        let said = doctor(&address.replace("rediss", "redis"), true);
        assert!(said.contains("speaks TLS") && said.contains("rediss://"), "{said}");
    }
}
