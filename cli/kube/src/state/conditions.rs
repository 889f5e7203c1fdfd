//! Conditions, and what they are about.

use jiff::Timestamp;
use serde_json::Value;

/// The condition of this type.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// Whether the condition is there and has this status (`True`, `False`).
pub(super) fn has(object: &Value, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == status)
}

/// `reason: message` of a condition, as far as it has them.
pub(super) fn words(condition: &Value) -> String {
    let text = |key: &str| condition[key].as_str().unwrap_or_default();
    match (text("reason"), text("message")) {
        (reason, "") => reason.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    }
}

/// Whether the status is about an older generation than the specification.
pub(super) fn is_behind(object: &Value) -> bool {
    let generation = object["metadata"]["generation"].as_i64();
    let observed = object["status"]["observedGeneration"].as_i64();
    generation.is_some_and(|generation| observed.is_none_or(|observed| observed < generation))
}

/// Whether the condition was written before somebody last changed the specification, so that it is about something else.
///
/// Even with `observedGeneration` up to date, `ProgressDeadlineExceeded` can be about the rollout before this one. Both
/// times are the API server's (or the controller's beside it), in whole seconds.
pub(super) fn is_stale(object: &Value, condition: &Value) -> bool {
    let written = time(&condition["lastUpdateTime"]).or_else(|| time(&condition["lastTransitionTime"]));
    matches!((written, specified(object)), (Some(written), Some(specified)) if written < specified)
}

/// When somebody last changed the specification.
fn specified(object: &Value) -> Option<Timestamp> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    let of_spec = |entry: &&Value| entry["subresource"].is_null() && !entry["fieldsV1"]["f:spec"].is_null();
    entries.iter().filter(of_spec).filter_map(|entry| time(&entry["time"])).max()
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}
