//! Whole sets of objects that come up, late or one after another.

use std::time::Duration;

use card_kube::ObjectRef;
use card_kube::wait::{Awaited, Verdict, WaitOptions, wait};
use serde_json::{Value, json};

use crate::place::{Place, deployment};

fn ready_after(seconds: u32) -> Value {
    json!({"command": ["sh", "-c", format!("trap exit TERM; sleep {seconds}; touch /tmp/up; while :; do sleep 1; done")],
        "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_while_its_database_starts_is_waited_for() {
    let Some(place) = Place::new("together", json!({})).await else { return };
    place
        .apply(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "postgres"}, "spec": {
            "selector": {"app.kubernetes.io/name": "postgres"}, "ports": [{"port": 5432}]}}))
        .await;
    let mut database = deployment("postgres", ready_after(12), json!({}));
    database["spec"]["template"]["spec"]["containers"][0]["command"] =
        json!(["sh", "-c", "trap exit TERM; sleep 12; touch /tmp/up; while :; do echo hello | nc -l -p 5432; done"]);
    let postgres = place.apply(database).await;
    // Crashes until the database is there, faster than it is there.
    let server = json!({"command": ["sh", "-c", "trap exit TERM; nc -w 1 postgres 5432 </dev/null || { echo 'Connection refused'; exit 3; }; touch /tmp/up; while :; do sleep 1; done"],
        "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1}});
    let server = place.apply(deployment("server", server, json!({}))).await;
    let awaited = [Awaited::new(postgres.clone()), Awaited::new(server).after([postgres])];
    let mut waited_for = false;
    let ending = wait(&place.client, &awaited, WaitOptions::new(Duration::from_secs(120)), |snapshot| {
        let row = &snapshot.rows[1];
        waited_for |= row.finding.as_ref().is_some_and(|finding| !finding.terminal && !finding.waits_for.is_empty());
    })
    .await;
    place.remove().await;
    assert_eq!(ending.verdict, Verdict::Ready, "{:#?}", ending.last);
    assert!(waited_for, "it crashed, and that was known to be no verdict");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_deployment_is_not_failed_by_what_was_before() {
    let Some(place) = Place::new("fixed", json!({})).await else { return };
    let broken = deployment("web", json!({"command": ["sh", "-c", "exit 3"]}), json!({}));
    let web = [Awaited::new(place.apply(broken).await)];
    let failed = wait(&place.client, &web, WaitOptions::new(Duration::from_secs(60)), |_| {}).await;
    assert!(matches!(failed.verdict, Verdict::Failed { .. }), "{:#?}", failed.verdict);
    place.apply(deployment("web", ready_after(3), json!({}))).await;
    let mut blamed = None;
    let fixed = wait(&place.client, &web, WaitOptions::new(Duration::from_secs(60)), |snapshot| {
        let crashed = snapshot.rows[0].finding.clone().filter(|finding| finding.exit_code.is_some());
        blamed = crashed.or(blamed.take());
    })
    .await;
    place.remove().await;
    assert_eq!(fixed.verdict, Verdict::Ready, "{:#?}", fixed.last);
    assert_eq!(blamed, None, "the old pods' crashes are not about the new version");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_slow_ends_at_the_deadline_and_is_no_failure() {
    let Some(place) = Place::new("slow", json!({})).await else { return };
    let web = [Awaited::new(place.apply(deployment("web", ready_after(300), json!({}))).await)];
    let ending = wait(&place.client, &web, WaitOptions::new(Duration::from_secs(8)), |_| {}).await;
    place.remove().await;
    let Verdict::TimedOut { missing, .. } = ending.verdict else { panic!("{:#?}", ending.verdict) };
    assert_eq!(
        missing[0].object,
        ObjectRef { namespace: missing[0].object.namespace.clone(), ..web[0].object.clone() }
    );
    assert_eq!((missing[0].state.ready, missing[0].state.wanted), (Some(0), Some(1)));
}
