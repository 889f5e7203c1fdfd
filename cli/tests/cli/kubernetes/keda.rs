//! KEDA is there when it runs, not when the cluster knows its kinds.

use card_kube::testing::Kind;
use serde_json::json;

use super::Lab;

const MANIFESTS: &str = "
apiVersion: v1
kind: Namespace
metadata:
  name: keda
  labels: {app.kubernetes.io/part-of: keda-operator, app.kubernetes.io/name: keda}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: keda-operator, namespace: keda}
spec:
  selector: {matchLabels: {app: keda-operator}}
  template:
    metadata: {labels: {app: keda-operator}}
    spec: {containers: [{name: keda-operator, image: keda.test/keda:2}]}
";

fn lab_with_kinds() -> Lab {
    let lab = Lab::new("lab");
    lab.server.serve_kind(Kind::namespaced("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"));
    lab
}

#[test]
fn kinds_that_nobody_acts_on_are_no_autoscaler() {
    let lab = lab_with_kinds();
    let ended = lab.sandbox.expect(3, &lab.up(&["--autoscale", "1..4", "-o", "json"]));
    assert_eq!(ended.json()["error"]["code"], "keda-not-running");
    assert!(lab.server.all("ScaledObject").is_empty());
    lab.server.put(json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "keda-operator", "namespace": "elsewhere"}, "status": {"availableReplicas": 1}}));
    // It is written, and waited for: nobody says of it that it is ready.
    let ended = lab.sandbox.expect(124, &lab.up(&["--autoscale", "1..4", "-o", "json"]));
    assert!(ended.json()["error"]["message"].as_str().unwrap().contains("scaledobject/"), "{}", ended.stdout);
    assert_eq!(lab.server.all("ScaledObject").len(), 1);
}

#[test]
fn one_that_is_brought_is_waited_for_each_time_and_has_no_conflict_with_itself() {
    let lab = lab_with_kinds();
    let file = lab.sandbox.work().join("keda.yaml");
    std::fs::write(&file, MANIFESTS).unwrap();
    let up = lab.up(&["--autoscale", "1..4", "--install-keda", file.to_str().unwrap(), "-o", "json"]);
    for _ in 0..2 {
        let ended = lab.sandbox.expect(124, &up);
        let error = &ended.json()["error"];
        assert!(error["message"].as_str().unwrap().contains("KEDA was not ready"), "{error}");
        assert!(error["left"].as_str().unwrap().contains("nothing of the platform was deployed"), "{error}");
    }
    assert!(lab.server.get("Deployment", Some("keda"), "keda-operator").is_some());
}
