//! A namespace of a test's own.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use card_kube::ObjectRef;

pub(crate) struct Place {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// The image of all pods that are to run.
pub(crate) fn image() -> String {
    std::env::var("CARDCTL_TEST_IMAGE").unwrap_or_else(|_| "docker.io/library/busybox:1.36".to_owned())
}

impl Place {
    /// None without a cluster, with a word.
    pub(crate) async fn new(name: &str, labels: Value) -> Option<Self> {
        let Ok(path) = std::env::var("CARDCTL_TEST_KUBECONFIG") else {
            #[expect(clippy::print_stderr, reason = "who reads the tests' output should know that it was skipped")]
            {
                eprintln!("skipped: CARDCTL_TEST_KUBECONFIG names no cluster");
            }
            return None;
        };
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let kubeconfig = Kubeconfig::read_from(path).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let namespace = format!("card-test-{name}-{}", std::process::id());
        let object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}});
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        let place = Self { client, namespace };
        place.has_its_account().await;
        Some(place)
    }

    /// Pods are refused until the controller has made the default service account.
    async fn has_its_account(&self) {
        let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let until = Instant::now() + Duration::from_secs(20);
        while accounts.get_opt("default").await.unwrap().is_none() {
            assert!(Instant::now() < until, "the namespace gets no default service account");
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn apply(&self, mut object: Value) -> ObjectRef {
        object["metadata"]["namespace"] = json!(self.namespace);
        let named = ObjectRef::of(&object).unwrap();
        let kind = GroupVersionKind::gvk(&named.group, &named.version, &named.kind);
        let resource = kube::api::ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        api.patch(&named.name, &PatchParams::apply("cardctl"), &Patch::Apply(object)).await.unwrap();
        named
    }

    pub(crate) async fn remove(self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::background()).await.unwrap();
    }
}

/// A deployment of one small pod, with changes to its pod template and its only container.
pub(crate) fn deployment(name: &str, container: Value, pod: Value) -> Value {
    let mut main = json!({"name": "main", "image": image(), "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "trap exit TERM; while :; do sleep 1; done"],
        "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}}});
    merge(&mut main, container);
    let mut spec = json!({"terminationGracePeriodSeconds": 1, "containers": [main]});
    merge(&mut spec, pod);
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
        "template": {"metadata": {"labels": {"app.kubernetes.io/name": name}}, "spec": spec}}})
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else { return };
    let fields = into.as_object_mut().unwrap();
    for (key, value) in from {
        fields.insert(key, value);
    }
}

pub(crate) fn shell(script: &str) -> Value {
    json!({"command": ["sh", "-c", script]})
}
