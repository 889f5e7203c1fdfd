//! What `status` and `doctor` say of a platform in a cluster that does not come up.

use card_kube::testing::{Fault, Kind};
use serde_json::{Value, json};

use super::{Lab, NAMESPACE};

/// A pod of the deployment `server` that has crashed for minutes.
pub(crate) fn crashed(lab: &Lab) {
    lab.server.edit(("Deployment", Some(NAMESPACE), "server"), "controller", "status", |server| {
        let generation = server["metadata"]["generation"].clone();
        server["status"] = json!({"observedGeneration": generation, "replicas": 1, "unavailableReplicas": 1});
    });
    let uid = |kind: &str, name: &str| lab.server.get(kind, Some(NAMESPACE), name).unwrap()["metadata"]["uid"].clone();
    let owned = |kind: &str, name: &str, owner: Value| {
        json!({"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": "server"},
            "creationTimestamp": "2026-11-30T12:00:00Z",
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "controller": true, "uid": owner,
                "name": name.rsplit_once('-').unwrap().0}]})
    };
    lab.server.put(json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {"replicas": 1},
        "metadata": owned("Deployment", "server-1", uid("Deployment", "server"))}));
    let status = json!({"name": "server", "ready": false, "restartCount": 7,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}},
        "lastState": {"terminated": {"exitCode": 255, "reason": "Error", "finishedAt": "2026-11-30T12:05:00Z"}}});
    lab.server.put(json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": owned("ReplicaSet", "server-1-a", uid("ReplicaSet", "server-1")),
        "spec": {"containers": [{"name": "server", "image": "cards.test/card-server:1"}]},
        "status": {"phase": "Running", "containerStatuses": [status]}}));
}

#[test]
fn status_says_why_something_is_not_ready() {
    let lab = Lab::new("lab");
    lab.deployed();
    crashed(&lab);
    let ended = lab.sandbox.expect(8, &["status", "-t", "kube", "-o", "json"]);
    let document = ended.json();
    let objects = document["kubernetes"]["objects"].as_array().unwrap();
    let server = objects.iter().find(|object| object["name"] == "deployment/server").unwrap();
    let why = server["why"].as_str().unwrap();
    assert!(why.starts_with("crash-loop: ") && why.contains("exited with code 255"), "{why}");
    let told = lab.sandbox.expect(8, &["status", "-t", "kube"]).stdout;
    assert!(told.contains(why), "{told}");
    // What its log says is waited for, of the run that ended.
    let fatal = "FATAL:  could not access file \"nothere\"";
    lab.server.log(NAMESPACE, "server-1-a", "server", fatal);
    let told = lab.sandbox.expect(8, &["status", "-t", "kube"]).stdout;
    assert!(told.contains("crash-loop: FATAL") && told.contains("nothere"), "{told}");
}

#[test]
fn doctor_does_not_call_a_platform_fine_that_can_not_be_reached() {
    let lab = Lab::new("lab");
    lab.deployed();
    let ended = lab.sandbox.expect(3, &["doctor", "-t", "kube", "-o", "json"]);
    let document = ended.json();
    let platform =
        document["checks"].as_array().unwrap().iter().find(|check| check["name"] == "platform").unwrap().clone();
    assert_eq!(platform["verdict"], "fail", "{platform}");
    // In a cluster there is no --restart.
    assert!(!platform["fix"].as_str().unwrap().contains("--restart"), "{platform}");
    assert!(!ended.stdout.contains("ErrorResponse") && !ended.stdout.contains("Status {"), "{}", ended.stdout);
}

#[test]
fn what_may_not_be_looked_at_is_not_called_down() {
    let lab = Lab::new("lab");
    lab.deployed();
    for resource in ["deployments", "statefulsets"] {
        let said = format!("{resource}.apps is forbidden: User \"ada\" cannot list resource \"{resource}\"");
        lab.server.fail_always(&format!("/{resource}"), Fault::status(403, "Forbidden", &said));
    }
    let document = lab.sandbox.expect(4, &["status", "-t", "kube", "-o", "json"]).json();
    assert_eq!(document["state"], "unreachable", "{document}");
    assert!(document["detail"].as_str().unwrap().contains("cannot list"), "{document}");
}

#[test]
fn what_helps_where_nothing_runs_names_the_target() {
    let lab = Lab::new("lab");
    let ended = lab.sandbox.expect(4, &["status", "-t", "kube", "--context", "lab"]);
    assert!(ended.stderr.contains("fix: cardctl --target kube up -d"), "{}", ended.stderr);
}

/// A cluster with KEDA, and somebody who may use their namespace and not KEDA's kinds, as the role `edit` is.
#[test]
fn who_may_not_look_at_kedas_kinds_can_do_without_them() {
    let lab = Lab::new("lab");
    lab.server.serve_kind(Kind::namespaced("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"));
    let said = "scaledobjects.keda.sh is forbidden: User \"ada\" cannot list resource \"scaledobjects\"";
    lab.server.fail_always("/scaledobjects", Fault::status(403, "Forbidden", said));
    lab.deployed();
    assert!(lab.server.get("Deployment", Some(NAMESPACE), "worker").is_some());
}
