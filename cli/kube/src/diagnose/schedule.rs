//! A pod for which there is no node.

use serde_json::Value;

use super::recorded::{list, quoted, text, time};
use super::{Finding, Reason, Recorded, volume};
use crate::ObjectRef;

pub(super) fn finding(recorded: &Recorded, owner: &ObjectRef, pod: &Value, named: &ObjectRef) -> Option<Finding> {
    let condition = list(&pod["status"]["conditions"]).find(|condition| condition["type"] == "PodScheduled")?;
    if condition["status"] != "False" {
        return None;
    }
    let message = text(&condition["message"]);
    let unbound = message.contains("unbound immediate PersistentVolumeClaims");
    if unbound && let Some(found) = volume::of_pod(recorded, owner, pod) {
        return Some(found);
    }
    if unbound {
        // The claim was made a moment ago, and nobody has said anything about it.
        return None;
    }
    let events = recorded.events(pod);
    if events.iter().any(|event| event.reason() == "TriggeredScaleUp") {
        return None;
    }
    let event = events.iter().rev().copied().find(|event| event.reason() == "FailedScheduling");
    let (reason, name) = reason(message);
    let found =
        Finding::new(reason, owner).on(named.clone()).said(message).since(time(&condition["lastTransitionTime"]));
    Some(
        match name {
            Some(name) => found.named(name),
            None => found,
        }
        .shown_by(event),
    )
}

/// Nodes differ in why they will not do; the reason that can be acted upon comes first.
fn reason(message: &str) -> (Reason, Option<String>) {
    let has = |words: &str| message.contains(words);
    if has("persistentvolumeclaim") && has("not found") {
        return (Reason::VolumeClaimMissing, quoted(message).map(ToOwned::to_owned));
    }
    if let Some((_, rest)) = message.split_once("Insufficient ") {
        let name: String =
            rest.chars().take_while(|letter| letter.is_alphanumeric() || "-./".contains(*letter)).collect();
        return (Reason::UnschedulableResources, Some(name.trim_end_matches('.').to_owned()));
    }
    if has("Too many pods") {
        return (Reason::UnschedulableResources, Some("room for pods".to_owned()));
    }
    if has("volume node affinity conflict")
        || has("node(s) exceed max volume count")
        || has("didn't find available persistent volumes")
    {
        return (Reason::UnschedulableVolume, None);
    }
    if has("didn't match pod topology spread") || has("anti-affinity") {
        return (Reason::UnschedulableSpread, None);
    }
    if has("node affinity/selector") || has("didn't match node selector") {
        return (Reason::UnschedulableSelector, None);
    }
    if has("free ports") {
        return (Reason::UnschedulablePorts, None);
    }
    if has("node.kubernetes.io/not-ready")
        || has("node.kubernetes.io/unreachable")
        || has("no nodes available")
        || has("-pressure")
    {
        return (Reason::NodeNotReady, None);
    }
    if has("untolerated taint") || has("had taint") {
        return (Reason::UnschedulableTaint, None);
    }
    (Reason::Unschedulable, None)
}
