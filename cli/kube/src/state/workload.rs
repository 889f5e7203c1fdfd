//! What runs pods, and pods.

use serde_json::Value;

use super::conditions::{condition, has, is_behind, is_stale, words};
use super::{State, count};

pub(super) fn deployment(object: &Value) -> State {
    let wanted = replicas(object);
    let updated = count(object, "/status/updatedReplicas");
    let available = count(object, "/status/availableReplicas");
    let of_all = |state: State| state.counted(updated.min(available), wanted);
    if is_behind(object) {
        return of_all(behind());
    }
    if let Some(progressing) = condition(object, "Progressing")
        && progressing["reason"] == "ProgressDeadlineExceeded"
        && !is_stale(object, progressing)
    {
        return of_all(State::failed("progress-deadline", words(progressing)));
    }
    let total = count(object, "/status/replicas");
    if object["spec"]["paused"] == true && updated < wanted {
        return of_all(State::in_progress("paused", "the rollout is paused"));
    }
    of_all(if updated < wanted {
        State::in_progress("updating", format!("{updated} of {wanted} pods have the latest version"))
    } else if total > updated {
        State::in_progress("replacing", format!("{} old pods still exist", total - updated))
    } else if available < updated {
        State::in_progress("starting", format!("{available} of {updated} pods are available"))
    } else {
        State::ready()
    })
}

pub(super) fn stateful_set(object: &Value) -> State {
    let wanted = replicas(object);
    let ready = count(object, "/status/readyReplicas");
    let of_all = |state: State| state.counted(ready.min(wanted), wanted);
    if is_behind(object) {
        return of_all(behind());
    }
    let on_delete = object["spec"]["updateStrategy"]["type"] == "OnDelete";
    let partition = count(object, "/spec/updateStrategy/rollingUpdate/partition");
    let to_update = wanted.saturating_sub(partition);
    let revision = |key: &str| object["status"][key].as_str().unwrap_or_default();
    // When the rollout is complete the controller makes both revisions one and forgets to count: kubernetes#73492.
    let is_one_revision = revision("currentRevision") == revision("updateRevision");
    let updated = if is_one_revision { wanted } else { count(object, "/status/updatedReplicas") };
    of_all(if ready < wanted {
        State::in_progress("starting", format!("{ready} of {wanted} pods are ready"))
    } else if !on_delete && updated < to_update {
        State::in_progress("updating", format!("{updated} of {to_update} pods have the latest version"))
    } else if count(object, "/status/replicas") > wanted {
        State::in_progress("shrinking", "there are still more pods than wanted")
    } else {
        State::ready()
    })
}

pub(super) fn daemon_set(object: &Value) -> State {
    let wanted = count(object, "/status/desiredNumberScheduled");
    let updated = count(object, "/status/updatedNumberScheduled");
    let available = count(object, "/status/numberAvailable");
    let of_all = |state: State| state.counted(updated.min(available), wanted);
    of_all(if is_behind(object) {
        behind()
    } else if updated < wanted {
        State::in_progress("updating", format!("{updated} of {wanted} pods have the latest version"))
    } else if available < wanted {
        State::in_progress("starting", format!("{available} of {wanted} pods are available"))
    } else {
        State::ready()
    })
}

pub(super) fn replica_set(object: &Value) -> State {
    let wanted = replicas(object);
    let available = count(object, "/status/availableReplicas");
    let of_all = |state: State| state.counted(available, wanted);
    if is_behind(object) {
        return of_all(behind());
    }
    let refused = condition(object, "ReplicaFailure").filter(|condition| condition["status"] == "True");
    of_all(match refused {
        Some(refused) => State::in_progress("create-refused", words(refused)),
        None if available < wanted => {
            State::in_progress("starting", format!("{available} of {wanted} pods are available"))
        }
        None => State::ready(),
    })
}

/// Ready means complete: what a job is made for.
pub(super) fn job(object: &Value) -> State {
    let wanted = object["spec"]["completions"].as_u64().unwrap_or(1);
    let of_all = |state: State| state.counted(count(object, "/status/succeeded"), wanted);
    if let Some(failed) = condition(object, "Failed").filter(|condition| condition["status"] == "True") {
        return of_all(State::failed("job-failed", words(failed)));
    }
    of_all(if has(object, "Complete", "True") {
        State { reason: "complete".to_owned(), ..State::ready() }
    } else if object["spec"]["suspend"] == true {
        State::in_progress("suspended", "the job is suspended")
    } else if count(object, "/status/active") > 0 {
        State::in_progress("running", "")
    } else {
        State::in_progress("starting", "")
    })
}

pub(super) fn pod(object: &Value) -> State {
    let wanted = object["spec"]["containers"].as_array().map_or(0, Vec::len) as u64;
    let statuses = object["status"]["containerStatuses"].as_array();
    let ready = statuses.map_or(0, |all| all.iter().filter(|status| status["ready"] == true).count()) as u64;
    let of_all = |state: State| state.counted(ready, wanted);
    let status = &object["status"];
    of_all(match status["phase"].as_str().unwrap_or_default() {
        "Succeeded" => State { reason: "complete".to_owned(), ..State::ready() },
        "Failed" => {
            let evicted = status["reason"] == "Evicted";
            State::failed(if evicted { "evicted" } else { "pod-failed" }, words(status))
        }
        _ if has(object, "Ready", "True") => State::ready(),
        _ => {
            let unscheduled = condition(object, "PodScheduled").filter(|condition| condition["status"] == "False");
            match unscheduled {
                Some(unscheduled) => State::in_progress("unschedulable", words(unscheduled)),
                None if has(object, "PodScheduled", "True") => State::in_progress("starting", waiting(status)),
                None => State::in_progress("unscheduled", "no node was chosen yet"),
            }
        }
    })
}

/// What the first container that waits is waiting for: `ContainerCreating`, `CrashLoopBackOff`.
fn waiting(status: &Value) -> String {
    let all =
        ["initContainerStatuses", "containerStatuses"].into_iter().filter_map(|key| status[key].as_array()).flatten();
    let reasons = all.filter_map(|status| status["state"]["waiting"]["reason"].as_str());
    // `PodInitializing` only says that an init container is not done.
    reasons.filter(|reason| *reason != "PodInitializing").map(ToOwned::to_owned).next().unwrap_or_default()
}

fn behind() -> State {
    State::in_progress("not-observed", "the controller has not seen the latest change yet")
}

/// Absent means 1.
fn replicas(object: &Value) -> u64 {
    object["spec"]["replicas"].as_u64().unwrap_or(1)
}
