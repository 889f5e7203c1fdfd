//! A Kubernetes API in memory, for tests: the parts of its behaviour that this package depends on, as the real one has
//! them.
//!
//! It has server-side apply with owners of fields, conflicts and removal of what is no longer applied; resource versions
//! that only a change moves; lists by label and field; deletion with preconditions, finalizers and dependents; watches;
//! both kinds of discovery. It has no controllers: a test says what they would have done ([`ApiServer::edit`],
//! [`ApiServer::put`]). And it can be told to fail ([`Fault`]).
//!
//! ```
//! # async fn example() {
//! let server = card_kube::testing::ApiServer::new();
//! let client = server.client("default");
//! # }
//! ```

mod discovery;
mod fault;
mod fields;
mod kinds;
#[cfg(test)]
mod mutation;
mod portforward;
mod request;
mod routes;
mod server_side;
mod store;
mod watch;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use serde_json::Value;
use tokio::sync::broadcast;

pub use self::fault::Fault;
use self::fault::Faults;
pub use self::kinds::Kind;
#[cfg(test)]
pub(crate) use self::mutation::{any_json, changed};
pub use self::request::Seen;
use self::store::{Change, Store};

/// The server; clones are the same one.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
}

struct Shared {
    store: Mutex<Store>,
    changes: broadcast::Sender<Change>,
    faults: Mutex<Faults>,
    seen: Mutex<Vec<Seen>>,
}

/// A server that listens on loopback, until it is dropped.
pub struct Listening {
    /// Such as `http://127.0.0.1:40123`.
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listening {
    /// A kubeconfig with this server as the context of that name.
    #[must_use]
    pub fn kubeconfig(&self, context: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {context}\n\
             clusters:\n- name: {context}\n  cluster:\n    server: {url}\n\
             users:\n- name: {context}\n  user: {{}}\n\
             contexts:\n- name: {context}\n  context: {{cluster: {context}, user: {context}}}\n",
            url = self.url
        )
    }
}

impl Default for ApiServer {
    fn default() -> Self {
        Self::new()
    }
}

impl ApiServer {
    /// A new cluster with the namespaces `default` and `kube-system`.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            store: Mutex::new(Store::new()),
            changes: broadcast::Sender::new(4096),
            faults: Mutex::default(),
            seen: Mutex::default(),
        };
        let server = Self { shared: Arc::new(shared) };
        for name in ["default", "kube-system"] {
            server.put(
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "status": {"phase": "Active"}}),
            );
        }
        server
    }

    /// As a service; `kube::Client::new` takes it.
    pub fn router(&self) -> Router {
        Router::new().fallback(routes::handle).with_state(self.clone())
    }

    /// A client of it, without a socket.
    #[must_use]
    pub fn client(&self, namespace: &str) -> kube::Client {
        kube::Client::new(self.router(), namespace)
    }

    /// Listens on a free port of loopback: for what needs a URL, or websockets.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn listen(&self) -> Listening {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = self.router();
        let task = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, router).await;
        });
        Listening { url, task }
    }

    /// Serves one more kind: what installing a CRD does.
    pub fn serve_kind(&self, kind: Kind) {
        self.store().kinds.push(kind);
    }

    /// Answers discovery in the way of servers before 1.26 only.
    pub fn without_aggregated_discovery(&self) {
        self.store().aggregated = false;
    }

    /// What is stored under `kind`, such as `Deployment` or `Ingress`, in a namespace (None: of the whole cluster).
    #[must_use]
    pub fn get(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<Value> {
        let store = self.store();
        store.objects.iter().find(|(key, _)| key.is(kind, namespace, name)).map(|(_, object)| object.clone())
    }

    /// Everything of a kind.
    #[must_use]
    pub fn all(&self, kind: &str) -> Vec<Value> {
        self.store().objects.iter().filter(|(key, _)| key.kind == kind).map(|(_, object)| object.clone()).collect()
    }

    /// Creates or replaces an object as it is, owned by the manager `test`.
    ///
    /// # Panics
    /// Its kind is not served, or it has no name.
    pub fn put(&self, object: Value) {
        self.change(|store| store.put(object, "test", "").expect("a kind that is served"));
    }

    /// Changes an object as a controller or a person would, under the name of that manager; `subresource` is `scale`,
    /// `status`, or empty.
    ///
    /// # Panics
    /// There is no such object.
    pub fn edit(
        &self,
        of: (&str, Option<&str>, &str),
        manager: &str,
        subresource: &str,
        edit: impl FnOnce(&mut Value),
    ) {
        let mut object = self.get(of.0, of.1, of.2).expect("an object to edit");
        edit(&mut object);
        self.change(|store| store.put(object, manager, subresource).expect("it was there"));
    }

    /// Removes an object at once, whatever its finalizers say.
    pub fn remove(&self, kind: &str, namespace: Option<&str>, name: &str) {
        self.change(|store| store.remove(kind, namespace, name));
    }

    /// What was asked so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("no test panics while it holds this").clone()
    }

    /// The lines of a container's log: what `logs` answers.
    pub fn log(&self, namespace: &str, pod: &str, container: &str, lines: &str) {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        self.store().logs.insert(key, lines.to_owned());
    }

    /// What listens at a port of a pod: where a forwarded port leads.
    pub fn listens(&self, namespace: &str, pod: &str, port: u16, at: SocketAddr) {
        self.store().listens.insert((namespace.to_owned(), pod.to_owned(), port), at);
    }

    /// The `nth` request from now (the first is 0) meets this.
    pub fn fail(&self, nth: usize, fault: Fault) {
        self.faults().fail(nth, fault);
    }

    /// The first request from now on whose method and path contain these meets this.
    pub fn fail_on(&self, method: &str, path: &str, fault: Fault) {
        self.faults().fail_on(method, path, fault);
    }

    /// Each request from now on whose path contains this meets this.
    pub fn fail_always(&self, path: &str, fault: Fault) {
        self.faults().fail_always(path, fault);
    }

    /// After so many more requests, none is answered: what a client sees last that is killed there.
    pub fn stop_after(&self, requests: usize) {
        self.faults().stop_after(requests);
    }

    /// Answers again.
    pub fn resume(&self) {
        *self.faults() = Faults::default();
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock().expect("no test panics while it holds this")
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults.lock().expect("no test panics while it holds this")
    }

    /// Changes the store and tells those who watch, in order.
    fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.store();
        let before = store.history.len();
        let result = change(&mut store);
        for change in &store.history[before..] {
            // Nobody may watch.
            let _ = self.shared.changes.send(change.clone());
        }
        result
    }
}

#[cfg(test)]
mod tests;
