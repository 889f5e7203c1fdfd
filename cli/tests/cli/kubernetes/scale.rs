//! `scale` and who else has a say in the number of pods.

use serde_json::json;

use super::{Lab, NAMESPACE};

const WORKER: (&str, Option<&str>, &str) = ("Deployment", Some(NAMESPACE), "worker");

#[test]
fn what_an_autoscaler_owns_is_not_scaled() {
    let lab = Lab::new("lab");
    lab.sandbox.expect(124, &lab.up(&["--autoscale", "1..4"]));
    // Without KEDA it is one by CPU, and that was said.
    assert_eq!(lab.server.all("HorizontalPodAutoscaler").len(), 1);
    let before = lab.writes();
    let ended = lab.sandbox.expect(3, &["scale", "workers=3", "-t", "kube", "-o", "json"]);
    let error = &ended.json()["error"];
    assert_eq!(error["code"], "autoscaled");
    assert!(error["evidence"].to_string().contains("horizontalpodautoscaler/"), "{error}");
    assert!(error["fix"].as_str().unwrap().contains("--autoscale"), "{error}");
    assert_eq!(lab.writes(), before);
    // Nor does up say how many: that would be one at the next up, whatever waits.
    let seen = lab.server.seen();
    let mut sent =
        seen.iter().filter(|seen| seen.method == "PATCH" && seen.path.ends_with("/deployments/worker")).peekable();
    assert!(sent.peek().is_some());
    assert!(sent.all(|seen| seen.body.as_ref().unwrap()["spec"].get("replicas").is_none()));
}

/// The autoscaler begins with as many as run: an apply without a number would put the API's default there, one.
#[test]
fn an_autoscaler_takes_over_as_many_workers_as_run() {
    let lab = Lab::new("lab");
    lab.sandbox.expect(124, &lab.up(&["--workers", "3"]));
    let replicas = || lab.server.get(WORKER.0, WORKER.1, WORKER.2).unwrap()["spec"]["replicas"].clone();
    assert_eq!(replicas(), json!(3));
    lab.sandbox.expect(124, &lab.up(&["--autoscale", "1..4"]));
    assert_eq!(replicas(), json!(3));
    lab.deployed();
    assert_eq!(replicas(), json!(3));
}

#[test]
fn what_was_scaled_stays_until_another_number_is_given() {
    let lab = Lab::new("lab");
    lab.deployed();
    let replicas = || lab.server.get(WORKER.0, WORKER.1, WORKER.2).unwrap()["spec"]["replicas"].clone();
    // No pod comes, so it waits in vain; the number is set.
    lab.sandbox.expect(124, &["scale", "workers=3", "-t", "kube", "--wait-timeout", "1s"]);
    assert_eq!(replicas(), json!(3));
    lab.deployed();
    assert_eq!(replicas(), json!(3));
    lab.sandbox.expect(124, &lab.up(&["--workers", "2"]));
    assert_eq!(replicas(), json!(2));
}
