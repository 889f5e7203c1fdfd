use cardctl::instance::Process;
use nix::sys::signal::Signal;

use super::cluster::Cluster;
use crate::sandbox::{Ended, eventually};

fn process(cluster: &Cluster, name: &str) -> Process {
    let pid = cluster.child(name).unwrap()["pid"].as_u64().unwrap();
    Process::of(u32::try_from(pid).unwrap()).unwrap()
}

#[test]
fn a_child_that_is_killed_is_started_again() {
    let cluster = Cluster::new();
    cluster.up(&[]);
    for name in ["worker-1", "server-1", "issuer"] {
        let killed = process(&cluster, name);
        killed.signal(Signal::SIGKILL).unwrap();
        eventually(name, || {
            cluster.child(name).is_some_and(|child| {
                child["state"] == "up" && child["restarts"] == 1 && child["pid"].as_u64() != Some(u64::from(killed.pid))
            })
        });
        assert_eq!(cluster.child(name).unwrap()["last_exit"], "SIGKILL");
    }
    cluster.works();
    let said = cluster.expect(0, &["logs", "supervisor", "--level", "warn", "-o", "json"]).json();
    assert_eq!(said["lines"].as_array().unwrap().len(), 3, "{said}");
    cluster.expect(0, &["down"]);
    cluster.sandbox.assert_nothing_runs();
}

#[test]
fn a_supervisor_that_is_killed_leaves_nobody_and_up_goes_on() {
    let cluster = Cluster::new();
    let record = cluster.up(&["--workers", "2", "--servers", "2"]);
    record.process.signal(Signal::SIGKILL).unwrap();
    cluster.until_nothing_runs();
    cluster.expect(4, &["status"]);
    let again = cluster.expect(0, &["up", "-d", "-t", "processes", "--port", &record.port().to_string()]);
    assert!(again.stderr.contains("exited without stopping in order"), "{}", again.stderr);
    cluster.works();
}

#[test]
fn children_that_hang_are_no_obstacle_to_the_next_start() {
    let cluster = Cluster::new();
    let record = cluster.up(&[]);
    let hanging = process(&cluster, "server-1");
    hanging.signal(Signal::SIGSTOP).unwrap();
    record.process.signal(Signal::SIGKILL).unwrap();
    eventually("the supervisor is gone", || !record.process.is_alive());
    let port = record.port().to_string();
    cluster.expect(0, &["up", "-d", "-t", "processes", "--port", &port]);
    assert!(!hanging.is_alive());
    cluster.works();
}

#[test]
fn a_down_that_meets_a_killed_supervisor_clears_up_after_it() {
    let cluster = Cluster::new();
    let record = cluster.up(&[]);
    let hanging = process(&cluster, "worker-1");
    hanging.signal(Signal::SIGSTOP).unwrap();
    record.process.signal(Signal::SIGKILL).unwrap();
    eventually("the supervisor is gone", || !record.process.is_alive());
    cluster.expect(0, &["down"]);
    cluster.sandbox.assert_nothing_runs();
}

#[test]
fn a_child_that_can_not_start_ends_the_start_with_its_own_words() {
    let cluster = Cluster::new();
    let mut up = cluster.command(&["up", "-d", "-t", "processes", "--port", "0"]);
    let ended = Ended::of(up.env("CARDCTL_WORKER_ISSUER_URL", "nonsense").output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("error[child]: worker-1 does not start: exit 3"), "{}", ended.stderr);
    assert!(ended.stderr.contains("worker.issuer.url"), "{}", ended.stderr);
    assert!(ended.stderr.contains("fix: cardctl logs worker-1"), "{}", ended.stderr);
    cluster.sandbox.assert_nothing_runs();
}

#[test]
fn a_redis_that_is_away_is_named_by_what_is_not_ready() {
    let cluster = Cluster::new();
    let mut up = cluster.command(&["up", "-d", "-t", "processes", "--port", "0", "--wait-timeout", "2s"]);
    let ended = Ended::of(up.env("CARDCTL_REDIS", "redis://127.0.0.1:1").output().unwrap());
    assert_eq!(ended.code, Some(124), "{}", ended.stderr);
    assert!(ended.stderr.contains("Redis can't be reached: 127.0.0.1:1"), "{}", ended.stderr);
    cluster.sandbox.assert_nothing_runs();
}
