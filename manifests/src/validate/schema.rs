//! Against the types of the Kubernetes API: what is missing, of the wrong type, or not known there.
//!
//! An object is read into its type and written again. What can't be read is wrong; what does not come back is a field that the
//! API does not know, and would drop or refuse.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::custom::ScaledObject;
use super::{Finding, Level, finding};
use crate::kinds::text;

const RULE: &str = "schema";

pub(super) fn check(object: &Value) -> Vec<Finding> {
    let read = match (text(object, "apiVersion"), text(object, "kind")) {
        ("v1", "Namespace") => read::<Namespace>(object),
        ("v1", "ServiceAccount") => read::<ServiceAccount>(object),
        ("v1", "Secret") => read::<Secret>(object),
        ("v1", "ConfigMap") => read::<ConfigMap>(object),
        ("v1", "Service") => read::<Service>(object),
        ("v1", "Pod") => read::<Pod>(object),
        ("v1", "PersistentVolumeClaim") => read::<PersistentVolumeClaim>(object),
        ("apps/v1", "Deployment") => read::<Deployment>(object),
        ("apps/v1", "StatefulSet") => read::<StatefulSet>(object),
        ("apps/v1", "DaemonSet") => read::<DaemonSet>(object),
        ("batch/v1", "Job") => read::<Job>(object),
        ("batch/v1", "CronJob") => read::<CronJob>(object),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => read::<HorizontalPodAutoscaler>(object),
        ("policy/v1", "PodDisruptionBudget") => read::<PodDisruptionBudget>(object),
        ("networking.k8s.io/v1", "NetworkPolicy") => read::<NetworkPolicy>(object),
        ("networking.k8s.io/v1", "Ingress") => read::<Ingress>(object),
        ("rbac.authorization.k8s.io/v1", "Role") => read::<Role>(object),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => read::<RoleBinding>(object),
        ("keda.sh/v1alpha1", "ScaledObject") => read::<ScaledObject>(object),
        (version, kind) => {
            let message = format!("{version} {kind} is unknown, so its fields were not checked");
            return vec![finding(object, "unknown-kind", Level::Note, "", message)];
        }
    };
    match read {
        Err((path, message)) => vec![finding(object, RULE, Level::Error, path, message)],
        Ok(known) => {
            let mut findings = Vec::new();
            unknown(object, &known, "", &mut |path| {
                findings.push(finding(object, RULE, Level::Error, path, "no such field; the API would reject it"));
            });
            findings.extend(missing(object));
            findings
        }
    }
}

/// What its type makes of an object, or where and why it does not fit.
fn read<T: Serialize + DeserializeOwned>(object: &Value) -> Result<Value, (String, String)> {
    let read: T = serde_path_to_error::deserialize(object).map_err(|error| {
        let path = error.path().to_string();
        (if path == "." { String::new() } else { path }, error.inner().to_string())
    })?;
    serde_json::to_value(read).map_err(|error| (String::new(), error.to_string()))
}

fn unknown(object: &Value, known: &Value, path: &str, found: &mut impl FnMut(String)) {
    match (object, known) {
        (Value::Object(fields), known) => {
            for (field, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                match known.get(field) {
                    Some(known) => unknown(value, known, &path, found),
                    // An empty list or map may be left out when it is written.
                    None if value.as_array().is_some_and(Vec::is_empty) => {}
                    None => found(path),
                }
            }
        }
        (Value::Array(items), known) => {
            for (index, item) in items.iter().enumerate() {
                unknown(item, &known[index], &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// Fields that the API insists on and that the types let pass: they read a field that is not there as an empty one.
fn missing(object: &Value) -> Vec<Finding> {
    let needed: &[&str] = match text(object, "kind") {
        "Deployment" | "DaemonSet" => &["/spec/selector/matchLabels", "/spec/template/spec/containers/0"],
        "StatefulSet" => &["/spec/selector/matchLabels", "/spec/template/spec/containers/0"],
        "Job" => &["/spec/template/spec/containers/0", "/spec/template/spec/restartPolicy"],
        "Service" => &["/spec/ports/0/port"],
        "HorizontalPodAutoscaler" => &["/spec/scaleTargetRef/name", "/spec/maxReplicas"],
        "NetworkPolicy" => &["/spec/podSelector"],
        "PodDisruptionBudget" => &["/spec/selector"],
        "Ingress" => &["/spec/rules/0"],
        _ => &[],
    };
    let needed = needed.iter().chain(&["/metadata/name"]);
    needed
        .filter(|path| object.pointer(path).is_none_or(Value::is_null))
        .map(|path| {
            let path = path.trim_start_matches('/').replace("/0", "[0]").replace('/', ".");
            finding(object, RULE, Level::Error, path, "required field is missing")
        })
        .collect()
}
