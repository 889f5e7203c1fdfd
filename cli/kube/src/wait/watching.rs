//! The streams: which are needed, and what they bring.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, discovery};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Awaited;
use crate::diagnose::LogTail;
use crate::state::is_settled_at_once;

/// The server ends each stream after this long; one that is silent for five seconds more is dead.
const STREAM_SECONDS: u32 = 30;
const AGAIN: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// What is different.
#[derive(Debug)]
pub(super) enum Change {
    /// A stream begins anew: what it listed before may be gone.
    Begins(usize),
    /// An object of the list that a stream begins with.
    Listed(usize, Arc<Value>),
    /// The list is complete.
    Synced(usize),
    /// An object is there, or different.
    Put(usize, Arc<Value>),
    /// An object is gone.
    Gone(usize, Arc<Value>),
    /// A stream broke or can't be had; it is tried again.
    Broken(usize),
    /// The cluster will not tell what it must.
    Refused(String),
    /// The API server answered, its clock being ahead of ours by so many milliseconds, or it did not.
    Pulse(Result<Option<i64>, String>),
    /// The end of a log, or that there is none.
    Tail(String, Option<LogTail>),
}

/// One kind in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Watch {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    /// Without it there is no verdict. What only explains may be forbidden.
    pub(super) needed: bool,
}

pub(super) struct Watches {
    client: Client,
    plan: Vec<Watch>,
    changes: UnboundedSender<Change>,
    // Dropping it ends them.
    tasks: JoinSet<()>,
}

impl Watches {
    pub(super) fn start(client: &Client, awaited: &[Awaited], changes: UnboundedSender<Change>) -> Self {
        let mut watches = Self { client: client.clone(), plan: plan(awaited), changes, tasks: JoinSet::new() };
        watches.restart();
        watches
    }

    pub(super) fn plan(&self) -> &[Watch] {
        &self.plan
    }

    pub(super) fn restart(&mut self) {
        self.tasks = JoinSet::new();
        for (index, watch) in self.plan.iter().enumerate() {
            self.tasks.spawn(follow(self.client.clone(), watch.clone(), index, self.changes.clone()));
        }
    }
}

fn plan(awaited: &[Awaited]) -> Vec<Watch> {
    let objects = awaited.iter().map(|one| &one.object);
    let of_state: Vec<_> = objects.filter(|object| !is_settled_at_once(&object.group, &object.kind)).collect();
    let mut needed: BTreeSet<Watch> = BTreeSet::new();
    for object in &of_state {
        needed.insert(Watch {
            group: object.group.clone(),
            version: object.version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            needed: true,
        });
    }
    let explaining = |group: &str, kind: &str, namespace: Option<&String>| Watch {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.cloned(),
        needed: false,
    };
    let namespaces: BTreeSet<&String> = of_state.iter().filter_map(|object| object.namespace.as_ref()).collect();
    let mut plan: Vec<Watch> = needed.into_iter().collect();
    let mut add = |watch: Watch| {
        let there =
            |one: &Watch| (&one.group, &one.kind, &one.namespace) == (&watch.group, &watch.kind, &watch.namespace);
        if !plan.iter().any(there) {
            plan.push(watch);
        }
    };
    for namespace in &namespaces {
        for (group, kind) in [("", "Pod"), ("", "Event"), ("apps", "ReplicaSet"), ("", "PersistentVolumeClaim")] {
            add(explaining(group, kind, Some(namespace)));
        }
    }
    if !namespaces.is_empty() {
        add(explaining("", "Node", None));
    }
    plan
}

async fn follow(client: Client, watch: Watch, index: usize, changes: UnboundedSender<Change>) {
    let resource = resource(&client, &watch, index, &changes).await;
    let api: Api<DynamicObject> = match &watch.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let config = watcher::Config::default().timeout(STREAM_SECONDS);
    let tries = Again::default();
    let mut stream = std::pin::pin!(watcher(api, config).backoff(tries.clone()));
    let value = |object: DynamicObject| Arc::new(value(object, &resource));
    let mut synced = false;
    while let Some(event) = stream.next().await {
        let change = match event {
            Ok(watcher::Event::Init) => Change::Begins(index),
            Ok(watcher::Event::InitApply(object)) => Change::Listed(index, value(object)),
            Ok(watcher::Event::InitDone) => {
                synced = true;
                tries.succeeded();
                Change::Synced(index)
            }
            Ok(watcher::Event::Apply(object)) => Change::Put(index, value(object)),
            Ok(watcher::Event::Delete(object)) => Change::Gone(index, value(object)),
            Err(error) => match refusal(&error).filter(|_| !synced) {
                Some(message) if watch.needed => {
                    Change::Refused(format!("{} can't be watched: {message}", resource.plural))
                }
                // Who may not look at it now may not in a moment either.
                Some(_) => {
                    let _ = changes.send(Change::Broken(index));
                    return;
                }
                None => {
                    tracing::debug!(kind = watch.kind, %error, "a watch broke and is tried again");
                    Change::Broken(index)
                }
            },
        };
        if changes.send(change).is_err() {
            return;
        }
    }
}

/// Built-in kinds are known; others are asked for until they are served.
async fn resource(client: &Client, watch: &Watch, index: usize, changes: &UnboundedSender<Change>) -> ApiResource {
    let kind = GroupVersionKind::gvk(&watch.group, &watch.version, &watch.kind);
    if matches!(watch.group.as_str(), "" | "apps" | "batch" | "policy" | "autoscaling" | "networking.k8s.io") {
        return ApiResource::from_gvk(&kind);
    }
    let mut again = Again::default();
    loop {
        match discovery::pinned_kind(client, &kind).await {
            Ok((resource, _)) => return resource,
            Err(error) => {
                tracing::debug!(kind = watch.kind, error = crate::cluster::reason(&error), "the kind is not served yet")
            }
        }
        let _ = changes.send(Change::Broken(index));
        sleep(again.next().unwrap_or(AGAIN[0])).await;
    }
}

/// Items of a list come without their kind.
fn value(object: DynamicObject, resource: &ApiResource) -> Value {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("apiVersion".to_owned(), resource.api_version.clone().into());
        fields.insert("kind".to_owned(), resource.kind.clone().into());
    }
    value
}

/// What the server says to somebody who may not.
fn refusal(error: &watcher::Error) -> Option<String> {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status,
        _ => return None,
    };
    matches!(status.code, 401 | 403).then(|| status.message.clone())
}

/// Back at once, then every two seconds: somebody is looking.
#[derive(Clone, Default)]
struct Again(Arc<AtomicUsize>);

impl Again {
    fn succeeded(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Iterator for Again {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let tries = self.0.fetch_add(1, Ordering::Relaxed);
        Some(AGAIN[tries.min(AGAIN.len() - 1)])
    }
}

impl Backoff for Again {
    /// The library says so before each list, whatever comes of it.
    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_that_succeeded_makes_the_next_pause_short_again() {
        let tries = Again::default();
        let mut again = tries.clone();
        let mut pause = || {
            again.reset();
            again.next().unwrap()
        };
        assert_eq!([pause(), pause(), pause(), pause(), pause()], [AGAIN[0], AGAIN[1], AGAIN[2], AGAIN[3], AGAIN[3]]);
        tries.succeeded();
        assert_eq!(pause(), AGAIN[0]);
    }
}
