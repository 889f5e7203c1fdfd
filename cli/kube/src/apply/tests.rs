//! Against the API in memory.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::Owner;
use crate::cluster::Cluster;
use crate::prune;
use crate::testing::{ApiServer, Fault, Kind};

pub(crate) fn owner() -> Owner {
    Owner::new("cardctl")
}

pub(crate) fn release() -> Release {
    Release { instance: "default".to_owned(), version: "0.1.0".to_owned() }
}

pub(crate) async fn cluster(server: &ApiServer) -> Cluster {
    Cluster::of_client(server.client("cards"), "cards", owner()).await.unwrap()
}

pub(crate) fn deployment(name: &str, replicas: Option<u64>) -> Value {
    let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": name, "image": "cardctl/x:1"}]}}}});
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = json!(replicas);
    }
    object
}

pub(crate) fn config(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}})
}

pub(crate) fn autoscaler(name: &str) -> Value {
    json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": name, "namespace": "cards"},
        "spec": {"maxReplicas": 9, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}}})
}

pub(crate) async fn run(cluster: &Cluster, objects: &[Value]) -> Result<Applied, ApplyError> {
    apply(cluster, objects, &release(), &ApplyOptions::default(), &|_| {}).await
}

fn replicas(server: &ApiServer, name: &str) -> Value {
    server.get("Deployment", Some("cards"), name).unwrap()["spec"]["replicas"].clone()
}

#[tokio::test]
async fn the_first_time_creates_in_order_and_the_second_changes_nothing() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    let objects = [autoscaler("server"), deployment("server", None), config("settings", "1")];
    let heard = Mutex::new(Vec::new());
    let event = |change: &Change| heard.lock().unwrap().push(change.object.to_string());
    let first = apply(&cluster, &objects, &release(), &ApplyOptions::default(), &event).await.unwrap();
    assert_eq!(first.count(Outcome::Created), 3);
    let order = ["configmap/settings", "deployment/server", "horizontalpodautoscaler/server"];
    assert_eq!(heard.into_inner().unwrap(), order);
    let second = run(&cluster, &objects).await.unwrap();
    assert_eq!(second.count(Outcome::Unchanged), 3, "{second:?}");
    let changed = [autoscaler("server"), deployment("server", None), config("settings", "2")];
    let third = run(&cluster, &changed).await.unwrap();
    assert_eq!((third.count(Outcome::Configured), third.count(Outcome::Unchanged)), (1, 2));
}

#[tokio::test]
async fn what_a_controller_writes_meanwhile_is_no_change_of_ours() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[deployment("server", Some(2))]).await.unwrap();
    let options = ApplyOptions::default();
    let objects = [deployment("server", Some(2))];
    // Between the list of members and the apply: the write of the status comes with the slow request.
    server.fail_on("PATCH", "deployments", Fault::Slow(std::time::Duration::from_millis(150)));
    let asked =
        || server.seen().iter().filter(|seen| seen.method == "PATCH" && seen.path.contains("deployments")).count();
    let before = asked();
    let again = release();
    let applying = apply(&cluster, &objects, &again, &options, &|_| {});
    let writing = async {
        let begun = async {
            while asked() == before {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), begun).await.expect("the apply begins");
        server.edit(("Deployment", Some("cards"), "server"), "kube-controller-manager", "status", |object| {
            object["status"] = json!({"readyReplicas": 1});
        });
    };
    let (applied, ()) = tokio::join!(applying, writing);
    assert_eq!(applied.unwrap().count(Outcome::Unchanged), 1);
}

#[test]
fn two_changes_in_one_second_are_two_changes() {
    let metadata = |version: &str, ours: &str, status: &str| {
        json!({"resourceVersion": version, "managedFields": [
            {"manager": "cardctl", "operation": "Apply", "time": ours, "fieldsV1": {"f:data": {}}},
            {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status", "time": status}]})
    };
    let before = metadata("7", "2026-01-01T00:00:05Z", "2026-01-01T00:00:04Z");
    let same = |after: &Value| super::run::is_same(&before, after, &owner());
    assert!(same(&before));
    assert!(!same(&metadata("8", "2026-01-01T00:00:05Z", "2026-01-01T00:00:04Z")), "only we can have made the 8");
    assert!(!same(&metadata("8", "2026-01-01T00:00:06Z", "2026-01-01T00:00:04Z")));
    assert!(same(&metadata("8", "2026-01-01T00:00:05Z", "2026-01-01T00:00:05Z")), "the status explains the 8");
    let long_ago = metadata("7", "2026-01-01T00:00:01Z", "2026-01-01T00:00:04Z");
    assert!(super::run::is_same(&long_ago, &metadata("8", "2026-01-01T00:00:01Z", "2026-01-01T00:00:04Z"), &owner()));
    assert!(!super::run::is_same(&json!({}), &json!({"resourceVersion": "8"}), &owner()), "not ours before");
}

#[tokio::test]
async fn a_conflict_names_manager_field_and_both_values_and_is_taken_only_if_asked() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[deployment("server", Some(2))]).await.unwrap();
    server.edit(("Deployment", Some("cards"), "server"), "kube-controller-manager", "scale", |object| {
        object["spec"]["replicas"] = json!(7);
    });
    let refused = run(&cluster, &[deployment("server", Some(2))]).await.unwrap_err();
    let ApplyError::Refused { refused: all, .. } = &refused else { panic!("{refused}") };
    let Refusal::Conflicts { conflicts } = &all[0].why else { panic!("{refused}") };
    let expected = Conflict {
        field: ".spec.replicas".to_owned(),
        manager: "kube-controller-manager".to_owned(),
        subresource: Some("scale".to_owned()),
        ours: Some(json!(2)),
        live: Some(json!(7)),
    };
    assert_eq!(conflicts, &[expected]);
    assert!(refused.fix().unwrap().contains("--force-conflicts"));
    assert_eq!(replicas(&server, "server"), 7, "nothing was forced");
    let other = ApplyOptions { take: vec![".spec.paused".to_owned()], ..ApplyOptions::default() };
    assert!(apply(&cluster, &[deployment("server", Some(2))], &release(), &other, &|_| {}).await.is_err());
    let take = ApplyOptions { take: vec![".spec.replicas".to_owned()], ..ApplyOptions::default() };
    apply(&cluster, &[deployment("server", Some(2))], &release(), &take, &|_| {}).await.unwrap();
    assert_eq!(replicas(&server, "server"), 2);
}

#[tokio::test]
async fn replicas_are_never_sent_where_an_autoscaler_owns_them() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    // Ours at first; then somebody else's autoscaler, which has not scaled yet.
    run(&cluster, &[deployment("server", Some(5))]).await.unwrap();
    server.put(autoscaler("server"));
    let applied = run(&cluster, &[deployment("server", Some(2))]).await.unwrap();
    assert_eq!(replicas(&server, "server"), 5, "what was there stays, not 1 and not 2");
    assert_eq!((applied.kept[0].replicas, applied.kept[0].autoscaler.name.as_str()), (Some(5), "server"));
    // It scales, and we apply again, also something else.
    server.edit(("Deployment", Some("cards"), "server"), "kube-controller-manager", "scale", |object| {
        object["spec"]["replicas"] = json!(8);
    });
    let mut other = deployment("server", Some(2));
    other["spec"]["minReadySeconds"] = json!(1);
    run(&cluster, &[other]).await.unwrap();
    assert_eq!(replicas(&server, "server"), 8);
    let sent = server.seen().into_iter().filter(|seen| seen.writes() && seen.path.ends_with("deployments/server"));
    let by_us = sent.filter(|seen| seen.parameter("fieldManager") == Some("cardctl"));
    assert_eq!(by_us.filter(|seen| !seen.body.as_ref().unwrap()["spec"]["replicas"].is_null()).count(), 1, "the first");
}

#[tokio::test]
async fn an_autoscaler_of_the_set_takes_over_at_the_live_value_and_gives_it_back() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[deployment("server", Some(5))]).await.unwrap();
    run(&cluster, &[deployment("server", Some(1)), autoscaler("server")]).await.unwrap();
    assert_eq!(replicas(&server, "server"), 5);
    server.edit(("Deployment", Some("cards"), "server"), "kube-controller-manager", "scale", |object| {
        object["spec"]["replicas"] = json!(9);
    });
    // The autoscaler was ours and is not wanted any more: the replicas are ours again, without a conflict.
    run(&cluster, &[deployment("server", Some(3))]).await.unwrap();
    assert_eq!(replicas(&server, "server"), 3);
}

#[tokio::test]
async fn the_autoscaler_of_keda_counts_too() {
    let server = ApiServer::new();
    server.serve_kind(Kind::namespaced("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"));
    let cluster = cluster(&server).await;
    let scaled = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "w"},
        "spec": {"scaleTargetRef": {"name": "worker"}}});
    let applied = run(&cluster, &[deployment("worker", Some(4)), scaled]).await.unwrap();
    assert_eq!((replicas(&server, "worker"), applied.kept.len()), (json!(1), 1));
}

#[tokio::test]
async fn what_the_api_refuses_is_told_with_the_way_out() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    let refusal = async |objects: &[Value]| match run(&cluster, objects).await.unwrap_err() {
        ApplyError::Refused { mut refused, .. } => refused.remove(0),
        other => panic!("{other}"),
    };
    let mut misspelt = deployment("server", None);
    misspelt["spec"]["replica"] = json!(1);
    let refused = refusal(&[misspelt]).await;
    assert!(matches!(&refused.why, Refusal::UnknownField { field, .. } if field == ".spec.replica"), "{refused}");

    run(&cluster, &[deployment("server", None)]).await.unwrap();
    let mut other = deployment("server", None);
    other["spec"]["selector"]["matchLabels"]["app"] = json!("another");
    let refused = refusal(&[other]).await;
    assert!(matches!(&refused.why, Refusal::Immutable { fields, .. } if fields == &["spec.selector"]), "{refused}");
    assert!(refused.fix().unwrap().contains("kubectl delete deployment/server -n cards"));

    let quota = "pods \"x\" is forbidden: exceeded quota: small, requested: cpu=1, used: cpu=1, limited: cpu=1";
    server.fail_on("PATCH", "configmaps/m", Fault::status(403, "Forbidden", quota));
    let refused = refusal(&[config("m", "1")]).await;
    assert!(matches!(&refused.why, Refusal::Quota { message } if message == quota), "{refused}");

    let webhook = "admission webhook \"policy.example.com\" denied the request: no";
    server.fail_on("PATCH", "configmaps/m", Fault::status(400, "", webhook));
    assert!(matches!(refusal(&[config("m", "1")]).await.why, Refusal::Webhook { .. }));

    let pods = "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true";
    server.fail_on("PATCH", "configmaps/m", Fault::status(403, "Forbidden", pods));
    assert!(matches!(refusal(&[config("m", "1")]).await.why, Refusal::PodSecurity { .. }));

    let rights = "configmaps \"m\" is forbidden: User \"u\" cannot patch resource \"configmaps\" in API group \"\" in the namespace \"cards\"";
    server.fail_on("PATCH", "configmaps/m", Fault::status(403, "Forbidden", rights));
    let refused = refusal(&[config("m", "1")]).await;
    let Refusal::Cluster(ClusterError::Forbidden { verb, resource, .. }) = &refused.why else { panic!("{refused}") };
    assert_eq!((*verb, resource.as_str()), ("patch", "configmaps"));
}

#[tokio::test]
async fn a_wrong_set_is_refused_before_anything_is_written() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    let scaled = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "w"}});
    let missing = run(&cluster, &[config("a", "1"), scaled]).await.unwrap_err();
    assert!(matches!(&missing, ApplyError::NoSuchKind { object } if object.kind == "ScaledObject"), "{missing}");
    assert!(missing.fix().unwrap().contains("KEDA"));
    let twice = run(&cluster, &[config("a", "1"), config("a", "2")]).await.unwrap_err();
    assert!(matches!(twice, ApplyError::Twice { .. }), "{twice}");
    let nameless = run(&cluster, &[json!({"apiVersion": "v1", "kind": "ConfigMap"})]).await.unwrap_err();
    assert!(matches!(nameless, ApplyError::Malformed { index: 0, .. }), "{nameless}");
    let mut fetched = config("a", "1");
    fetched["metadata"]["managedFields"] = json!([]);
    assert!(matches!(run(&cluster, &[fetched]).await.unwrap_err(), ApplyError::Malformed { .. }));
    assert!(server.seen().iter().all(|seen| !seen.writes()));
}

#[tokio::test]
async fn all_that_is_refused_in_a_stage_is_told_at_once() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    let denied = || Fault::status(400, "", "admission webhook \"p\" denied the request: no");
    server.fail_on("PATCH", "configmaps/a", denied());
    server.fail_on("PATCH", "configmaps/b", denied());
    let objects = [config("a", "1"), config("b", "1"), config("c", "1"), deployment("server", None)];
    let ApplyError::Refused { refused, applied } = run(&cluster, &objects).await.unwrap_err() else { panic!() };
    let names: Vec<&str> = refused.iter().map(|refused| refused.object.name.as_str()).collect();
    assert_eq!((names, applied.changes.len()), (vec!["a", "b"], 1));
    assert!(server.get("Deployment", Some("cards"), "server").is_none(), "the next stage did not begin");
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    let dry = ApplyOptions { dry_run: true, ..ApplyOptions::default() };
    let objects = [config("a", "1"), deployment("server", Some(2))];
    let applied = apply(&cluster, &objects, &release(), &dry, &|_| {}).await.unwrap();
    assert_eq!(applied.count(Outcome::Created), 2);
    run(&cluster, &objects).await.unwrap();
    let before = server.seen().len();
    let changed = [config("a", "2"), deployment("server", Some(2))];
    let applied = apply(&cluster, &changed, &release(), &dry, &|_| {}).await.unwrap();
    assert_eq!(applied.count(Outcome::Configured), 1);
    assert!(server.seen()[before..].iter().all(|seen| !seen.writes()));
    assert_eq!(server.get("ConfigMap", Some("cards"), "a").unwrap()["data"]["key"], "1");
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    server.fail_on("PATCH", "configmaps/a", Fault::Lost);
    server.fail_on("PATCH", "configmaps/b", Fault::AnswerLost);
    run(&cluster, &[config("a", "1"), config("b", "1")]).await.unwrap();
    assert_eq!(server.all("ConfigMap").len(), 3, "two and the inventory");
}

#[tokio::test]
async fn a_server_without_aggregated_discovery_will_do() {
    let server = ApiServer::new();
    server.without_aggregated_discovery();
    let cluster = cluster(&server).await;
    let applied = run(&cluster, &[config("a", "1"), autoscaler("server"), deployment("server", None)]).await.unwrap();
    assert_eq!(applied.count(Outcome::Created), 3);
}

#[tokio::test]
async fn killed_after_any_request_the_next_apply_and_prune_leave_what_is_wanted() {
    let first = [config("old", "1"), config("both", "1"), deployment("server", Some(2)), autoscaler("gone")];
    let second = [config("both", "2"), config("new", "1"), deployment("server", Some(2))];
    for stop in 0.. {
        let server = ApiServer::new();
        let cluster = cluster(&server).await;
        run(&cluster, &first).await.unwrap();
        server.stop_after(stop);
        let cut = async {
            run(&cluster, &second).await?;
            let stale = prune::preview(&cluster, &second).await?;
            prune::prune(&cluster, &stale, &release(), &|_| {}).await
        };
        let finished = cut.await.is_ok();
        server.resume();
        let fresh = self::cluster(&server).await;
        run(&fresh, &second).await.unwrap();
        let stale = prune::preview(&fresh, &second).await.unwrap();
        prune::prune(&fresh, &stale, &release(), &|_| {}).await.unwrap();
        let mut left: Vec<String> = server
            .all("ConfigMap")
            .iter()
            .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["both", "cardctl", "new"], "stopped after {stop}");
        assert!(server.all("HorizontalPodAutoscaler").is_empty(), "stopped after {stop}");
        if finished {
            assert!(stop > 10, "it was stopped at all");
            break;
        }
    }
}
