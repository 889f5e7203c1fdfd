//! Replicas and who owns them, by the real rules.

use card_kube::apply::{ApplyError, ApplyOptions, Refusal, apply};
use card_kube::cluster::Cluster;
use card_kube::down::Home;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::place::{cluster, release, run, take, workload};

fn deployments(cluster: &Cluster) -> Api<Deployment> {
    Api::namespaced(cluster.client().clone(), cluster.namespace())
}

async fn replicas(cluster: &Cluster) -> Option<i32> {
    deployments(cluster).get("server").await.unwrap().spec.unwrap().replicas
}

/// As an autoscaler does it.
async fn scale(cluster: &Cluster, replicas: u32) {
    let scale = json!({"spec": {"replicas": replicas}});
    let by = PatchParams { field_manager: Some("kube-controller-manager".to_owned()), ..PatchParams::default() };
    deployments(cluster).patch_scale("server", &by, &Patch::Merge(scale)).await.unwrap();
}

fn autoscaler(low: u32, high: u32) -> Value {
    json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "server"}, "spec": {
        "minReplicas": low, "maxReplicas": high,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "server"},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}})
}

#[tokio::test]
async fn an_autoscaler_takes_over_at_the_live_value() {
    let Some(cluster) = cluster("scaled").await else { return };
    run(&cluster, &[workload("Deployment", "server", 3)]).await.unwrap();
    let objects = [workload("Deployment", "server", 2), autoscaler(2, 9)];
    let applied = run(&cluster, &objects).await.unwrap();
    assert_eq!(applied.kept[0].replicas, Some(3));
    assert_eq!(replicas(&cluster).await, Some(3), "neither ours nor the default");
    scale(&cluster, 5).await;
    run(&cluster, &objects).await.unwrap();
    assert_eq!(replicas(&cluster).await, Some(5));
    // And back: it was ours, so are the replicas.
    run(&cluster, &[workload("Deployment", "server", 1)]).await.unwrap();
    assert_eq!(replicas(&cluster).await, Some(1));
    assert_eq!(take(&cluster, true).await.unwrap().home, Home::Deleted);
}

#[tokio::test]
async fn a_conflict_of_the_real_api_is_read_field_by_field() {
    let Some(cluster) = cluster("conflict").await else { return };
    run(&cluster, &[workload("Deployment", "server", 1)]).await.unwrap();
    scale(&cluster, 2).await;
    let theirs =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "server", "image": "cardctl/other:1"}]}}}});
    let by = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    deployments(&cluster).patch("server", &by, &Patch::Strategic(theirs)).await.unwrap();
    let refused = run(&cluster, &[workload("Deployment", "server", 1)]).await.unwrap_err();
    let ApplyError::Refused { refused, .. } = refused else { panic!("{refused}") };
    let Refusal::Conflicts { conflicts } = &refused[0].why else { panic!("{refused:?}") };
    let mut told: Vec<(&str, &str, Option<&str>, &Value, &Value)> = conflicts
        .iter()
        .map(|conflict| {
            let (ours, live) = (conflict.ours.as_ref().unwrap(), conflict.live.as_ref().unwrap());
            (conflict.field.as_str(), conflict.manager.as_str(), conflict.subresource.as_deref(), ours, live)
        })
        .collect();
    told.sort_by_key(|(field, ..)| *field);
    let image = r#".spec.template.spec.containers[name="server"].image"#;
    let expected = [
        (".spec.replicas", "kube-controller-manager", Some("scale"), &json!(1), &json!(2)),
        (image, "somebody", None, &json!("cardctl/none:none"), &json!("cardctl/other:1")),
    ];
    assert_eq!(told, expected);
    let take_both =
        ApplyOptions { take: vec![".spec.replicas".to_owned(), image.to_owned()], ..ApplyOptions::default() };
    apply(&cluster, &[workload("Deployment", "server", 1)], &release(), &take_both, &|_| {}).await.unwrap();
    assert_eq!(replicas(&cluster).await, Some(1));
    assert_eq!(take(&cluster, true).await.unwrap().home, Home::Deleted);
}
