//! Whose logs: the pods that are there, and those that come.

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{Api, ListParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use super::container::{Source, follow, read_once};
use super::{LogError, LogItem, LogOptions};
use crate::cluster::reason;

type Items = Sender<Result<LogItem, LogError>>;

const COMPONENT: &str = "app.kubernetes.io/name";

pub(super) async fn read(client: Client, namespace: &str, options: &LogOptions, items: &Items) -> Result<(), LogError> {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let chosen = selector(options);
    let listed = pods.list(&ListParams::default().labels(&chosen)).await;
    let listed =
        listed.map_err(|source| LogError::Pods { namespace: namespace.to_owned(), source: Box::new(source) })?;
    let mut reading = JoinSet::new();
    if !options.follow || options.previous {
        for source in listed.iter().flat_map(|pod| sources(pod, options)) {
            reading.spawn(read_once(pods.clone(), source, options.clone(), items.clone()));
        }
        while reading.join_next().await.is_some() {}
        return Ok(());
    }
    let mut followed = HashSet::new();
    let mut add = |pod: &Pod, is_new: bool, reading: &mut JoinSet<()>| {
        for source in sources(pod, options) {
            if followed.insert(source.key()) {
                // Of a pod that came while we look, nothing may be missed; of those that were here, what was asked for.
                let wanted = if is_new { LogOptions { tail: None, ..options.clone() } } else { options.clone() };
                reading.spawn(follow(pods.clone(), source, wanted, items.clone()));
            }
        }
    };
    for pod in &listed {
        add(pod, false, &mut reading);
    }
    let config = watcher::Config::default().labels(&chosen).timeout(30);
    let mut changes = std::pin::pin!(watcher(pods.clone(), config).default_backoff().applied_objects());
    let mut broken = false;
    loop {
        while reading.try_join_next().is_some() {}
        tokio::select! {
            () = items.closed() => return Ok(()),
            change = changes.next() => match change {
                Some(Ok(pod)) => {
                    broken = false;
                    add(&pod, true, &mut reading);
                }
                Some(Err(error)) if !broken => {
                    broken = true;
                    let told = format!("the pods can't be watched, retrying: {}", reason(&error));
                    if items.send(Ok(LogItem::Notice(told))).await.is_err() {
                        return Ok(());
                    }
                }
                Some(Err(_)) => {}
                // The watch never ends by itself; if it did, a loop without a pause would follow.
                None => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }
}

fn selector(options: &LogOptions) -> String {
    let components = match options.components.as_slice() {
        [] => String::new(),
        all => format!("{COMPONENT} in ({})", all.join(",")),
    };
    [components, options.selector.clone()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",")
}

/// The containers of a pod that have run, or will: one that never started has no log and may never have.
fn sources(pod: &Pod, options: &LogOptions) -> Vec<Source> {
    let status = pod.status.clone().unwrap_or_default();
    let all = [status.init_container_statuses, status.container_statuses].into_iter().flatten().flatten();
    let component = pod.labels().get(COMPONENT).cloned().unwrap_or_else(|| pod.name_any());
    let wanted = all.filter(|status| if options.previous { status.restart_count > 0 } else { has_run(status) });
    wanted
        .map(|status| Source {
            uid: pod.uid().unwrap_or_default(),
            pod: pod.name_any(),
            container: status.name,
            component: component.clone(),
        })
        .collect()
}

fn has_run(status: &ContainerStatus) -> bool {
    let state = status.state.as_ref();
    let last = status.last_state.as_ref();
    state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
        || last.is_some_and(|last| last.terminated.is_some())
}
