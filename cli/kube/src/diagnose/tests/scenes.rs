//! What that cluster could not be brought to say: scenes after the shapes and words of the real API.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::diagnose::*;

/// A deployment with one pod of this status, and these events about that pod.
fn scene(status: Value, spec: Value, events: &[(&str, &str)]) -> (Recorded, ObjectRef) {
    let owned = |uid: &str| json!([{"uid": uid}]);
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "server", "namespace": "n", "uid": "d"},
        "spec": {}, "status": {}});
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "server-1", "namespace": "n", "uid": "r",
        "ownerReferences": owned("d")}, "spec": {"replicas": 1}, "status": {"replicas": 1}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "server-1-x", "namespace": "n", "uid": "p",
        "creationTimestamp": "2026-01-01T00:00:00Z", "ownerReferences": owned("r")}, "spec": spec, "status": status});
    let object = ObjectRef::of(&deployment).unwrap();
    let mut objects = vec![deployment, set, pod];
    for (index, (reason, message)) in events.iter().enumerate() {
        let at = format!("2026-01-01T00:00:{:02}Z", 10 + index);
        objects.push(
            json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": format!("e{index}"), "namespace": "n"},
            "involvedObject": {"kind": "Pod", "name": "server-1-x", "uid": "p", "fieldPath": "spec.containers{main}"},
            "reason": reason, "message": message, "type": "Warning", "firstTimestamp": at, "lastTimestamp": at}),
        );
    }
    (Recorded { objects: objects.into_iter().map(Into::into).collect(), logs: Vec::new() }, object)
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "containerStatuses": [{"name": "main", "image": "registry/card-server:1", "ready": false,
        "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}, "lastState": {}}]})
}

fn unscheduled(message: &str) -> Value {
    json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
}

fn named(recorded: &Recorded, object: &ObjectRef, after: i64) -> Option<(Reason, bool)> {
    let now: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
    let now = now.checked_add(SignedDuration::from_secs(after)).unwrap();
    diagnose(recorded, object, &Circumstances::at(now)).first().map(|finding| (finding.reason, finding.terminal))
}

#[test]
fn what_is_said_is_one_line_without_an_empty_end() {
    let running = json!({"phase": "Running", "containerStatuses": [{"name": "main", "image": "i", "ready": false, "started": false,
        "restartCount": 0, "state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}}]});
    for (said, told) in [
        ("Startup probe failed: \n", "Startup probe failed"),
        ("Startup probe failed: no\n\tanswer", "Startup probe failed: no answer"),
    ] {
        let (recorded, object) = scene(running.clone(), json!({}), &[("Unhealthy", said)]);
        let findings = diagnose(&recorded, &object, &Circumstances::at("2026-01-01T00:00:20Z".parse().unwrap()));
        assert_eq!((findings[0].reason, &*findings[0].message), (Reason::StartupProbeFailed, told));
        assert!(!findings[0].terminal, "it is only starting");
    }
}

/// What this machine's cluster could not be brought to do, after the shapes and words of the real API.
#[test]
fn what_other_clusters_say_is_named_as_well() {
    let pulls = [
        (
            "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/x:1\": failed to resolve reference \"docker.io/library/x:1\": docker.io/library/x:1: not found",
            Reason::ImageNotFound,
        ),
        (
            "rpc error: code = Unknown desc = Error response from daemon: manifest for x:1 not found: manifest unknown: manifest unknown",
            Reason::ImageNotFound,
        ),
        (
            "failed to authorize: failed to fetch anonymous token: unexpected status from GET request: 401 Unauthorized",
            Reason::ImageUnauthorised,
        ),
        (
            "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            Reason::ImageUnauthorised,
        ),
        ("dial tcp: lookup registry.example.com: no such host", Reason::ImageRegistryUnreachable),
        ("toomanyrequests: You have reached your pull rate limit", Reason::ImagePullFailed),
    ];
    for (message, reason) in pulls {
        let (recorded, object) = scene(waiting("ErrImagePull", message), json!({}), &[]);
        assert_eq!(named(&recorded, &object, 60), Some((reason, true)), "{message}");
        // Older nodes say in the back-off nothing but that; the event before it knows.
        let event = format!("Failed to pull image \"x\": {message}");
        let (recorded, object) = scene(
            waiting("ImagePullBackOff", "Back-off pulling image \"x\""),
            json!({}),
            &[("Failed", &event), ("Failed", "Error: ErrImagePull"), ("BackOff", "Back-off pulling image \"x\"")],
        );
        assert_eq!(named(&recorded, &object, 60), Some((reason, true)), "{message}");
    }
    let schedules = [
        (
            "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient memory.",
            Reason::UnschedulableResources,
        ),
        ("0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: gpu}.", Reason::UnschedulableTaint),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.",
            Reason::NodeNotReady,
        ),
        ("0/2 nodes are available: 2 node(s) had volume node affinity conflict.", Reason::UnschedulableVolume),
        ("0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.", Reason::UnschedulableSpread),
        (
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
            Reason::UnschedulablePorts,
        ),
    ];
    for (message, reason) in schedules {
        let (recorded, object) = scene(unscheduled(message), json!({}), &[]);
        assert_eq!(named(&recorded, &object, 120), Some((reason, true)), "{message}");
        assert_eq!(named(&recorded, &object, -9), Some((reason, false)), "{message}");
    }
    let mounts = [
        (
            "FailedAttachVolume",
            "Multi-Attach error for volume \"pvc-1\" Volume is already used by pod(s) postgres-0",
            Reason::VolumeMultiAttach,
        ),
        (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"s\" : references non-existent secret key: redis-url",
            Reason::SecretKeyMissing,
        ),
        (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"c\" : configmap \"settings\" not found",
            Reason::ConfigMapMissing,
        ),
        (
            "FailedMount",
            "MountVolume.MountDevice failed for volume \"pvc-1\" : rpc error: code = Internal",
            Reason::VolumeMountFailed,
        ),
        (
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: plugin type=\"calico\" failed (add)",
            Reason::SandboxFailed,
        ),
    ];
    for (event, message, reason) in mounts {
        let (recorded, object) = scene(waiting("ContainerCreating", ""), json!({}), &[(event, message)]);
        assert_eq!(named(&recorded, &object, 120), Some((reason, true)), "{message}");
    }
}

#[test]
fn the_noise_of_a_start_is_no_finding() {
    let noise = [
        (
            "FailedMount",
            "MountVolume.SetUp failed for volume \"kube-api-access-x\" : failed to sync configmap cache: timed out waiting for the condition",
        ),
        ("FailedMount", "MountVolume.SetUp failed for volume \"x\" : object \"n\"/\"kube-root-ca.crt\" not registered"),
    ];
    let (recorded, object) = scene(waiting("ContainerCreating", ""), json!({}), &noise);
    assert_eq!(named(&recorded, &object, 60), None);
}

#[test]
fn a_slow_pull_is_named_and_never_terminal() {
    let (recorded, object) =
        scene(waiting("ContainerCreating", ""), json!({}), &[("Pulling", "Pulling image \"registry/card-server:1\"")]);
    assert_eq!(named(&recorded, &object, 3600), Some((Reason::ImagePulling, false)));
}

#[test]
fn a_node_that_is_lost_explains_its_pods() {
    let (mut recorded, object) = scene(
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}),
        json!({"nodeName": "one"}),
        &[],
    );
    recorded.objects.push(std::sync::Arc::new(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}, "status": {"conditions": [
        {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status.",
         "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})));
    assert_eq!(named(&recorded, &object, 10), Some((Reason::NodeNotReady, false)));
    assert_eq!(named(&recorded, &object, 100), Some((Reason::NodeNotReady, true)));
}

#[test]
fn what_refuses_the_pods_of_a_workload_is_read_from_its_replica_set() {
    let refusals = [
        ("admission webhook \"policy.example.com\" denied the request: no", Reason::WebhookRefused),
        (
            "Internal error occurred: failed calling webhook \"policy.example.com\": connect: connection refused",
            Reason::WebhookUnreachable,
        ),
        ("pods \"x\" is forbidden: failed quota: small: must specify limits.cpu for: main", Reason::QuotaNeedsLimits),
        ("pods \"x\" is forbidden: maximum memory usage per Container is 4Mi, but limit is 8Mi", Reason::LimitRange),
        (
            "pods \"x\" is forbidden: unable to create new content in namespace n because it is being terminated",
            Reason::NamespaceTerminating,
        ),
        ("pods \"x\" is forbidden: something new", Reason::CreateRefused),
    ];
    for (message, reason) in refusals {
        let (mut recorded, object) = scene(json!({}), json!({}), &[]);
        recorded.objects.retain(|object| object["kind"] == "Deployment");
        recorded.objects.push(std::sync::Arc::new(json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "server-1", "namespace": "n",
            "uid": "r", "ownerReferences": [{"uid": "d"}]}, "spec": {"replicas": 1}, "status": {"replicas": 0, "conditions": [
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})));
        assert_eq!(named(&recorded, &object, 60), Some((reason, true)), "{message}");
    }
}

#[test]
fn every_reason_has_a_stable_kebab_case_name_and_advice() {
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        assert!(reason.as_str().chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'));
        assert!(!reason.cause().is_empty() && !reason.fix().is_empty());
    }
}

proptest::proptest! {
    #[test]
    fn whatever_a_cluster_answers_is_looked_at_without_a_panic(text in "[a-zA-Z0-9{}\\[\\]:,\" ]{0,60}", reason in "[A-Za-z]{0,12}") {
        let odd: Value = serde_json::from_str(&text).unwrap_or(Value::String(text.clone()));
        for status in [odd.clone(), json!({"containerStatuses": odd.clone(), "conditions": [odd.clone()]}), waiting(&reason, &text), unscheduled(&text)] {
            let (recorded, object) = scene(status, odd.clone(), &[(&reason, &text), ("Unhealthy", &text), ("FailedMount", &text)]);
            let _ = named(&recorded, &object, 60);
        }
    }
}
