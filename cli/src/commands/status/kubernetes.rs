//! What of a platform is in a cluster, and how far it is there.

use std::time::Duration;

use card_core::telemetry::mask::mask;
use card_kube::ObjectRef;
use card_kube::cluster::{Cluster, reason};
use card_kube::diagnose::Finding;
use card_kube::state::{Phase, State};
use card_kube::wait::{Awaited, WaitOptions, wait};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use kube::api::{Api, ListParams};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::kubernetes::{Deployment as Deployed, SERVER_SERVICE};
use crate::output::Paint;

/// Where a platform is deployed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Place {
    context: String,
    namespace: String,
    server: String,
    overlay: Option<String>,
    /// What runs pods there.
    objects: Vec<Object>,
}

#[derive(Debug, Clone, Serialize)]
struct Object {
    #[serde(skip)]
    object: ObjectRef,
    name: String,
    #[serde(flatten)]
    state: State,
    /// What is wrong with it, in one line; none if nothing is known to be.
    why: Option<String>,
}

/// How long the cluster is asked why something is not ready: what there is to know is there at the first look.
const LOOK: Duration = Duration::from_secs(2);

/// Says of what is not ready why it is not, as `up` would.
async fn explain(objects: &mut [Object], cluster: &Cluster) {
    let awaited: Vec<_> = objects
        .iter()
        .filter(|object| !object.state.is_ready())
        .map(|object| Awaited::new(object.object.clone()))
        .collect();
    if awaited.is_empty() {
        return;
    }
    let seen = CancellationToken::new();
    let options = WaitOptions { cancel: seen.clone(), fail_fast: false, applied: None, ..WaitOptions::new(LOOK) };
    // Once each has been looked at with its pods, and with the log of what has ended, there is no more to learn from waiting.
    let is_known = |finding: &Finding| finding.crashes.is_none() || !finding.log_lines.is_empty();
    let ending = wait(cluster.client(), &awaited, options, |snapshot| {
        if !snapshot.rows.is_empty() && snapshot.rows.iter().all(|row| row.finding.as_ref().is_some_and(is_known)) {
            seen.cancel();
        }
    });
    for row in ending.await.last.rows {
        let Some(finding) = row.finding else { continue };
        for object in objects.iter_mut().filter(|object| object.object == row.object) {
            object.why = Some(format!("{}: {}", finding.reason, mask(&finding.message)));
        }
    }
}

impl Place {
    /// Asks the cluster. What may not be listed is left out, and why with it.
    pub(super) async fn look(cluster: &Cluster, deployed: Option<&Deployed>, instance: &str) -> (Self, Option<String>) {
        let ours = format!("app.kubernetes.io/part-of=cardctl,app.kubernetes.io/instance={instance}");
        let ours = ListParams::default().labels(&ours);
        let (client, namespace) = (cluster.client(), cluster.namespace());
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let sets: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
        let (deployments, sets) = tokio::join!(deployments.list(&ours), sets.list(&ours));
        let unseen = deployments.as_ref().err().or_else(|| sets.as_ref().err()).map(|error| reason(error));
        let mut objects = Vec::new();
        for deployment in deployments.map(|list| list.items).unwrap_or_default() {
            objects.extend(Object::of("Deployment", serde_json::to_value(deployment).unwrap_or_default()));
        }
        for set in sets.map(|list| list.items).unwrap_or_default() {
            objects.extend(Object::of("StatefulSet", serde_json::to_value(set).unwrap_or_default()));
        }
        explain(&mut objects, cluster).await;
        let place = Self {
            context: cluster.context().unwrap_or("-").to_owned(),
            namespace: namespace.to_owned(),
            server: cluster.server().to_owned(),
            overlay: deployed.map(|deployed| deployed.overlay.clone()),
            objects,
        };
        (place, unseen)
    }

    /// Whether nothing that runs pods is there.
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Whether a server is there that could answer.
    pub(super) fn serves(&self) -> bool {
        let is_server = |object: &&Object| object.name == format!("deployment/{SERVER_SERVICE}");
        self.objects.iter().filter(is_server).any(|object| object.state.ready.is_some_and(|ready| ready > 0))
    }

    /// What is not as it should be; none if all is.
    pub(super) fn missing(&self) -> Option<String> {
        let words: Vec<_> = self.objects.iter().filter(|object| !object.state.is_ready()).map(Object::words).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    pub(super) fn line(&self) -> String {
        format!("context {}, namespace {}", self.context, self.namespace)
    }

    pub(super) fn lines(&self, paint: Paint) -> Vec<String> {
        self.objects
            .iter()
            .map(|object| {
                let words = object.words();
                let words = match object.state.phase {
                    Phase::Ready => paint.good(words),
                    Phase::Failed => paint.bad(words),
                    Phase::InProgress | Phase::Terminating | Phase::Missing => paint.warn(words),
                };
                format!("  {words}")
            })
            .collect()
    }
}

impl Object {
    fn of(kind: &str, mut object: Value) -> Option<Self> {
        // What a list holds does not say what it is.
        object["apiVersion"] = json!("apps/v1");
        object["kind"] = json!(kind);
        let object_ref = ObjectRef::of(&object)?;
        Some(Self { name: object_ref.to_string(), state: State::of(&object), why: None, object: object_ref })
    }

    fn words(&self) -> String {
        let counts = match (self.state.ready, self.state.wanted) {
            (Some(ready), Some(wanted)) => format!(" {ready}/{wanted}"),
            _ => String::new(),
        };
        let state = if self.state.is_ready() { "ready" } else { &self.state.reason };
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{}{counts} {state}{why}", self.name)
    }
}
