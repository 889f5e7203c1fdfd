use card_core::tasks::{Stats, Status};
use reqwest::Method;

use crate::app::{OPERATOR, TestApp, eventually, ok};

#[tokio::test]
async fn a_paused_queue_accepts_and_does_not_work() {
    let app = TestApp::start().await;
    let queue = |to: &str| app.request(Method::POST, &format!("/queue/{to}")).bearer_auth(OPERATOR).send();
    assert_eq!(queue("pause").await.unwrap().status(), 204);
    let task = app.add(OPERATOR, "r").await;
    let stats: Stats = ok(app.get("/stats", OPERATOR)).await;
    assert_eq!((stats.queue.ready, stats.queue.paused, stats.accepted_total, stats.settled_total), (1, true, 1, 0));
    assert_eq!(queue("resume").await.unwrap().status(), 204);
    assert_eq!(app.finished(task.id).await.status, Status::Succeeded);
    let stats: Stats = ok(app.get("/stats", OPERATOR)).await;
    assert_eq!((stats.queue.ready, stats.queue.paused, stats.settled_total), (0, false, 1));
    eventually("a worker is seen", async || {
        let stats: Stats = ok(app.get("/stats", OPERATOR)).await;
        (stats.workers.len() == 1 && stats.workers[0].host == "test").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_scaling_signal_needs_no_token() {
    let app = TestApp::without_workers().await;
    app.add(OPERATOR, "r").await;
    let signal: serde_json::Value = ok(app.client.get(app.url("/scaling"))).await;
    assert_eq!((&signal["backlog"], &signal["by_kind"]["add"]["backlog"]), (&1.into(), &1.into()));
    let none = serde_json::json!({"backlog": 0, "oldest_age_ms": 0, "dead": 0});
    assert_eq!(signal["by_kind"]["replacement"], none);
}
