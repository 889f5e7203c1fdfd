use serde_json::{Value, json};

use super::*;

fn deployment(metadata: Value, status: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": 2}, "status": status})
}

fn told(object: &Value) -> (Phase, String) {
    let state = State::of(object);
    (state.phase, state.reason)
}

#[test]
fn a_status_about_an_older_generation_says_nothing() {
    // What the condition `Available` alone would call complete, milliseconds after an update.
    let complete = json!({"observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2,
        "availableReplicas": 2, "conditions": [{"type": "Available", "status": "True"}]});
    assert_eq!(
        told(&deployment(json!({"generation": 5}), complete.clone())),
        (Phase::InProgress, "not-observed".into())
    );
    assert_eq!(told(&deployment(json!({"generation": 4}), complete)), (Phase::Ready, "ready".into()));
    assert_eq!(told(&deployment(json!({"generation": 1}), json!({}))), (Phase::InProgress, "not-observed".into()));
}

#[test]
fn a_deadline_that_was_passed_before_the_newest_change_is_not_about_it() {
    let at = |applied: &str| {
        deployment(
            json!({"generation": 2, "managedFields": [
                {"manager": "cardctl", "operation": "Apply", "time": applied, "fieldsV1": {"f:spec": {"f:template": {}}}},
                {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status",
                 "time": "2026-01-01T10:20:00Z", "fieldsV1": {"f:status": {}}}]}),
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "conditions": [
                {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                 "message": "ReplicaSet \"server-1\" has timed out progressing.", "lastUpdateTime": "2026-01-01T10:10:00Z"}]}),
        )
    };
    assert_eq!(told(&at("2026-01-01T10:00:00Z")), (Phase::Failed, "progress-deadline".into()));
    assert_eq!(told(&at("2026-01-01T10:15:00Z")), (Phase::InProgress, "updating".into()));
}

#[test]
fn a_deployment_goes_through_updating_replacing_starting_to_ready() {
    let at = |replicas: u64, updated: u64, available: u64| {
        let status = json!({"observedGeneration": 1, "replicas": replicas, "updatedReplicas": updated, "availableReplicas": available});
        let state = State::of(&deployment(json!({"generation": 1}), status));
        (state.reason, state.ready, state.wanted)
    };
    assert_eq!(at(2, 1, 2), ("updating".into(), Some(1), Some(2)));
    assert_eq!(at(3, 2, 2), ("replacing".into(), Some(2), Some(2)));
    assert_eq!(at(2, 2, 1), ("starting".into(), Some(1), Some(2)));
    assert_eq!(at(2, 2, 2), ("ready".into(), Some(2), Some(2)));
}

#[test]
fn a_deployment_of_nothing_is_ready() {
    let none = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 1}, "spec": {"replicas": 0},
        "status": {"observedGeneration": 1}});
    assert!(State::of(&none).is_ready());
}

#[test]
fn a_stateful_set_is_ready_when_its_newest_revision_is() {
    let at = |status: Value| {
        told(&json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"generation": 1},
            "spec": {"replicas": 2}, "status": status}))
    };
    let mut status = json!({"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 1,
        "currentRevision": "a", "updateRevision": "b"});
    assert_eq!(at(status.clone()), (Phase::InProgress, "updating".into()));
    // Complete: one revision, and no count of the updated.
    status["currentRevision"] = json!("b");
    status["updatedReplicas"] = json!(0);
    assert_eq!(at(status.clone()), (Phase::Ready, "ready".into()));
    status["readyReplicas"] = json!(1);
    assert_eq!(at(status), (Phase::InProgress, "starting".into()));
}

#[test]
fn a_job_is_ready_when_it_is_complete_and_failed_when_it_says_so() {
    let at = |status: Value| {
        told(&json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": {}, "status": status}))
    };
    assert_eq!(at(json!({"active": 1})), (Phase::InProgress, "running".into()));
    assert_eq!(
        at(json!({"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]})),
        (Phase::Ready, "complete".into())
    );
    let failed =
        json!({"failed": 2, "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]});
    assert_eq!(at(failed), (Phase::Failed, "job-failed".into()));
}

#[test]
fn each_kind_is_told_by_its_own_rules() {
    let core = |kind: &str, rest: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {}});
        object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        object
    };
    let of = |api: &str, kind: &str, status: Value| json!({"apiVersion": api, "kind": kind, "metadata": {}, "status": status});
    let hpa = |reason: &str| {
        of(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            json!({"conditions": [{"type": "ScalingActive", "status": "False", "reason": reason}]}),
        )
    };
    let keda = |status: Value| of("keda.sh/v1alpha1", "ScaledObject", status);
    let table = [
        (core("Pod", json!({"status": {"phase": "Succeeded"}})), Phase::Ready, "complete"),
        (core("Pod", json!({"status": {"phase": "Failed", "reason": "Evicted"}})), Phase::Failed, "evicted"),
        (
            core("Pod", json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})),
            Phase::Ready,
            "ready",
        ),
        (core("Pod", json!({"status": {"phase": "Pending"}})), Phase::InProgress, "unscheduled"),
        (core("PersistentVolumeClaim", json!({"status": {"phase": "Bound"}})), Phase::Ready, "ready"),
        (core("PersistentVolumeClaim", json!({"status": {"phase": "Pending"}})), Phase::InProgress, "pending"),
        (core("PersistentVolumeClaim", json!({"status": {"phase": "Lost"}})), Phase::Failed, "volume-lost"),
        (core("Namespace", json!({"status": {"phase": "Active"}})), Phase::Ready, "ready"),
        (core("Namespace", json!({"status": {"phase": "Terminating"}})), Phase::Terminating, "terminating"),
        (core("ConfigMap", json!({})), Phase::Ready, "ready"),
        (core("Service", json!({"spec": {"type": "ClusterIP"}})), Phase::Ready, "ready"),
        (core("Service", json!({"spec": {"type": "LoadBalancer"}})), Phase::Ready, "no-address"),
        (hpa("FailedGetResourceMetric"), Phase::Ready, "no-metrics"),
        (hpa("ScalingDisabled"), Phase::Ready, "ready"),
        (of("policy/v1", "PodDisruptionBudget", json!({})), Phase::Ready, "ready"),
        (
            of("networking.k8s.io/v1", "Ingress", json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}})),
            Phase::Ready,
            "ready",
        ),
        (keda(json!({})), Phase::InProgress, "not-observed"),
        (
            keda(json!({"conditions": [{"type": "Ready", "status": "False", "reason": "ScaledObjectCheckFailed"}]})),
            Phase::InProgress,
            "not-ready",
        ),
        (keda(json!({"conditions": [{"type": "Ready", "status": "True"}]})), Phase::Ready, "ready"),
        (of("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({})), Phase::InProgress, "not-established"),
        (
            of("example.com/v1", "Thing", json!({"conditions": [{"type": "Stalled", "status": "True"}]})),
            Phase::Failed,
            "stalled",
        ),
    ];
    for (object, phase, reason) in table {
        assert_eq!(told(&object), (phase, reason.to_owned()), "{object}");
    }
}

#[test]
fn what_was_deleted_is_terminating_and_says_what_holds_it() {
    let going = core_with_finalizer();
    let state = State::of(&going);
    assert_eq!((state.phase, state.message.as_str()), (Phase::Terminating, "held by kubernetes.io/pvc-protection"));
}

fn core_with_finalizer() -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["kubernetes.io/pvc-protection"]}, "status": {"phase": "Bound"}})
}

proptest::proptest! {
    #[test]
    fn whatever_an_object_looks_like_it_has_a_state(kind in "(Deployment|StatefulSet|DaemonSet|ReplicaSet|Job|Pod|HorizontalPodAutoscaler|X)",
        api in "(apps/v1|batch/v1|v1|autoscaling/v2|x/v1)", text in "[a-zA-Z0-9{}\\[\\]:,\" ]{0,40}") {
        let odd: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        for status in [odd.clone(), json!({"conditions": odd.clone(), "replicas": odd.clone()}), json!({"conditions": [odd.clone()]})] {
            let _ = State::of(&json!({"apiVersion": api, "kind": kind, "metadata": odd.clone(), "spec": odd.clone(), "status": status}));
        }
    }
}
