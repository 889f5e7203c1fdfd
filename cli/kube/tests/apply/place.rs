//! A real cluster and a namespace of the test's own.

use std::time::Duration;

use card_kube::Owner;
use card_kube::apply::{Applied, ApplyError, ApplyOptions, apply};
use card_kube::cluster::{Cluster, Connect};
use card_kube::down::{Down, DownError, DownOptions, down};
use card_kube::inventory::Release;
use serde_json::{Value, json};

pub(crate) fn release() -> Release {
    Release { instance: "test".to_owned(), version: "0.1.0".to_owned() }
}

/// None, said aloud: there is no cluster to test with.
pub(crate) async fn cluster(test: &str) -> Option<Cluster> {
    let Some(kubeconfig) = std::env::var_os("CARDCTL_TEST_KUBECONFIG") else {
        use std::io::Write;
        // Not `print!`: as for any test that is left out, a line on stderr.
        let _ = writeln!(std::io::stderr(), "skipped: CARDCTL_TEST_KUBECONFIG is not set");
        return None;
    };
    let text = std::fs::read_to_string(&kubeconfig).expect("a kubeconfig");
    let context =
        text.lines().find_map(|line| line.strip_prefix("current-context: ")).expect("a context").trim().to_owned();
    let options = Connect {
        kubeconfig: Some(kubeconfig.into()),
        context: Some(context.clone()),
        namespace: format!("card-{test}-{}", std::process::id()),
        owner: Owner::new("cardctl"),
        // Whoever names a cluster for tests has allowed it.
        allowed: vec![context],
        timeout: None,
    };
    Some(Cluster::connect(&options).await.expect("the cluster answers"))
}

pub(crate) async fn run(cluster: &Cluster, objects: &[Value]) -> Result<Applied, ApplyError> {
    apply(cluster, objects, &release(), &ApplyOptions::default(), &|_| {}).await
}

pub(crate) async fn take(cluster: &Cluster, purge: bool) -> Result<Down, DownError> {
    down(cluster, &release(), &DownOptions { purge, timeout: Duration::from_secs(120) }, &|_| {}).await
}

pub(crate) fn config(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}})
}

/// A workload of no pods, or of pods whose image nobody has: the tests look at objects.
pub(crate) fn workload(kind: &str, name: &str, replicas: u64) -> Value {
    let mut object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": name, "image": "cardctl/none:none", "imagePullPolicy": "Never"}]}}}});
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = json!(name);
        object["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}]);
    }
    object
}
