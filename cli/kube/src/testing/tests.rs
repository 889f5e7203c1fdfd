//! That the server behaves as the real one, where the rest of the package depends on it.

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use super::*;

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data})
}

#[tokio::test]
async fn a_field_that_is_applied_no_more_goes_and_one_of_others_stays() {
    let server = ApiServer::new();
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client("default"));
    let mine = PatchParams::apply("me");
    maps.patch("m", &mine, &Patch::Apply(map(json!({"a": "1", "b": "2"})))).await.unwrap();
    maps.patch("m", &PatchParams::apply("you"), &Patch::Apply(map(json!({"b": "2", "c": "3"})))).await.unwrap();
    let after = maps.patch("m", &mine, &Patch::Apply(map(json!({})))).await.unwrap();
    let data: Vec<_> = after.data.unwrap().into_keys().collect();
    assert_eq!(data, ["b", "c"]);
}

#[tokio::test]
async fn an_apply_that_changes_nothing_keeps_the_version_and_another_value_conflicts() {
    let server = ApiServer::new();
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client("default"));
    let first = maps.patch("m", &PatchParams::apply("me"), &Patch::Apply(map(json!({"a": "1"})))).await.unwrap();
    let again = maps.patch("m", &PatchParams::apply("me"), &Patch::Apply(map(json!({"a": "1"})))).await.unwrap();
    assert_eq!(first.metadata.resource_version, again.metadata.resource_version);
    let other = PatchParams::apply("you");
    let refused = maps.patch("m", &other, &Patch::Apply(map(json!({"a": "2"})))).await.unwrap_err();
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    let causes = status.details.clone().unwrap().causes;
    assert_eq!(
        (status.code, causes[0].field.as_str(), causes[0].message.as_str()),
        (409, ".data.a", "conflict with \"me\"")
    );
    let forced = maps.patch("m", &other.force(), &Patch::Apply(map(json!({"a": "2"})))).await.unwrap();
    assert_eq!(forced.data.unwrap()["a"], "2");
}

#[tokio::test]
async fn another_uid_is_not_deleted_and_a_finalizer_holds() {
    let server = ApiServer::new();
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client("default"));
    let mut object = map(json!({}));
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.put(object);
    let other = Preconditions { uid: Some("another".to_owned()), resource_version: None };
    assert!(maps.delete("m", &DeleteParams::background().preconditions(other)).await.is_err());
    maps.delete("m", &DeleteParams::background()).await.unwrap();
    assert!(maps.get("m").await.unwrap().metadata.deletion_timestamp.is_some());
    server.edit(("ConfigMap", Some("default"), "m"), "controller", "", |object| {
        object["metadata"]["finalizers"] = json!([]);
    });
    assert!(maps.get_opt("m").await.unwrap().is_none());
}

#[tokio::test]
async fn a_watch_tells_every_change_once_and_in_order() {
    let server = ApiServer::new();
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client("default"));
    server.put(map(json!({"a": "1"})));
    let events = kube::runtime::watcher(maps.clone(), kube::runtime::watcher::Config::default().labels("app=x"));
    let mut seen = std::pin::pin!(kube::runtime::WatchStreamExt::applied_objects(events));
    let mut labelled = map(json!({"a": "1"}));
    labelled["metadata"]["labels"] = json!({"app": "x"});
    server.put(labelled.clone());
    assert_eq!(seen.next().await.unwrap().unwrap().data.unwrap()["a"], "1");
    labelled["data"]["a"] = json!("2");
    server.put(labelled);
    assert_eq!(seen.try_next().await.unwrap().unwrap().data.unwrap()["a"], "2");
    assert_eq!(maps.list(&ListParams::default().labels("app=x")).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_fault_meets_the_request_that_it_was_meant_for() {
    let server = ApiServer::new();
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client("default"));
    server.fail(1, Fault::AnswerLost);
    assert!(maps.get_opt("m").await.unwrap().is_none());
    let lost = maps.patch("m", &PatchParams::apply("me"), &Patch::Apply(map(json!({})))).await;
    assert!(lost.is_err());
    assert!(maps.get_opt("m").await.unwrap().is_some(), "it happened all the same");
    server.stop_after(0);
    assert!(maps.get_opt("m").await.is_err());
    server.resume();
    assert!(maps.get_opt("m").await.unwrap().is_some());
}
