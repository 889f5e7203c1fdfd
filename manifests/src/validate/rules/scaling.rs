//! Whose business the number of pods is, and that an object finds its own pods.

use serde_json::Value;

use super::super::{Finding, Level, finding};
use crate::kinds::{named, text};

pub(super) fn check(object: &Value, all: &[Value]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let kind = text(object, "kind");
    if !matches!(kind, "Deployment" | "StatefulSet") {
        return findings;
    }
    let owners: Vec<&Value> = all.iter().filter(|other| scales(other, object)).collect();
    if let [owner, ..] = owners[..]
        && !object["spec"]["replicas"].is_null()
    {
        let message =
            format!("{} manages the number of replicas; leave out replicas, or each apply resets it", named(owner));
        findings.push(finding(object, "replicas", Level::Error, "spec.replicas", message));
    }
    if let [one, other, ..] = owners[..] {
        let message =
            format!("{} and {} both manage the number of replicas; keep one of them", named(one), named(other));
        findings.push(finding(object, "replicas", Level::Error, "", message));
    }
    let labels = &object["spec"]["template"]["metadata"]["labels"];
    for (name, value) in object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten() {
        if labels.get(name) != Some(value) {
            let message = format!("its own pods don't have the label {name}: {}", value.as_str().unwrap_or_default());
            findings.push(finding(object, "selector", Level::Error, "spec.selector.matchLabels", message));
        }
    }
    findings
}

fn scales(scaler: &Value, object: &Value) -> bool {
    let target = &scaler["spec"]["scaleTargetRef"];
    // KEDA's target is a Deployment unless it says otherwise.
    let kind = target["kind"].as_str().unwrap_or("Deployment");
    matches!(text(scaler, "kind"), "HorizontalPodAutoscaler" | "ScaledObject")
        && kind == text(object, "kind")
        && target["name"] == object["metadata"]["name"]
        && scaler["metadata"]["namespace"] == object["metadata"]["namespace"]
}
