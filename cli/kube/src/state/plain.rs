//! What runs no pods itself.

use serde_json::Value;

use super::conditions::{condition, has, is_behind, words};
use super::{State, count};

pub(super) fn claim(object: &Value) -> State {
    match object["status"]["phase"].as_str() {
        Some("Bound") => State::ready(),
        Some("Lost") => State::failed("volume-lost", "its volume no longer exists"),
        _ => State::in_progress("pending", "no volume is bound to it yet"),
    }
}

pub(super) fn volume(object: &Value) -> State {
    match object["status"]["phase"].as_str() {
        Some("Failed") => State::failed("volume-failed", words(&object["status"])),
        Some("Pending") | None => State::in_progress("pending", ""),
        Some(_) => State::ready(),
    }
}

pub(super) fn namespace(object: &Value) -> State {
    match object["status"]["phase"].as_str() {
        Some("Terminating") => State::terminating(String::new()),
        _ => State::ready(),
    }
}

pub(super) fn node(object: &Value) -> State {
    match condition(object, "Ready") {
        Some(ready) if ready["status"] == "True" => State::ready(),
        Some(ready) => State::in_progress("node-not-ready", words(ready)),
        None => State::in_progress("node-not-ready", ""),
    }
}

/// A service serves as soon as it exists. An address from outside may never come (no load balancer): that is told, and
/// waited for by nobody.
pub(super) fn service(object: &Value) -> State {
    let outside = object["spec"]["type"] == "LoadBalancer";
    if outside && !has_address(object) { no_address() } else { State::ready() }
}

pub(super) fn ingress(object: &Value) -> State {
    if has_address(object) { State::ready() } else { no_address() }
}

fn has_address(object: &Value) -> bool {
    object["status"]["loadBalancer"]["ingress"].as_array().is_some_and(|all| !all.is_empty())
}

fn no_address() -> State {
    State { reason: "no-address".to_owned(), message: "no external address yet".to_owned(), ..State::ready() }
}

/// Ready without metrics as well: the first ones come after minutes, and the pods run meanwhile.
pub(super) fn autoscaler(object: &Value) -> State {
    let counted = |state: State| {
        state.counted(count(object, "/status/currentReplicas"), count(object, "/status/desiredReplicas"))
    };
    if let Some(unable) = condition(object, "AbleToScale").filter(|condition| condition["status"] == "False") {
        return counted(State::in_progress("can-not-scale", words(unable)));
    }
    counted(match condition(object, "ScalingActive").filter(|condition| condition["status"] == "False") {
        // Scaled to 0 by hand: it is off, and nothing is wrong.
        Some(inactive) if inactive["reason"] == "ScalingDisabled" => State::ready(),
        Some(inactive) => State { reason: "no-metrics".to_owned(), message: words(inactive), ..State::ready() },
        None => State::ready(),
    })
}

/// Whether enough pods are healthy is what their workload tells; here it would be waited for twice.
pub(super) fn disruption_budget(object: &Value) -> State {
    let state = if is_behind(object) { State::in_progress("not-observed", "") } else { State::ready() };
    state.counted(count(object, "/status/currentHealthy"), count(object, "/status/desiredHealthy"))
}

pub(super) fn definition(object: &Value) -> State {
    match condition(object, "NamesAccepted").filter(|condition| condition["status"] == "False") {
        Some(refused) => State::failed("names-refused", words(refused)),
        None if has(object, "Established", "True") => State::ready(),
        None => State::in_progress("not-established", "the API server does not serve it yet"),
    }
}

pub(super) fn api_service(object: &Value) -> State {
    match condition(object, "Available") {
        Some(available) if available["status"] == "True" => State::ready(),
        Some(available) => State::in_progress("unavailable", words(available)),
        None => State::in_progress("unavailable", ""),
    }
}

/// Any other kind, by the conditions that controllers agree on. One without a status is ready as soon as it exists.
pub(super) fn other(object: &Value) -> State {
    let observes = !object["status"]["observedGeneration"].is_null();
    if observes && is_behind(object) {
        return State::in_progress("not-observed", "the controller has not seen the latest change yet");
    }
    if let Some(stalled) = condition(object, "Stalled").filter(|condition| condition["status"] == "True") {
        return State::failed("stalled", words(stalled));
    }
    if let Some(busy) = condition(object, "Reconciling").filter(|condition| condition["status"] == "True") {
        return State::in_progress("reconciling", words(busy));
    }
    match condition(object, "Ready") {
        Some(ready) if ready["status"] != "True" => State::in_progress("not-ready", words(ready)),
        // KEDA writes its conditions a moment after the object is there.
        None if is_scaled(object) => State::in_progress("not-observed", ""),
        _ => State::ready(),
    }
}

fn is_scaled(object: &Value) -> bool {
    object["kind"] == "ScaledObject"
        && object["apiVersion"].as_str().is_some_and(|version| version.starts_with("keda.sh/"))
}
