//! How long an apply takes that changes nothing.

use std::time::{Duration, Instant};

use card_kube::apply::Outcome;
use card_kube::down::Home;
use serde_json::{Value, json};

use crate::place::{cluster, config, run, take, workload};

#[tokio::test]
async fn forty_objects_that_are_as_they_should_be_take_less_than_two_seconds() {
    let Some(cluster) = cluster("speed").await else { return };
    let service = |name: String| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}})
    };
    let mut objects: Vec<Value> = (0..14).map(|n| config(&format!("settings-{n}"), "1")).collect();
    objects.extend((0..13).map(|n| service(format!("service-{n}"))));
    objects.extend((0..13).map(|n| workload("Deployment", &format!("server-{n}"), 0)));
    let began = Instant::now();
    assert_eq!(run(&cluster, &objects).await.unwrap().count(Outcome::Created), 40);
    let first = began.elapsed();
    let began = Instant::now();
    let applied = run(&cluster, &objects).await.unwrap();
    let second = began.elapsed();
    assert_eq!(applied.count(Outcome::Unchanged), 40, "{applied:?}");
    assert_eq!(take(&cluster, true).await.unwrap().home, Home::Deleted);
    assert!(second < Duration::from_secs(2), "first {first:?}, then {second:?}");
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "40 objects: first {first:?}, nothing changed {second:?}");
}
