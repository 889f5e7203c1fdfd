use serde_json::Value;

use super::cluster::Cluster;
use crate::sandbox::{Ended, eventually};

#[test]
fn workers_grow_under_a_backlog_and_shrink_after_it() {
    let cluster = Cluster::new();
    let mut up = cluster.command(&["up", "-d", "-t", "processes", "--port", "0", "--autoscale", "1..4"]);
    up.env("CARDCTL_AUTOSCALE_TARGET_BACKLOG", "20")
        .env("CARDCTL_AUTOSCALE_STABILIZATION", "2s")
        .env("CARDCTL_WORKER_CONCURRENCY", "4")
        .env("CARDCTL_ISSUER_LATENCY_P50", "200ms")
        .env("CARDCTL_ISSUER_LATENCY_P99", "200ms");
    let ended = Ended::of(up.output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let status = || cluster.run(&["status", "-o", "json"]).json();
    let workers = |status: &Value| {
        let children = status["processes"].as_array().unwrap();
        children.iter().filter(|child| child["part"] == "worker").count()
    };
    assert_eq!(workers(&status()), 1);

    let refused = cluster.expect(3, &["scale", "workers=2"]);
    assert!(refused.stderr.contains("error[autoscaled]"), "{}", refused.stderr);
    cluster.expect(0, &["scale", "servers=2"]);

    cluster.expect(0, &["submit", "-c", "300", "--progress", "none"]);
    eventually("it grows to its bound", || workers(&status()) == 4);
    let change = status()["autoscale"]["last_change"].clone();
    assert!(change["reason"].as_str().unwrap().contains("backlog"), "{change}");
    eventually("it shrinks to its bound", || {
        let status = status();
        workers(&status) == 1 && status["queue"]["ready"] == 0
    });
    let log = cluster.expect(0, &["logs", "supervisor", "-o", "json"]).json();
    let decisions: Vec<_> =
        log["lines"].as_array().unwrap().iter().filter(|line| line["message"] == "autoscale").collect();
    assert!(decisions.len() >= 2, "{decisions:?}");
    for decision in decisions {
        for field in ["from", "to", "backlog", "reason"] {
            assert!(!decision["fields"][field].is_null(), "{decision}");
        }
    }
    assert_eq!(status()["queue"]["dead"], 0);
}

/// Purchases and replacements have workers of their own: what those of one kind can't do is no reason for more of them.
#[test]
fn workers_of_some_kinds_leave_the_others_alone_and_do_not_grow_for_them() {
    let cluster = Cluster::new();
    let flags = ["up", "-d", "-t", "processes", "--port", "0", "--autoscale", "1..3", "--kinds", "purchase,add"];
    let mut up = cluster.command(&flags);
    up.env("CARDCTL_AUTOSCALE_TARGET_BACKLOG", "20");
    let ended = Ended::of(up.output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    cluster.expect(0, &["submit", "-c", "100", "--progress", "none"]);
    cluster.expect(0, &["submit", "--kind", "purchase", "-c", "20", "-w", "--timeout", "60s", "--progress", "none"]);
    let status = || cluster.run(&["status", "-o", "json"]).json();
    eventually("it has seen that there is nothing left for them", || status()["autoscale"]["backlog"] == 0);
    let status = status();
    assert_eq!(status["queue"]["ready"], 100, "{status}");
    assert!(status["autoscale"]["last_change"].is_null(), "{status}");
}
