//! What was read from a cluster, and the ways through it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ObjectRef;

/// What was read from a cluster at one moment: workloads, replica sets, pods, claims, nodes, events, and ends of logs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// As the API server answers them, each with `apiVersion` and `kind`.
    pub objects: Vec<Arc<Value>>,
    /// The ends of logs, of containers that ended or do not get ready.
    #[serde(default)]
    pub logs: Vec<LogTail>,
}

/// The last lines of a container's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTail {
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// The newest last; without control characters.
    pub lines: Vec<String>,
}

/// An event of the cluster about an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'a>(&'a Value);

impl<'a> Event<'a> {
    pub(super) fn reason(self) -> &'a str {
        text(&self.0["reason"])
    }

    pub(super) fn message(self) -> &'a str {
        text(&self.0["message"])
    }

    pub(super) fn words(self) -> String {
        let message = self.message().split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{}: {message}", self.reason())
    }

    pub(super) fn first(self) -> Option<Timestamp> {
        time(&self.0["firstTimestamp"]).or_else(|| time(&self.0["eventTime"]))
    }

    /// Old and new ways to say how often and when last are both in use.
    pub(super) fn last(self) -> Option<Timestamp> {
        [&self.0["series"]["lastObservedTime"], &self.0["lastTimestamp"], &self.0["eventTime"]]
            .into_iter()
            .filter_map(time)
            .max()
    }

    /// Whether it is about this container. One that is about the whole pod is not.
    pub(super) fn is_about(self, container: &str) -> bool {
        let path = text(&self.0["involvedObject"]["fieldPath"]);
        path.strip_suffix('}').is_some_and(|path| path.ends_with(&format!("{{{container}")))
    }
}

impl Recorded {
    /// All objects of a kind.
    pub(super) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().map(AsRef::as_ref).filter(move |object: &&Value| object["kind"] == kind)
    }

    /// The object of this name. Versions of one group may differ.
    #[must_use]
    pub fn get<'a>(&'a self, wanted: &'a ObjectRef) -> Option<&'a Value> {
        self.of_kind(&wanted.kind).find(|object| {
            object["metadata"]["name"] == wanted.name.as_str()
                && object["metadata"]["namespace"].as_str() == wanted.namespace.as_deref()
        })
    }

    /// Events about an object, the newest last.
    pub(super) fn events<'a>(&'a self, object: &'a Value) -> Vec<Event<'a>> {
        let metadata = &object["metadata"];
        // By uid, because a namesake that was deleted has events as well; those of nodes carry the name for a uid.
        let is_about = |event: &&Value| {
            let about = &event["involvedObject"];
            if about["uid"].is_string() && metadata["uid"].is_string() {
                about["uid"] == metadata["uid"]
            } else {
                about["name"] == metadata["name"] && about["kind"] == object["kind"]
            }
        };
        let mut events: Vec<Event<'_>> = self.of_kind("Event").filter(is_about).map(Event).collect();
        events.sort_by_key(|event| event.last());
        events
    }

    /// The pods that tell about the newest version of a workload; none that are going away.
    pub(crate) fn pods_of<'a>(&'a self, owner: &ObjectRef, object: &'a Value) -> Vec<&'a Value> {
        // What older pods say is about what is being replaced.
        let owning = if owner.kind == "Deployment" { self.newest_replica_set(object) } else { Some(object) };
        let Some(owning) = owning else { return Vec::new() };
        let alive = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
        self.of_kind("Pod").filter(|pod| is_owned(pod, owning)).filter(alive).collect()
    }

    /// The replica set of the newest version of a deployment. None while its controller has not made it.
    pub(super) fn newest_replica_set<'a>(&'a self, deployment: &Value) -> Option<&'a Value> {
        let generation = deployment["metadata"]["generation"].as_i64();
        if deployment["status"]["observedGeneration"].as_i64() < generation {
            return None;
        }
        let revision = |object: &Value| {
            text(&object["metadata"]["annotations"]["deployment.kubernetes.io/revision"]).parse::<u64>().unwrap_or(0)
        };
        let newest =
            self.of_kind("ReplicaSet").filter(|set| is_owned(set, deployment)).max_by_key(|set| revision(set))?;
        (revision(newest) >= revision(deployment)).then_some(newest)
    }

    /// The end of a container's log.
    pub(super) fn log_lines(&self, pod: &str, container: &str) -> &[String] {
        let tail = self.logs.iter().rev().find(|tail| tail.pod == pod && tail.container == container);
        tail.map_or(&[], |tail| &tail.lines)
    }
}

/// Whether an owner reference names that very object.
pub(super) fn is_owned(object: &Value, owner: &Value) -> bool {
    let references = object["metadata"]["ownerReferences"].as_array();
    let uid = &owner["metadata"]["uid"];
    uid.is_string() && references.is_some_and(|all| all.iter().any(|reference| reference["uid"] == *uid))
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// An empty iterator where it is no list.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What stands between the first quotes, such as the name in `secret "x" not found`.
pub(super) fn quoted(text: &str) -> Option<&str> {
    text.split('"').nth(1).filter(|name| !name.is_empty())
}
