//! Against the API in memory.

use serde_json::{Value, json};

use super::*;
use crate::Removal;
use crate::apply::tests::{cluster, config, deployment, release, run};
use crate::testing::{ApiServer, Fault};
use crate::{namespace, secret};

fn options(purge: bool) -> DownOptions {
    DownOptions { purge, timeout: Duration::from_secs(5) }
}

async fn take(cluster: &Cluster, purge: bool) -> Result<Down, DownError> {
    down(cluster, &release(), &options(purge), &|_| {}).await
}

fn postgres() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "postgres"}, "spec": {
        "serviceName": "postgres", "selector": {"matchLabels": {"app": "postgres"}},
        "template": {"metadata": {"labels": {"app": "postgres"}}, "spec": {"containers": [{"name": "postgres", "image": "p"}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]}})
}

/// What the controller of stateful sets makes; and somebody else's claim with a similar name.
fn claims(server: &ApiServer) {
    for name in ["data-postgres-0", "data-postgres-other-0"] {
        server.put(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": "cards"}}));
    }
}

async fn make(cluster: &Cluster) {
    let generate = |missing: &[&str], _: &secret::Values| {
        secret::Values(missing.iter().map(|&key| (key.to_owned(), b"x".to_vec())).collect())
    };
    secret::ensure(cluster, &release(), "card-secrets", &["a"], generate).await.unwrap();
    run(cluster, &[config("settings", "1"), postgres(), deployment("server", Some(2))]).await.unwrap();
}

fn names(objects: &[ObjectRef]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn what_is_ours_goes_in_reverse_and_what_keeps_data_stays_until_a_purge() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    make(&cluster).await;
    claims(&server);
    let first = take(&cluster, false).await.unwrap();
    assert_eq!(names(&first.deleted), ["deployment/server", "statefulset/postgres", "configmap/settings"]);
    assert_eq!(names(&first.kept), ["persistentvolumeclaim/data-postgres-0", "secret/card-secrets"]);
    assert_eq!(first.home, Home::HoldsKept);
    let second = take(&cluster, false).await.unwrap();
    assert_eq!((second.deleted.len(), second.kept.len()), (0, 2), "there was nothing to do");
    let purged = take(&cluster, true).await.unwrap();
    assert_eq!(purged.deleted.len(), 2);
    let Home::InUse(others) = &purged.home else { panic!("{purged:?}") };
    assert_eq!(names(others), ["persistentvolumeclaim/data-postgres-other-0"]);
    assert!(server.get("ConfigMap", Some("cards"), "cardctl").is_none());
    server.remove("PersistentVolumeClaim", Some("cards"), "data-postgres-other-0");
    assert_eq!(take(&cluster, true).await.unwrap().home, Home::Deleted);
    let last = take(&cluster, true).await.unwrap();
    assert_eq!(last, Down { deleted: vec![], kept: vec![], home: Home::Absent });
}

#[tokio::test]
async fn a_namespace_that_was_there_stays_as_it_was() {
    let server = ApiServer::new();
    let found =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cards", "labels": {"team": "a"}}});
    server.put(found);
    let cluster = cluster(&server).await;
    let mut ours = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cards"}});
    ours["metadata"]["labels"] = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    run(&cluster, &[ours, config("settings", "1")]).await.unwrap();
    let done = take(&cluster, true).await.unwrap();
    assert_eq!((names(&done.deleted), done.home), (vec!["configmap/settings".to_owned()], Home::Found));
    let left = server.get("Namespace", None, "cards").unwrap();
    assert_eq!(left["metadata"]["labels"], json!({"team": "a"}));
}

#[tokio::test]
async fn a_lost_inventory_is_found_again_by_the_label() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    make(&cluster).await;
    server.remove("ConfigMap", Some("cards"), "cardctl");
    let done = take(&cluster, true).await.unwrap();
    assert_eq!((done.deleted.len(), done.home), (4, Home::Deleted));
}

#[tokio::test]
async fn a_finalizer_that_holds_is_named() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[config("settings", "1"), deployment("server", None)]).await.unwrap();
    server.edit(("ConfigMap", Some("cards"), "settings"), "somebody", "", |object| {
        object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    });
    let short = DownOptions { purge: true, timeout: Duration::from_millis(3500) };
    let heard = std::sync::Mutex::new(Vec::new());
    let stuck =
        down(&cluster, &release(), &short, &|event| heard.lock().unwrap().push(event.clone())).await.unwrap_err();
    let DownError::StillThere { held, .. } = &stuck else { panic!("{stuck}") };
    assert_eq!(
        (held[0].object.name.as_str(), held[0].finalizers.as_slice()),
        ("settings", &["example.com/hold".to_owned()][..])
    );
    let told = heard.into_inner().unwrap();
    assert!(
        told.iter().any(|event| matches!(event, Removal::Held(object, _) if object.name == "settings")),
        "{told:?}"
    );
    assert!(
        server.get("ConfigMap", Some("cards"), "cardctl").is_some(),
        "the inventory is kept as long as it is needed"
    );
    server.edit(("ConfigMap", Some("cards"), "settings"), "somebody", "", |object| {
        object["metadata"]["finalizers"] = json!([]);
    });
    assert_eq!(take(&cluster, true).await.unwrap().home, Home::Deleted);
}

#[tokio::test]
async fn what_is_not_ours_is_not_touched() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[config("settings", "1")]).await.unwrap();
    let mut theirs = config("theirs", "1");
    theirs["metadata"]["namespace"] = json!("cards");
    // As ours as labels can make it, but for the one that counts.
    theirs["metadata"]["labels"] =
        json!({"app.kubernetes.io/part-of": "cardctl", "app.kubernetes.io/managed-by": "cardctl"});
    server.put(theirs);
    let done = take(&cluster, true).await.unwrap();
    let Home::InUse(others) = done.home else { panic!("{done:?}") };
    assert_eq!(names(&others), ["configmap/theirs"]);
    assert!(server.get("ConfigMap", Some("cards"), "theirs").is_some());
}

#[tokio::test]
async fn killed_after_any_request_the_next_down_leaves_nothing() {
    for stop in 0.. {
        let server = ApiServer::new();
        let cluster = cluster(&server).await;
        make(&cluster).await;
        server.put(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data-postgres-0", "namespace": "cards"}}));
        server.stop_after(stop);
        let finished = take(&cluster, true).await.is_ok();
        server.resume();
        let fresh = self::cluster(&server).await;
        let done = take(&fresh, true).await.unwrap();
        assert!(matches!(done.home, Home::Deleted | Home::Absent), "stopped after {stop}: {done:?}");
        for kind in ["ConfigMap", "Secret", "StatefulSet", "Deployment", "PersistentVolumeClaim"] {
            assert!(server.all(kind).is_empty(), "stopped after {stop}: a {kind} is left");
        }
        if finished {
            assert!(stop > 10, "it was stopped at all");
            break;
        }
    }
}

#[tokio::test]
async fn killed_while_it_was_made_it_is_taken_down_whole() {
    for stop in 0.. {
        let server = ApiServer::new();
        let cluster = cluster(&server).await;
        server.stop_after(stop);
        let finished = run(&cluster, &[config("settings", "1"), deployment("server", None)]).await.is_ok();
        server.resume();
        let fresh = self::cluster(&server).await;
        let done = take(&fresh, true).await.unwrap();
        assert!(matches!(done.home, Home::Deleted | Home::Absent), "stopped after {stop}: {done:?}");
        assert!(server.get("Namespace", None, "cards").is_none() && server.all("Deployment").is_empty());
        if finished {
            assert!(stop > 5, "it was stopped at all");
            break;
        }
    }
}

#[tokio::test]
async fn a_deletion_that_is_refused_is_told_and_nothing_is_forgotten() {
    let server = ApiServer::new();
    let cluster = cluster(&server).await;
    run(&cluster, &[config("settings", "1")]).await.unwrap();
    let rights = "configmaps \"settings\" is forbidden: User \"u\" cannot delete resource \"configmaps\" in API group \"\" in the namespace \"cards\"";
    server.fail_on("DELETE", "settings", Fault::status(403, "Forbidden", rights));
    let refused = take(&cluster, false).await.unwrap_err();
    assert!(matches!(refused, DownError::Cluster(ClusterError::Forbidden { verb: "delete", .. })), "{refused}");
    assert_eq!(namespace::ensure(&cluster, &release()).await.unwrap(), namespace::Origin::Made);
    assert_eq!(take(&cluster, false).await.unwrap().deleted.len(), 1);
}
