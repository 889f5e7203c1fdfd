//! `up`, `down` and what belongs to them in a cluster: against a Kubernetes API in memory. It has no controllers, so pods
//! never come unless a test says that they did.

mod apply;
mod around;
mod certificate;
mod down;
mod env;
mod keda;
mod killed;
mod kubeconfig;
mod meant;
mod remembered;
mod scale;
pub(crate) mod trouble;

use std::path::PathBuf;
use std::process::Command;

use card_kube::testing::{ApiServer, Listening};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::sandbox::{Ended, Sandbox};

/// A sandbox whose usual kubeconfig has one context, and the API behind it.
pub(crate) struct Lab {
    pub(crate) sandbox: Sandbox,
    pub(crate) server: ApiServer,
    context: String,
    listening: Listening,
    // It serves until the end.
    runtime: Runtime,
}

/// Where the default instance goes.
pub(crate) const NAMESPACE: &str = "cardctl";

/// Images that nobody has to have: no pod is ever made.
pub(crate) const IMAGES: [&str; 4] =
    ["--image", "card-server=cards.test/card-server:1", "--image", "card-worker=cards.test/card-worker:1"];

impl Lab {
    pub(crate) fn new(context: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = ApiServer::new();
        let listening = runtime.block_on(server.listen());
        let lab = Self { sandbox: Sandbox::new(), server, context: context.to_owned(), listening, runtime };
        std::fs::create_dir_all(lab.kubeconfig().parent().unwrap()).unwrap();
        lab.write_kubeconfig(&lab.listening.kubeconfig(context));
        // It has no TLS, so nothing says that it is on this machine.
        std::fs::create_dir_all(lab.user_settings().parent().unwrap()).unwrap();
        std::fs::write(lab.user_settings(), format!("[kube]\nallow = '{context}'\n")).unwrap();
        lab
    }

    pub(crate) fn user_settings(&self) -> PathBuf {
        self.sandbox.path().join("config/cardctl/config.toml")
    }

    /// The one that is looked for without KUBECONFIG.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.sandbox.path().join("home/.kube/config")
    }

    pub(crate) fn write_kubeconfig(&self, text: &str) {
        std::fs::write(self.kubeconfig(), text).unwrap();
    }

    /// The same context leads to another cluster from now on.
    fn becomes_another(&mut self) {
        let server = ApiServer::new();
        // Those in memory count from 1; this one is to be somebody else.
        server.remove("Namespace", None, "kube-system");
        server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}));
        self.listening = self.runtime.block_on(server.listen());
        self.server = server;
        self.write_kubeconfig(&self.listening.kubeconfig(&self.context));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.sandbox.command(arguments)
    }

    /// `up` of what never comes up, since nothing runs pods here; it stops waiting after the shortest time there is.
    pub(crate) fn up<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["up", "-d", "-t", "kube", "--context", &self.context, "--wait-timeout", "1s"], &IMAGES[..], more].concat()
    }

    /// Deploys, as far as it goes without pods.
    pub(crate) fn deployed(&self) -> Ended {
        self.sandbox.expect(124, &self.up(&[]))
    }

    /// What there is but what every cluster has, as `Kind/name`.
    pub(crate) fn left(&self) -> Vec<String> {
        let name = |kind: &str, object: &Value| format!("{kind}/{}", object["metadata"]["name"].as_str().unwrap());
        let all = KINDS
            .iter()
            .flat_map(|kind| self.server.all(kind).iter().map(|object| name(kind, object)).collect::<Vec<_>>());
        all.filter(|name| !matches!(name.as_str(), "Namespace/default" | "Namespace/kube-system")).collect()
    }

    /// How many requests so far were to change something.
    pub(crate) fn writes(&self) -> usize {
        self.server.seen().iter().filter(|seen| seen.writes()).count()
    }
}

/// Every kind that could be left behind.
const KINDS: [&str; 17] = [
    "Namespace",
    "ConfigMap",
    "Secret",
    "Service",
    "ServiceAccount",
    "PersistentVolumeClaim",
    "ResourceQuota",
    "Deployment",
    "StatefulSet",
    "Job",
    "CronJob",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "Ingress",
    "Role",
    "RoleBinding",
];

#[test]
fn what_does_not_come_up_is_named_and_stays_for_a_look() {
    let lab = Lab::new("lab");
    let ended = lab.sandbox.expect(124, &lab.up(&["-o", "json"]));
    let error = &ended.json()["error"];
    assert!(error["message"].as_str().unwrap().contains("deployment/server"), "{error}");
    assert!(error["left"].as_str().unwrap().contains("cardctl down removes them"), "{error}");
    assert!(lab.server.get("Deployment", Some(NAMESPACE), "server").is_some());
    assert!(lab.server.get("StatefulSet", Some(NAMESPACE), "postgres").is_some());
    // Made once, and in no argument and no other object.
    let secret = lab.server.get("Secret", Some(NAMESPACE), "card-secrets").unwrap();
    let before = secret["data"].clone();
    assert!(before.as_object().unwrap().contains_key("signing-key"), "{secret}");
    lab.deployed();
    assert_eq!(lab.server.get("Secret", Some(NAMESPACE), "card-secrets").unwrap()["data"], before);
}

#[test]
fn nothing_deployed_is_no_platform() {
    let lab = Lab::new("lab");
    let ended = lab.sandbox.expect(4, &["status", "-t", "kube", "--context", "lab", "-o", "json"]);
    let document = ended.json();
    assert_eq!((&document["state"], &document["up"]), (&json!("down"), &json!(false)), "{document}");
    lab.sandbox.expect(4, &["submit", "-t", "kube", "--context", "lab"]);
    assert_eq!(lab.writes(), 0);
}

#[test]
fn what_is_on_its_way_is_starting() {
    let lab = Lab::new("lab");
    lab.deployed();
    let ended = lab.sandbox.expect(8, &["status", "-t", "kube", "-o", "json"]);
    let document = ended.json();
    assert_eq!(document["state"], "starting", "{document}");
    assert!(document["detail"].as_str().unwrap().contains("deployment/server"), "{document}");
}
