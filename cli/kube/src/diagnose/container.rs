//! What the status of a container tells.

use serde_json::Value;

use super::recorded::{list, quoted, text, time};
use super::{Finding, Reason, Recorded, image, probe, symptom};
use crate::ObjectRef;

pub(super) fn finding(
    recorded: &Recorded,
    owner: &ObjectRef,
    pod: &Value,
    named: &ObjectRef,
    status: &Value,
    initialising: bool,
) -> Option<Finding> {
    let name = text(&status["name"]);
    let at = |reason| Finding::new(reason, owner).on(named.clone()).in_container(name);
    let events = recorded.events(pod);
    let about =
        |reason: &str| events.iter().rev().copied().find(|event| event.reason() == reason && event.is_about(name));
    let waiting = &status["state"]["waiting"];
    match text(&waiting["reason"]) {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "ErrImageUnavailable" => return Some(image::refused(at, status, &events)),
        "CreateContainerConfigError" => {
            let message = text(&waiting["message"]);
            return Some(misconfigured(at, message).shown_by(about("Failed")));
        }
        "CreateContainerError" if !is_start_error(text(&waiting["message"])) => {
            let found = at(Reason::ContainerConfig).said(text(&waiting["message"]));
            return Some(found.shown_by(about("Failed")));
        }
        "ContainerCreating" | "PodInitializing" => return image::pulling(at, pod, status, &events),
        _ => {}
    }
    // What initialises, or belongs to a job, is to end.
    let may_end = initialising || matches!(text(&pod["spec"]["restartPolicy"]), "Never" | "OnFailure");
    if let Some(crashed) = crashed(recorded, at, named, status, &events, may_end) {
        return Some(crashed);
    }
    let unready = status["ready"] != true && !status["state"]["running"].is_null() && !initialising;
    if unready { probe::unready(recorded, at, named, status, &events) } else { None }
}

/// A container that has ended and should not have, or was killed.
fn crashed(
    recorded: &Recorded,
    at: impl Fn(Reason) -> Finding,
    named: &ObjectRef,
    status: &Value,
    events: &[super::recorded::Event<'_>],
    may_end: bool,
) -> Option<Finding> {
    let name = text(&status["name"]);
    let running = !status["state"]["running"].is_null();
    let now = &status["state"]["terminated"];
    let before = &status["lastState"]["terminated"];
    let ended = if now.is_null() { before } else { now };
    let waiting = &status["state"]["waiting"];
    let start_error = is_start_error(text(&waiting["message"]));
    if ended.is_null() && !start_error {
        return None;
    }
    // One that is up again and ready is no longer a matter.
    if (ended["exitCode"] == 0 && may_end) || status["ready"] == true {
        return None;
    }
    let restarts = status["restartCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    let crashes = if running { restarts } else { restarts.saturating_add(1) };
    let lines = recorded.log_lines(&named.name, name);
    let killed = probe::killed(events, name, time(&ended["startedAt"]));
    let message = text(&ended["message"]);
    let message = if message.is_empty() && start_error { text(&waiting["message"]) } else { message };
    let (reason, said) = match killed {
        _ if ended["reason"] == "OOMKilled" => (Reason::OutOfMemory, "killed because it ran out of memory".to_owned()),
        _ if is_start_error(message) || ended["reason"] == "StartError" => (start_refused(message), message.to_owned()),
        Some(killed) => killed,
        _ => symptom::told(lines, name, ended["exitCode"].as_i64()),
    };
    let exit_code = ended["exitCode"].as_i64().and_then(|code| i32::try_from(code).ok());
    let back_off = events.iter().rev().copied().find(|event| event.reason() == "BackOff" && event.is_about(name));
    let found = at(reason).said(said).since(time(&ended["finishedAt"])).shown_by(back_off);
    Some(Finding {
        exit_code,
        crashes: Some(crashes),
        log_lines: lines.to_vec(),
        seen: time(&ended["finishedAt"]),
        ..found
    })
}

/// The runtime could not start the program at all.
fn is_start_error(message: &str) -> bool {
    message.contains("runc create failed")
        || message.contains("OCI runtime")
        || message.contains("unable to start container process")
        || message.contains("executable file not found")
        || message.contains("exec format error")
}

fn start_refused(message: &str) -> Reason {
    if message.contains("exec format error") {
        Reason::WrongArchitecture
    } else if message.contains("permission denied") {
        Reason::PermissionDenied
    } else if message.contains("no such file or directory") || message.contains("not found") {
        Reason::EntrypointNotFound
    } else {
        Reason::CrashLoop
    }
}

/// `CreateContainerConfigError`: what the container is to be given is not there.
fn misconfigured(at: impl Fn(Reason) -> Finding, message: &str) -> Finding {
    let referenced = || {
        // `couldn't find key k in Secret ns/name`
        message.rsplit('/').next().unwrap_or_default().trim().to_owned()
    };
    let found = if message.contains("find key") && message.contains("in Secret") {
        at(Reason::SecretKeyMissing).named(referenced())
    } else if message.contains("find key") && message.contains("in ConfigMap") {
        at(Reason::ConfigMapKeyMissing).named(referenced())
    } else if message.contains("runAsNonRoot") {
        at(Reason::RunsAsRoot)
    } else {
        missing(message).map_or_else(|| at(Reason::ContainerConfig), |(reason, name)| at(reason).named(name))
    };
    found.said(message)
}

/// The secret or config map that a message misses.
pub(super) fn missing(message: &str) -> Option<(Reason, String)> {
    let after = |what: &str| message.split_once(what).and_then(|(_, rest)| quoted(rest)).map(ToOwned::to_owned);
    if message.contains("non-existent secret key") {
        return Some((Reason::SecretKeyMissing, "that it mounts".to_owned()));
    }
    if message.contains("non-existent config key") {
        return Some((Reason::ConfigMapKeyMissing, "that it mounts".to_owned()));
    }
    if !message.contains("not found") {
        return None;
    }
    let secret = after("secret ").map(|name| (Reason::SecretMissing, name));
    secret.or_else(|| after("configmap ").map(|name| (Reason::ConfigMapMissing, name)))
}

/// The image that a pod names for a container.
pub(super) fn image_of<'a>(pod: &'a Value, status: &'a Value) -> &'a str {
    let all = list(&pod["spec"]["initContainers"]).chain(list(&pod["spec"]["containers"]));
    let given =
        all.filter(|container| container["name"] == status["name"]).map(|container| text(&container["image"])).next();
    given.unwrap_or_else(|| text(&status["image"]))
}
