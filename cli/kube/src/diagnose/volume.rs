//! A claim that gets no volume.

use serde_json::Value;

use super::recorded::{list, quoted, text, time};
use super::{Finding, Reason, Recorded};
use crate::ObjectRef;

/// What is wrong with the claims of a pod.
pub(super) fn of_pod(recorded: &Recorded, owner: &ObjectRef, pod: &Value) -> Option<Finding> {
    list(&pod["spec"]["volumes"]).find_map(|volume| {
        let name = volume["persistentVolumeClaim"]["claimName"].as_str()?;
        let claim = recorded.of_kind("PersistentVolumeClaim").find(|claim| {
            claim["metadata"]["name"] == name && claim["metadata"]["namespace"] == pod["metadata"]["namespace"]
        })?;
        self::claim(recorded, owner, claim)
    })
}

/// What is wrong with a claim.
pub(super) fn claim(recorded: &Recorded, owner: &ObjectRef, claim: &Value) -> Option<Finding> {
    let named = ObjectRef::of(claim)?;
    if claim["status"]["phase"] == "Bound" {
        return None;
    }
    let event = recorded.events(claim).into_iter().rev().find(|event| {
        matches!(event.reason(), "ProvisioningFailed" | "FailedBinding" | "ExternalProvisioning" | "VolumeFailedDelete")
    })?;
    let message = event.message();
    let class = text(&claim["spec"]["storageClassName"]);
    let found = Finding::new(Reason::VolumeProvisioningFailed, owner).on(named).said(message).shown_by(Some(event));
    let since = time(&claim["metadata"]["creationTimestamp"]);
    let (reason, name) = match event.reason() {
        "ProvisioningFailed" if message.contains("storageclass") && message.contains("not found") => {
            (Reason::StorageClassMissing, quoted(message).unwrap_or(class))
        }
        "FailedBinding" if message.contains("no storage class is set") => (Reason::StorageClassMissing, "by default"),
        "FailedBinding" => (Reason::VolumeProvisioning, class),
        "ExternalProvisioning" => (Reason::VolumeProvisioning, class),
        _ => (Reason::VolumeProvisioningFailed, class),
    };
    Some(Finding { reason, ..found }.named(name).since(since))
}
