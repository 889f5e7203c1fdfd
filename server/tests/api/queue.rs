use card_core::problem::Code;
use card_core::tasks::{Stats, Status, Task};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{OPERATOR, TestApp, eventually, ok, problem};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_scale_by_the_requests_under_way() {
    let app = TestApp::without_workers().await;
    let in_flight = async || {
        let signal: Value = ok(app.client.get(app.url("/scaling"))).await;
        signal["requests_in_flight"].as_f64().unwrap()
    };
    assert!(in_flight().await < 1.0);
    // Their bodies do not come to an end.
    let asking: Vec<_> = (0..40)
        .map(|_| {
            let body = reqwest::Body::wrap_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
            let request = app.request(reqwest::Method::POST, "/users").header("content-type", "application/json");
            tokio::spawn(request.body(body).send())
        })
        .collect();
    eventually("it is seen", async || (in_flight().await > 10.0).then_some(())).await;
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("and that they are gone", async || (in_flight().await < 5.0).then_some(())).await;
}

#[tokio::test]
async fn a_worker_does_the_kinds_it_is_told_and_each_has_a_signal_of_its_own() {
    let app = TestApp::with(1, |settings| settings.worker.kinds = "purchase".to_owned()).await;
    let token = app.user("p").await;
    let left: Task = app.add(&token, "r").await;
    for _ in 0..3 {
        let bought: Task = ok(app.post("/purchases", &token, &json!({"price": "1"}))).await;
        app.finished(bought.id).await;
    }
    let still: Task = ok(app.get(&format!("/tasks/{}", left.id), &token)).await;
    assert_eq!(still.status, Status::Queued);
    let scaling = async |kind: &str| ok::<Value>(app.client.get(app.url(&format!("/scaling?kind={kind}")))).await;
    let (adds, purchases) = (scaling("add").await, scaling("purchase").await);
    assert_eq!((&adds["backlog"], &purchases["backlog"]), (&json!(1), &json!(0)));
    assert!(adds["by_kind"].as_object().unwrap().keys().eq(["add"]));
    let all: Value = ok(app.client.get(app.url("/scaling"))).await;
    assert_eq!(all["backlog"], json!(1));
    let odd = problem(app.client.get(app.url("/scaling?kind=adds"))).await;
    assert_eq!((odd.code, odd.errors[0].pointer.as_str()), (Code::ValidationFailed, "kind"));
}
