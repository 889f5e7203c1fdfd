//! A volume, or the sandbox around the containers, that the node can't put in place.

use serde_json::Value;

use super::container::missing;
use super::recorded::{list, time};
use super::{Finding, Reason, Recorded};
use crate::ObjectRef;

pub(super) fn finding(recorded: &Recorded, owner: &ObjectRef, pod: &Value, named: &ObjectRef) -> Option<Finding> {
    let statuses = list(&pod["status"]["initContainerStatuses"]).chain(list(&pod["status"]["containerStatuses"]));
    // Once a container has started the volumes are there, and what was said before is over.
    let started = statuses
        .into_iter()
        .any(|status| !status["state"]["running"].is_null() || !status["lastState"]["terminated"].is_null());
    if started {
        return None;
    }
    let event = recorded.events(pod).into_iter().rev().find(|event| {
        matches!(event.reason(), "FailedMount" | "FailedAttachVolume" | "FailedCreatePodSandBox")
            && !is_of_the_node(event.message())
    })?;
    let message = event.message();
    let at = |reason| {
        Finding::new(reason, owner).on(named.clone()).said(message).since(time(&pod["metadata"]["creationTimestamp"]))
    };
    let found = match event.reason() {
        "FailedCreatePodSandBox" => at(Reason::SandboxFailed),
        _ if message.contains("Multi-Attach") => at(Reason::VolumeMultiAttach),
        _ => missing(message).map_or_else(|| at(Reason::VolumeMountFailed), |(reason, name)| at(reason).named(name)),
    };
    Some(found.shown_by(Some(event)))
}

/// The node's own start-up noise: its caches, not the pod.
fn is_of_the_node(message: &str) -> bool {
    message.contains("failed to sync")
        || message.contains("not registered")
        || message.contains("failed to fetch token")
}
