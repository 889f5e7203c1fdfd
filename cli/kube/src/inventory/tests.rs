//! The inventory alone.

use serde_json::json;

use super::*;
use crate::apply::tests::{cluster, config, deployment, owner, release, run};
use crate::apply::{ApplyError, ApplyOptions, apply};
use crate::prune;
use crate::testing::ApiServer;

#[tokio::test]
async fn the_parent_names_the_kinds_before_the_first_object_of_them_comes() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[config("a", "1"), deployment("server", None)]).await.unwrap();
    let seen = server.seen();
    let parent = seen.iter().position(|seen| seen.method == "POST" && seen.path.ends_with("/configmaps")).unwrap();
    let first = seen.iter().position(|seen| seen.method == "PATCH").unwrap();
    assert!(parent < first);
    let object = server.get("ConfigMap", Some("cards"), "cardctl").unwrap();
    assert_eq!(object["metadata"]["labels"][ID], owner().inventory("cards"));
    assert_eq!(object["metadata"]["annotations"][KINDS], "ConfigMap,Deployment.apps");
    assert_eq!(object["metadata"]["annotations"][TOOLING], "cardctl/v0.1.0");
}

#[tokio::test]
async fn the_kinds_grow_before_and_shrink_after() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    let kinds = || server.get("ConfigMap", Some("cards"), "cardctl").unwrap()["metadata"]["annotations"][KINDS].clone();
    run(&cluster, &[config("a", "1")]).await.unwrap();
    let wanted = [deployment("server", None)];
    run(&cluster, &wanted).await.unwrap();
    assert_eq!(kinds(), "ConfigMap,Deployment.apps");
    let stale = prune::preview(&cluster, &wanted).await.unwrap();
    prune::prune(&cluster, &stale, &release(), &|_| {}).await.unwrap();
    assert_eq!(kinds(), "Deployment.apps");
}

#[tokio::test]
async fn other_namespaces_are_named_and_looked_through() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    let mut elsewhere = config("a", "1");
    elsewhere["metadata"]["namespace"] = json!("default");
    run(&cluster, &[elsewhere, config("b", "1")]).await.unwrap();
    let object = server.get("ConfigMap", Some("cards"), "cardctl").unwrap();
    assert_eq!(object["metadata"]["annotations"][NAMESPACES], "default");
    let wanted = [config("b", "1")];
    let stale = prune::preview(&cluster, &wanted).await.unwrap();
    assert_eq!(stale.iter().map(|member| member.object.name.as_str()).collect::<Vec<_>>(), ["a"]);
    prune::prune(&cluster, &stale, &release(), &|_| {}).await.unwrap();
    let object = server.get("ConfigMap", Some("cards"), "cardctl").unwrap();
    assert!(object["metadata"]["annotations"][NAMESPACES].is_null());
}

#[tokio::test]
async fn a_config_map_that_is_not_ours_is_left_alone() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    crate::namespace::ensure(&cluster, &release()).await.unwrap();
    let mut theirs = config("cardctl", "theirs");
    theirs["metadata"]["namespace"] = json!("cards");
    server.put(theirs.clone());
    let refused = run(&cluster, &[config("a", "1")]).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Inventory(InventoryError::NotOurs { .. })), "{refused}");
    assert_eq!(server.get("ConfigMap", Some("cards"), "cardctl").unwrap()["data"]["key"], "theirs");
}

#[tokio::test]
async fn another_instance_in_the_namespace_is_refused() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[config("a", "1")]).await.unwrap();
    let other = Release { instance: "other".to_owned(), version: "0.1.0".to_owned() };
    let refused = apply(&cluster, &[config("a", "1")], &other, &ApplyOptions::default(), &|_| {}).await.unwrap_err();
    let ApplyError::Inventory(InventoryError::OtherInstance { found, .. }) = refused else { panic!("{refused}") };
    assert_eq!(found, "default");
}

#[tokio::test]
async fn what_was_replaced_by_others_is_not_pruned() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[config("a", "1"), config("b", "1")]).await.unwrap();
    let stale = prune::preview(&cluster, &[config("b", "1")]).await.unwrap();
    server.remove("ConfigMap", Some("cards"), "a");
    let mut theirs = config("a", "theirs");
    theirs["metadata"]["namespace"] = json!("cards");
    server.put(theirs);
    prune::prune(&cluster, &stale, &release(), &|_| {}).await.unwrap();
    assert!(server.get("ConfigMap", Some("cards"), "a").is_some());
}
