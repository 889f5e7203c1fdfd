//! What the pods of the Job are at, in words: pure functions over what the API server says of them.

use serde_json::Value;

use super::manifest::CONTAINER;

/// The number of the generator that a pod is, from 1.
pub(super) fn number(job: &str, pod: &str) -> Option<u64> {
    let (index, _) = pod.strip_prefix(job)?.strip_prefix('-')?.split_once('-')?;
    index.parse::<u64>().ok()?.checked_add(1)
}

/// Where a pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// It did not begin to run; what it waits for, if that is said.
    Starting(Option<String>),
    /// It runs.
    Running,
    /// It ended, and how.
    Ended(String),
}

/// Where this one is.
pub(super) fn at(pod: &Value) -> At {
    let status = &pod["status"];
    let text = |value: &Value| value.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let containers = status["containerStatuses"].as_array();
    let state = containers.and_then(|all| all.iter().find(|one| one["name"] == CONTAINER)).map(|one| &one["state"]);
    if let Some(terminated) = state.map(|state| &state["terminated"]).filter(|ended| ended.is_object()) {
        let reason = text(&terminated["reason"]);
        let reason =
            if matches!(reason.as_str(), "" | "Error" | "Completed") { String::new() } else { format!(" ({reason})") };
        let evicted = text(&status["reason"]);
        let pod = if evicted.is_empty() {
            String::new()
        } else {
            format!("; its pod: {evicted}, {}", text(&status["message"]))
        };
        return At::Ended(format!("its container exited with code {}{reason}{pod}", terminated["exitCode"]));
    }
    match status["phase"].as_str() {
        Some(phase @ ("Failed" | "Succeeded")) => {
            let why = [text(&status["reason"]), text(&status["message"])];
            let why = why.iter().filter(|why| !why.is_empty()).map(String::as_str).collect::<Vec<_>>().join(", ");
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            At::Ended(format!("its pod is {phase}{why}"))
        }
        _ if state.is_some_and(|state| state["running"].is_object()) => At::Running,
        _ => At::Starting(waiting(status, state)),
    }
}

fn waiting(status: &Value, state: Option<&Value>) -> Option<String> {
    let reason = |value: &Value| value["reason"].as_str().map(str::to_owned);
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    let scheduled = conditions.find(|one| one["type"] == "PodScheduled");
    let unscheduled = scheduled.filter(|one| one["status"] == "False").and_then(reason);
    unscheduled.or_else(|| state.and_then(|state| reason(&state["waiting"])))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(state: Value) -> Value {
        json!({"status": {"phase": "Running", "containerStatuses": [{"name": CONTAINER, "state": state}]}})
    }

    #[test]
    fn a_pods_number_is_in_its_name() {
        let job = "loadtest-091a2b3c4d5e";
        for (pod, number_of) in [
            ("loadtest-091a2b3c4d5e-0-x7k2p", Some(1)),
            ("loadtest-091a2b3c4d5e-41-x7k2p", Some(42)),
            ("loadtest-091a2b3c4d5e-x7k2p", None),
            ("loadtest-other-0-x7k2p", None),
            ("loadtest-091a2b3c4d5e", None),
            ("loadtest-091a2b3c4d5e-99999999999999999999-x", None),
        ] {
            assert_eq!(number(job, pod), number_of, "{pod}");
        }
    }

    #[test]
    fn how_a_pod_ended_is_said() {
        let ended = |state| match at(&pod(state)) {
            At::Ended(how) => how,
            other => format!("{other:?}"),
        };
        let terminated = |code: i32, reason: &str| json!({"terminated": {"exitCode": code, "reason": reason}});
        assert_eq!(ended(terminated(0, "Completed")), "its container exited with code 0");
        assert_eq!(ended(terminated(4, "Error")), "its container exited with code 4");
        assert_eq!(ended(terminated(137, "OOMKilled")), "its container exited with code 137 (OOMKilled)");
        let evicted =
            json!({"status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on\nmemory."}});
        assert_eq!(at(&evicted), At::Ended("its pod is Failed: Evicted, The node was low on memory.".to_owned()));
    }

    #[test]
    fn what_a_pod_waits_for_is_said() {
        assert_eq!(at(&pod(json!({"running": {}}))), At::Running);
        assert_eq!(at(&json!({})), At::Starting(None));
        let condition = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]);
        let unschedulable = json!({"status": {"phase": "Pending", "conditions": condition}});
        assert_eq!(at(&unschedulable), At::Starting(Some("Unschedulable".to_owned())));
        let conditions = json!([{"type": "PodScheduled", "status": "True"}]);
        let mut pulling = pod(json!({"waiting": {"reason": "ImagePullBackOff"}}));
        pulling["status"]["conditions"] = conditions;
        assert_eq!(at(&pulling), At::Starting(Some("ImagePullBackOff".to_owned())));
    }
}
