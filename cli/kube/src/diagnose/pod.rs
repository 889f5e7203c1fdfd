//! What a pod tells.

use serde_json::Value;

use super::recorded::{list, text, time};
use super::{Finding, Reason, Recorded, container, mount, schedule};
use crate::ObjectRef;

pub(super) fn findings(recorded: &Recorded, owner: &ObjectRef, pod: &Value) -> Vec<Finding> {
    let Some(named) = ObjectRef::of(pod) else { return Vec::new() };
    let status = &pod["status"];
    if status["phase"] == "Failed" && status["reason"] == "Evicted" {
        return vec![Finding::new(Reason::Evicted, owner).on(named).said(text(&status["message"]))];
    }
    if is_condition(status, "Ready", "True") || status["phase"] == "Succeeded" {
        return Vec::new();
    }
    if let Some(lost) = node_lost(recorded, owner, pod, &named) {
        return vec![lost];
    }
    if let Some(unscheduled) = schedule::finding(recorded, owner, pod, &named) {
        return vec![unscheduled];
    }
    let initialising = list(&status["initContainerStatuses"]).map(|status| (status, true));
    let running = list(&status["containerStatuses"]).map(|status| (status, false));
    let mut found: Vec<Finding> = initialising
        .chain(running)
        .filter_map(|(status, first)| container::finding(recorded, owner, pod, &named, status, first))
        .collect();
    // As long as a volume is missing no container starts, so nothing else tells.
    if found.iter().all(|finding| finding.reason == Reason::ImagePulling) {
        found.extend(mount::finding(recorded, owner, pod, &named));
    }
    found
}

fn node_lost(recorded: &Recorded, owner: &ObjectRef, pod: &Value, named: &ObjectRef) -> Option<Finding> {
    let name = text(&pod["spec"]["nodeName"]);
    let node = recorded.of_kind("Node").find(|node| !name.is_empty() && node["metadata"]["name"] == name)?;
    let ready = list(&node["status"]["conditions"]).find(|condition| condition["type"] == "Ready")?;
    if ready["status"] == "True" {
        return None;
    }
    let since = time(&ready["lastTransitionTime"]);
    let said = format!("node {name} is not ready: {} {}", text(&ready["reason"]), text(&ready["message"]));
    Some(Finding::new(Reason::NodeNotReady, owner).on(named.clone()).named(name).said(said).since(since))
}

pub(super) fn is_condition(status: &Value, kind: &str, value: &str) -> bool {
    list(&status["conditions"]).any(|condition| condition["type"] == kind && condition["status"] == value)
}
