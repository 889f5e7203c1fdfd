//! Which pod the next connection goes to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, utils::Backoff};
use kube::{Client, ResourceExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::events::ForwardEvent;
use super::target::Route;

/// A pod that could not be reached is not chosen again so soon: its node may be dead, which the cluster learns late.
const AVOIDED: Duration = Duration::from_secs(3);

pub(super) struct Choice {
    pub(super) pods: Api<Pod>,
    route: Route,
    known: Mutex<Known>,
    changed: Notify,
    told: mpsc::Sender<ForwardEvent>,
}

#[derive(Default)]
struct Known {
    /// By name: the port to reach, of those that are ready.
    ready: BTreeMap<String, u16>,
    listing: Option<BTreeMap<String, u16>>,
    avoided: BTreeMap<String, Instant>,
    current: Option<String>,
    /// Whether a pod was ever told.
    began: bool,
    waiting: bool,
}

impl Choice {
    pub(super) fn new(client: Client, namespace: &str, route: Route, told: mpsc::Sender<ForwardEvent>) -> Self {
        let pods = Api::namespaced(client, namespace);
        Self { pods, route, known: Mutex::default(), changed: Notify::new(), told }
    }

    /// Keeps up with the cluster; never ends.
    pub(super) async fn watch(&self) {
        let config = watcher::Config::default().labels(&self.route.selector).timeout(30);
        let mut events = std::pin::pin!(watcher(self.pods.clone(), config).backoff(Again));
        let mut broken = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    broken = false;
                    self.take(event);
                }
                Err(error) if !broken => {
                    broken = true;
                    self.tell(ForwardEvent::Unwatched { message: crate::cluster::reason(&error) });
                }
                Err(_) => {}
            }
        }
    }

    /// The pod for a connection; waits for one until the moment.
    pub(super) async fn pod(&self, until: Instant) -> Option<(String, u16)> {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Before looking: a pod that comes between looking and waiting is not missed.
            changed.as_mut().enable();
            if let Some(found) = self.known().best() {
                return Some(found);
            }
            let next = self.known().avoided.values().min().copied().unwrap_or(until).min(until);
            if Instant::now() >= until {
                return None;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// The pod was chosen and could not be reached.
    pub(super) fn avoid(&self, pod: &str) {
        self.known().avoided.insert(pod.to_owned(), Instant::now() + AVOIDED);
    }

    pub(super) fn tell(&self, event: ForwardEvent) {
        // Nobody has to listen.
        let _ = self.told.try_send(event);
    }

    fn take(&self, event: Event<Pod>) {
        let mut known = self.known();
        match event {
            Event::Init => known.listing = Some(BTreeMap::new()),
            Event::InitApply(pod) => {
                if let Some(port) = self.usable(&pod) {
                    known.listing.get_or_insert_default().insert(pod.name_any(), port);
                }
            }
            Event::InitDone => known.ready = known.listing.take().unwrap_or_default(),
            Event::Apply(pod) => match self.usable(&pod) {
                Some(port) => {
                    known.ready.insert(pod.name_any(), port);
                }
                None => {
                    known.ready.remove(&pod.name_any());
                }
            },
            Event::Delete(pod) => {
                known.ready.remove(&pod.name_any());
            }
        }
        let told = if known.listing.is_some() { None } else { known.moved() };
        drop(known);
        if let Some(event) = told {
            self.tell(event);
        }
        self.changed.notify_waiters();
    }

    /// The port of a pod that is ready and stays.
    fn usable(&self, pod: &Pod) -> Option<u16> {
        let conditions = pod.status.as_ref()?.conditions.as_ref()?;
        let ready = conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        (ready && pod.metadata.deletion_timestamp.is_none()).then(|| self.route.port_of(pod))?
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // What it holds is whole after each statement, so a panic elsewhere spoils nothing.
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Known {
    /// The one before, if it is still good; otherwise any.
    fn best(&mut self) -> Option<(String, u16)> {
        let now = Instant::now();
        self.avoided.retain(|_, until| *until > now);
        let good = |name: &String| !self.avoided.contains_key(name);
        let current = self.current.as_ref().filter(|name| good(name)).and_then(|name| self.ready.get_key_value(name));
        let found = current.or_else(|| self.ready.iter().find(|(name, _)| good(name)));
        found.map(|(name, port)| (name.clone(), *port))
    }

    /// What to tell after a change.
    fn moved(&mut self) -> Option<ForwardEvent> {
        if self.current.as_ref().is_some_and(|name| self.ready.contains_key(name)) {
            return None;
        }
        let gone = self.current.take();
        let Some(pod) = self.ready.keys().next().cloned() else {
            let first = !std::mem::replace(&mut self.waiting, true);
            return first.then_some(ForwardEvent::Waiting { gone });
        };
        self.current = Some(pod.clone());
        self.waiting = false;
        let began = std::mem::replace(&mut self.began, true);
        Some(if began { ForwardEvent::Back { pod } } else { ForwardEvent::To { pod } })
    }
}

/// Somebody waits in front of the port.
struct Again;

impl Iterator for Again {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(500))
    }
}

impl Backoff for Again {
    fn reset(&mut self) {}
}
