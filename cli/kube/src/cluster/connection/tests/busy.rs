//! Servers, and parts of them, that refuse for now.

use std::time::Duration;

use super::Place;
use crate::apply::tests::{config, run};
use crate::apply::{ApplyError, ApplyOptions, apply};
use crate::cluster::ClusterError;
use crate::testing::{ApiServer, Fault, Kind};

async fn place(server: &ApiServer) -> (Place, crate::testing::Listening) {
    let listening = server.listen().await;
    let place = Place::new();
    place.write(&format!("{{server: '{}'}}", listening.url), "{}");
    (place, listening)
}

fn widget() -> Kind {
    let [group, version, kind, plural] = ["metrics.example.com", "v1beta1", "Widget", "widgets"].map(str::to_owned);
    Kind { group, version, kind, plural, namespaced: true }
}

#[tokio::test]
async fn one_aggregated_api_that_answers_503_hides_nothing_but_itself() {
    let server = ApiServer::new();
    server.serve_kind(widget());
    server.without_aggregated_discovery();
    let unavailable = Fault::status(503, "ServiceUnavailable", "the server is currently unable to handle the request");
    server.fail_always("/apis/metrics.example.com/v1beta1", unavailable);
    let (place, _listening) = place(&server).await;
    let cluster = place.connect().await.unwrap();
    let applied = run(&cluster, &[config("a", "1")]).await.unwrap();
    assert_eq!(applied.changes.len(), 1);
    let differences = crate::diff::diff(&cluster, &[config("a", "2")]).await.unwrap();
    assert_eq!(differences.len(), 1);
    let asked = server.seen().iter().filter(|seen| seen.path.contains("metrics.example.com")).count();
    assert_eq!(asked, 1, "it is not asked again and again");
    // Whoever needs it is told why it is not there.
    let mut object = config("w", "1");
    (object["apiVersion"], object["kind"]) = ("metrics.example.com/v1beta1".into(), "Widget".into());
    let error = run(&cluster, &[object]).await.unwrap_err();
    assert!(error.to_string().contains("currently unable to handle the request"), "{error}");
}

#[tokio::test]
async fn a_refusal_is_told_at_once_with_its_reason() {
    let server = ApiServer::new();
    let (place, _listening) = place(&server).await;
    let cluster = place.connect().await.unwrap();
    for code in [429, 503, 504] {
        server.fail_always("configmaps", Fault::status(code, "X", "etcdserver: no leader"));
        let before = server.seen().len();
        let error = run(&cluster, &[config("a", "1")]).await.unwrap_err();
        assert!(error.to_string().contains("etcdserver: no leader"), "{error}");
        let sent = server.seen()[before..].iter().filter(|seen| seen.path.contains("configmaps")).count();
        assert_eq!(sent, 1, "{code}");
        server.resume();
    }
    server.fail_always("configmaps", Fault::Answer(503, serde_json::Value::Null));
    let error = run(&cluster, &[config("a", "1")]).await.unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
}

#[tokio::test]
async fn who_is_told_to_come_back_does_and_not_for_ever() {
    let server = ApiServer::new();
    let (place, _listening) = place(&server).await;
    let cluster = place.connect().await.unwrap();
    server.fail_on("PATCH", "configmaps/a", Fault::Later(429, 1));
    run(&cluster, &[config("a", "1")]).await.unwrap();
    assert!(server.get("ConfigMap", Some("cards"), "a").is_some());
    // Longer than anybody waits.
    server.fail_always("configmaps/b", Fault::Later(503, 3600));
    let error = run(&cluster, &[config("b", "1")]).await.unwrap_err();
    assert!(error.to_string().contains("it has too much to do"), "{error}");
}

#[tokio::test]
async fn a_stream_that_does_not_begin_has_a_deadline() {
    let server = ApiServer::new();
    let (place, _listening) = place(&server).await;
    let mut options = place.options();
    options.timeout = Some(Duration::from_millis(300));
    server.fail(0, Fault::Slow(Duration::from_secs(60)));
    let error = crate::cluster::Cluster::connect(&options).await.map(drop).unwrap_err();
    assert!(matches!(error, ClusterError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_kind_of_the_inventory_that_is_silent_is_not_taken_for_gone() {
    let server = ApiServer::new();
    server.serve_kind(widget());
    server.without_aggregated_discovery();
    let (place, _listening) = place(&server).await;
    let cluster = place.connect().await.unwrap();
    let mut object = config("w", "1");
    (object["apiVersion"], object["kind"]) = ("metrics.example.com/v1beta1".into(), "Widget".into());
    run(&cluster, &[object]).await.unwrap();
    server.fail_always("/apis/metrics.example.com/v1beta1", Fault::status(503, "X", "no endpoints available"));
    let again = place.connect().await.unwrap();
    let error = crate::prune::preview(&again, &[config("a", "1")]).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("no endpoints available"), "{error}");
    let release = crate::apply::tests::release();
    let applied = apply(&again, &[config("a", "1")], &release, &ApplyOptions::default(), &|_| {}).await;
    assert!(!matches!(applied, Err(ApplyError::NoSuchKind { .. })), "{applied:?}");
}
