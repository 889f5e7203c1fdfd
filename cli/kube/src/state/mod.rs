//! What an object is at, told by the object alone: ready, on its way, failed, going away.
//!
//! Pure functions over what the API server answers. The rules are kstatus' where it has one: a status that is about an
//! older generation says nothing. Why an object is not ready is not here, see [`diagnose`](crate::diagnose).

mod conditions;
mod plain;
mod workload;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where an object is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It is what it should be, in its newest generation.
    Ready,
    /// Not yet.
    InProgress,
    /// It says itself that it will not be. A later change can make it good again.
    Failed,
    /// It was deleted and is not gone yet.
    Terminating,
    /// It is not there.
    Missing,
}

/// The state of one object at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it is.
    pub phase: Phase,
    /// Stable, kebab-case: `updating`, `starting`, `progress-deadline`.
    pub reason: String,
    /// A few words for people; empty where the reason says it all.
    pub message: String,
    /// How many of its parts (pods, completions, containers) are ready, where it has parts.
    pub ready: Option<u32>,
    /// How many there should be.
    pub wanted: Option<u32>,
}

impl State {
    /// Of an object as the API server answers it.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        if !object["metadata"]["deletionTimestamp"].is_null() {
            let waits = object["metadata"]["finalizers"].as_array().filter(|all| !all.is_empty());
            let names = waits.map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
            return Self::terminating(names.map(|names| format!("held by {names}")).unwrap_or_default());
        }
        let group =
            object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
        match (group, object["kind"].as_str().unwrap_or_default()) {
            ("apps", "Deployment") => workload::deployment(object),
            ("apps", "StatefulSet") => workload::stateful_set(object),
            ("apps", "DaemonSet") => workload::daemon_set(object),
            ("apps", "ReplicaSet") => workload::replica_set(object),
            ("batch", "Job") => workload::job(object),
            ("", "Pod") => workload::pod(object),
            ("", "PersistentVolumeClaim") => plain::claim(object),
            ("", "PersistentVolume") => plain::volume(object),
            ("", "Namespace") => plain::namespace(object),
            ("", "Node") => plain::node(object),
            ("", "Service") => plain::service(object),
            ("networking.k8s.io", "Ingress") => plain::ingress(object),
            ("autoscaling", "HorizontalPodAutoscaler") => plain::autoscaler(object),
            ("policy", "PodDisruptionBudget") => plain::disruption_budget(object),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => plain::definition(object),
            ("apiregistration.k8s.io", "APIService") => plain::api_service(object),
            _ => plain::other(object),
        }
    }

    /// Of an object that is not there.
    #[must_use]
    pub fn missing() -> Self {
        Self::new(Phase::Missing, "missing", "it does not exist")
    }

    /// Of an object about which nothing is known yet.
    #[must_use]
    pub fn unknown() -> Self {
        Self::in_progress("unknown", "")
    }

    /// Of an object of a kind that has nothing to become.
    #[must_use]
    pub fn exists() -> Self {
        Self::ready()
    }

    /// Whether it is all that it should be.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    fn new(phase: Phase, reason: &str, message: impl Into<String>) -> Self {
        Self { phase, reason: reason.to_owned(), message: message.into(), ready: None, wanted: None }
    }

    fn ready() -> Self {
        Self::new(Phase::Ready, "ready", "")
    }

    fn in_progress(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Phase::InProgress, reason, message)
    }

    fn failed(reason: &str, message: impl Into<String>) -> Self {
        Self::new(Phase::Failed, reason, message)
    }

    fn terminating(message: String) -> Self {
        Self::new(Phase::Terminating, "terminating", message)
    }

    fn counted(self, ready: u64, wanted: u64) -> Self {
        let clamp = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self { ready: Some(clamp(ready)), wanted: Some(clamp(wanted)), ..self }
    }
}

/// Whether an object of this kind is all that it will be as soon as it exists, so that there is nothing to wait for.
#[must_use]
pub fn is_settled_at_once(group: &str, kind: &str) -> bool {
    matches!(
        (group, kind),
        ("", "ConfigMap" | "Secret" | "ServiceAccount" | "ResourceQuota" | "LimitRange" | "Service" | "Endpoints")
            | ("rbac.authorization.k8s.io", _)
            | ("networking.k8s.io", "NetworkPolicy" | "IngressClass" | "Ingress")
            | ("scheduling.k8s.io" | "storage.k8s.io" | "admissionregistration.k8s.io", _)
            | ("batch", "CronJob")
            | ("keda.sh", "TriggerAuthentication" | "ClusterTriggerAuthentication")
    )
}

fn count(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}
