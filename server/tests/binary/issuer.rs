use card_core::ids::{TaskId, UserId};
use card_core::process::Part;
use reqwest::Method;
use serde_json::json;

use crate::place::{OPERATOR, Place};
use crate::running::{Running, answer};

#[tokio::test]
async fn an_issuer_alone_issues_and_counts() {
    let place = Place::new();
    let issuer = place.start(&["issuer", "--address", "127.0.0.1:0"]).await;
    assert_eq!(issuer.said.component, Part::Issuer);
    let order = json!({"idempotency_key": TaskId::new(), "user": UserId::new(), "reason": "lost"});
    let (status, card) = issuer.post("/issue", "", &order).await;
    assert_eq!(status, 200, "{card}");
    assert_eq!(issuer.post("/issue", "", &order).await.1, card);
    assert_eq!(issuer.get("/health").await, (200, json!({"status": "ok", "version": card_core::VERSION})));
    let (status, ready) = issuer.get("/ready").await;
    assert_eq!((status, &ready["ready"]), (200, &json!(true)));
    let (status, metrics) = issuer.get("/metrics").await;
    assert_eq!(status, 200);
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains(r#"issuer_answers_total{outcome="issued"} 2"#), "{metrics}");
    issuer.stop().await;
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "an issuer keeps nothing");
}

#[tokio::test]
async fn only_the_operator_changes_an_issuer_that_knows_one() {
    let place = Place::new();
    let flaky = json!({"error_rate": 1.0});
    let known = place.start(&["issuer", "--address", "127.0.0.1:0"]).await;
    assert_eq!(answer(known.request(Method::PUT, "/behaviour").json(&flaky)).await.0, 401);
    assert_eq!(answer(known.request(Method::PUT, "/behaviour").bearer_auth(OPERATOR).json(&flaky)).await.0, 200);
    known.stop().await;
    let open = Running::start(place.bare(&["issuer", "--address", "127.0.0.1:0", "--announce"])).await;
    assert_eq!(answer(open.request(Method::PUT, "/behaviour").json(&flaky)).await.0, 200);
    open.stop().await;
}

#[tokio::test]
async fn a_server_s_workers_call_the_issuer_that_the_settings_name() {
    let place = Place::new();
    let mut command = place.command(&["issuer", "--address", "127.0.0.1:0", "--announce"]);
    command.env("CARDCTL_ISSUER_DECLINE_RATE", "1");
    let issuer = Running::start(command).await;
    let mut command = place.command(&["--announce"]);
    command.env("CARDCTL_WORKER_ISSUER_URL", format!("http://{}", issuer.said.address));
    let server = Running::start(command).await;
    let (_, users) =
        server.post("/api/v1/synthetic-users", OPERATOR, &json!({"run": "r", "from": 0, "count": 1})).await;
    let token = users["users"][0]["access_token"].as_str().unwrap();
    let (_, task) = server.post("/api/v1/replacements", token, &json!({"reason": "lost"})).await;
    let (_, task) = server.get(&format!("/api/v1/tasks/{}?wait=30s", task["id"].as_str().unwrap())).await;
    assert_eq!(task["status"], "declined", "{task}");
    server.stop().await;
    issuer.stop().await;
}
