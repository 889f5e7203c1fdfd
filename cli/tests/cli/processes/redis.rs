//! A Redis that can't be used as it is, or should be set up otherwise.

use std::process::Stdio;

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
        (format!("redis://card:wrong@{here}"), "does not let this user in", "correct user and password"),
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
        let text =
            runtime.block_on(async { reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap() });
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
    for words in ["audit failed", "5 accepted", "2 lost", "3 pending", "2 accepted tasks are lost", "3 others go on"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("what is pending goes on"), "{}", ended.stderr);
    cluster.expect(0, &["down"]);
}
