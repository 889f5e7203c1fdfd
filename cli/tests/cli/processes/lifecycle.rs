use std::io::{BufRead, BufReader};
use std::process::Stdio;

use card_client::{Accept, Caller, Order};
use card_core::tasks::Status;
use card_kinds::add::{Add, Addition};
use cardctl::instance::Process;
use nix::sys::signal::Signal;

use super::cluster::Cluster;
use crate::sandbox::Ended;

#[tokio::test]
async fn up_again_changes_nothing_and_down_keeps_the_data() {
    let cluster = Cluster::new();
    let up = cluster.expect(0, &["up", "-d", "-t", "processes", "--port", "0", "-o", "json"]).json();
    assert_eq!(
        (&up["target"], &up["engine"], &up["already_up"]),
        (&"processes".into(), &"cluster".into(), &false.into())
    );
    assert_eq!((&up["servers"], &up["workers"]), (&1.into(), &1.into()));
    let status = cluster.expect(0, &["status", "-o", "json"]).json();
    assert_eq!((&status["target"], &status["state"]), (&"processes".into(), &"ready".into()));
    assert_eq!(cluster.names(), ["issuer", "server-1", "worker-1"]);
    for (name, child) in cluster.children() {
        for key in ["pid", "address", "since", "part"] {
            assert!(!child[key].is_null(), "{name}: {key}");
        }
    }
    let accept = Accept { caller: Caller::Operator, key: None, run: None };
    let task = cluster.sandbox.client().accept(&Order::of::<Addition>(&Add { x: 1, y: 2 }), accept).await.unwrap();

    for again in [&["up", "-d", "-t", "processes", "-o", "json"][..], &["up", "-d", "-o", "json"]] {
        let again = cluster.expect(0, again).json();
        assert_eq!((&again["already_up"], &again["pid"]), (&true.into(), &up["pid"]));
    }
    let down = cluster.expect(0, &["down", "-o", "json"]).json();
    assert_eq!(
        (&down["stopped"], &down["killed"], &down["target"]),
        (&true.into(), &false.into(), &"processes".into())
    );
    cluster.sandbox.assert_nothing_runs();
    cluster.expect(0, &["down"]);

    cluster.up(&[]);
    let found =
        cluster.sandbox.client().task(task.id, Some(std::time::Duration::from_secs(20)), Caller::Operator).await;
    assert_eq!(found.unwrap().status, Status::Succeeded);
}

#[test]
fn the_addresses_may_be_flags_and_say_what_the_target_is() {
    let cluster = Cluster::new();
    let (database, redis) = (cluster.database.url(), cluster.database.redis());
    let flags = ["up", "-d", "--port", "0", "--database", database, "--redis", redis];
    let mut command = cluster.command(&flags);
    let ended = Ended::of(command.env_remove("CARDCTL_DATABASE").env_remove("CARDCTL_REDIS").output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(cluster.sandbox.record().target.name(), "processes");
}

#[test]
fn what_differs_is_shown_and_restart_applies_it() {
    let cluster = Cluster::new();
    let before = cluster.up(&[]);
    let ended = cluster.expect(3, &["up", "-d", "-t", "processes", "--workers", "2", "--servers", "2"]);
    for line in ["workers: running with 1, requested 2", "servers: running with 1, requested 2"] {
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
    }
    let embedded = cluster.expect(3, &["-t", "embedded", "up", "-d"]);
    assert!(embedded.stderr.contains("target: running with processes, requested embedded"), "{}", embedded.stderr);
    let mut unspoken = cluster.sandbox.command(&["up", "-d", "--restart"]);
    let unspoken = Ended::of(unspoken.output().unwrap());
    assert_eq!(unspoken.code, Some(3), "another target has to be said: {}", unspoken.stderr);
    assert_eq!(cluster.sandbox.record().process, before.process, "nothing was touched");
    cluster.expect(0, &["up", "-d", "-t", "processes", "--workers", "2", "--servers", "2", "--restart"]);
    assert_eq!(cluster.names(), ["issuer", "server-1", "server-2", "worker-1", "worker-2"]);
    assert!(!before.process.is_alive());
    cluster.works();
}

#[test]
fn the_foreground_stops_its_children_in_order() {
    let cluster = Cluster::new();
    let mut command = cluster.command(&["up", "-t", "processes", "--port", "0", "-o", "jsonl"]);
    let mut up =
        command.env("CARDCTL_LOG_FORMAT", "json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(up.stdout.take().unwrap()).read_line(&mut line).unwrap();
    cluster.expect(0, &["status"]);
    Process::of(up.id()).unwrap().signal(Signal::SIGINT).unwrap();
    let ended = Ended::of(up.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let stopped: Vec<_> = ended.stderr.lines().filter(|line| line.contains("a child process was stopped")).collect();
    let place = |name: &str| stopped.iter().position(|line| line.contains(&format!("\"child\":\"{name}\""))).unwrap();
    assert!(place("server-1") < place("worker-1") && place("worker-1") < place("issuer"), "{stopped:?}");
    cluster.sandbox.assert_nothing_runs();
}

#[test]
fn a_command_runs_with_the_platform_around_it() {
    let cluster = Cluster::new();
    let script = "test -n \"$CARDCTL_URL\" && $CARDCTL status >&2; exit 41";
    cluster.expect(41, &["up", "-t", "processes", "--port", "0", "--", "bash", "-c", script]);
    cluster.sandbox.assert_nothing_runs();
}

#[test]
fn an_issuer_elsewhere_is_none_of_ours() {
    let (issuing, cluster) = (Cluster::new(), Cluster::new());
    let issuer = issuing.up(&[]).issuer_url.unwrap();
    let mut command = cluster.command(&["up", "-d", "-t", "processes", "--port", "0"]);
    let ended = Ended::of(command.env("CARDCTL_WORKER_ISSUER_URL", &issuer).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(cluster.names(), ["server-1", "worker-1"]);
    cluster.works();
}

#[test]
fn logs_are_told_apart_by_process() {
    let cluster = Cluster::new();
    cluster.up(&["--workers", "2"]);
    cluster.works();
    for (component, said_by) in [
        ("worker-2", &["worker-2"][..]),
        ("worker", &["worker-1", "worker-2"]),
        ("server", &["server-1"]),
        ("supervisor", &["supervisor"]),
    ] {
        let lines = cluster.expect(0, &["logs", component, "-o", "json"]).json();
        let mut found: Vec<_> = lines["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["component"].as_str().unwrap().to_owned())
            .collect();
        found.sort();
        found.dedup();
        assert_eq!(found, said_by, "{component}");
    }
    let mistaken = cluster.expect(2, &["logs", "supervisr"]);
    assert!(mistaken.stderr.contains("did you mean supervisor?"), "{}", mistaken.stderr);
}

#[test]
fn the_doctor_looks_at_both_servers() {
    let cluster = Cluster::new();
    cluster.up(&[]);
    // By what was noted at the start: the environment of this one names no addresses.
    let checks = cluster.sandbox.expect(0, &["doctor", "-o", "json"]).json();
    let verdict = |name: &str| {
        let checks = checks["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).map(|check| check["verdict"].clone())
    };
    assert_eq!((verdict("database"), verdict("redis")), (Some("ok".into()), Some("ok".into())));
    cluster.expect(0, &["down"]);
    let mut away = cluster.command(&["-t", "processes", "doctor"]);
    let away = Ended::of(away.env("CARDCTL_REDIS", "redis://:hunter2@127.0.0.1:1").output().unwrap());
    assert_eq!(away.code, Some(3));
    assert!(
        away.stdout.contains("Redis can't be reached at 127.0.0.1:1") && !away.stdout.contains("hunter2"),
        "{}",
        away.stdout
    );
}

#[test]
fn purge_says_where_the_data_stays() {
    let cluster = Cluster::new();
    cluster.up(&[]);
    let down = cluster.expect(0, &["down"]);
    assert!(down.stdout.contains("the data is kept in Postgres 127.0.0.1:"), "{}", down.stdout);
    let purged = cluster.expect(0, &["down", "--purge", "--yes"]);
    assert!(
        purged.stdout.contains("the state on this machine is deleted; the data is kept in Postgres"),
        "{}",
        purged.stdout
    );
    assert!(!cluster.sandbox.paths().dir.exists());
}
