//! Pods that are not even let in.

use serde_json::Value;

use super::recorded::{list, quoted, text, time};
use super::{Finding, Reason, Recorded};
use crate::ObjectRef;

/// What refuses the pods of a workload, if its newest version lacks some.
pub(super) fn refused(recorded: &Recorded, owner: &ObjectRef, object: &Value) -> Vec<Finding> {
    let creating = if owner.kind == "Deployment" { recorded.newest_replica_set(object) } else { Some(object) };
    creating.and_then(|creating| of(recorded, owner, creating)).into_iter().collect()
}

/// What refuses the pods of the very object that creates them.
pub(super) fn of(recorded: &Recorded, owner: &ObjectRef, creating: &Value) -> Option<Finding> {
    let named = ObjectRef::of(creating)?;
    let (there, wanted) = match named.kind.as_str() {
        "DaemonSet" => {
            (&creating["status"]["currentNumberScheduled"], creating["status"]["desiredNumberScheduled"].as_u64())
        }
        "Job" => (&creating["status"]["active"], Some(1)),
        _ => (&creating["status"]["replicas"], creating["spec"]["replicas"].as_u64().or(Some(1))),
    };
    // An event lives for an hour; what it was about may be over.
    if there.as_u64().unwrap_or(0) >= wanted.unwrap_or(0) {
        return None;
    }
    let condition = list(&creating["status"]["conditions"])
        .find(|condition| condition["type"] == "ReplicaFailure" && condition["status"] == "True");
    let event = recorded.events(creating).into_iter().rev().find(|event| event.reason() == "FailedCreate");
    let message = match (condition, event) {
        (Some(condition), _) => text(&condition["message"]),
        (None, Some(event)) => event.message(),
        (None, None) => return None,
    };
    let (reason, name) = reason(message);
    let since = condition.and_then(|condition| time(&condition["lastTransitionTime"]));
    let found = Finding::new(reason, owner).on(named).said(message).since(since).shown_by(event);
    Some(match name {
        Some(name) => found.named(name),
        None => found,
    })
}

fn reason(message: &str) -> (Reason, Option<String>) {
    let has = |words: &str| message.contains(words);
    if has("violates PodSecurity") {
        (Reason::PodSecurity, None)
    } else if has("exceeded quota") {
        (Reason::QuotaExceeded, None)
    } else if has("failed quota") {
        (Reason::QuotaNeedsLimits, None)
    } else if has("usage per Container")
        || has("usage per Pod")
        || has("max limit to request ratio")
        || has("must be less than or equal to")
    {
        // The last: limits that the range sets by default, below what is requested.
        (Reason::LimitRange, None)
    } else if has("failed calling webhook") {
        (Reason::WebhookUnreachable, None)
    } else if has("admission webhook") || has("ValidatingAdmissionPolicy") {
        (Reason::WebhookRefused, None)
    } else if has("serviceaccount") && has("not found") {
        (
            Reason::ServiceAccountMissing,
            message.split_once("serviceaccount ").and_then(|(_, rest)| quoted(rest)).map(ToOwned::to_owned),
        )
    } else if has("is being terminated") {
        (Reason::NamespaceTerminating, None)
    } else {
        (Reason::CreateRefused, None)
    }
}
