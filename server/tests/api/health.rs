use serde_json::Value;

use crate::app::{OPERATOR, TestApp, eventually, ok};

#[tokio::test]
async fn a_platform_is_alive_and_ready() {
    let app = TestApp::start().await;
    let alive: Value = ok(app.client.get(app.url("/health"))).await;
    assert_eq!(alive["status"], "ok");
    let ready: Value = ok(app.client.get(app.url("/ready"))).await;
    assert_eq!(ready["ready"], true);
}

#[tokio::test]
async fn a_closed_ledger_is_alive_and_not_ready() {
    let app = TestApp::without_workers().await;
    app.store.engine.close().await;
    assert_eq!(app.client.get(app.url("/health")).send().await.unwrap().status(), 200);
    let response = app.client.get(app.url("/ready")).send().await.unwrap();
    assert_eq!(response.status(), 503);
    let ready: Value = response.json().await.unwrap();
    assert_eq!(ready["ready"], false);
    assert_eq!((&ready["checks"][0]["name"], &ready["checks"][0]["ok"]), (&"ledger".into(), &false.into()));
    let body = serde_json::json!({"kind": "add", "payload": {"x": 1, "y": 2}});
    assert_eq!(crate::app::problem(app.post("/tasks", OPERATOR, &body)).await.status, 503);
}

#[tokio::test]
async fn metrics_name_routes_by_their_templates() {
    let app = TestApp::start().await;
    let task = app.add(OPERATOR, "r").await;
    app.finished(task.id).await;
    let _ = app.client.get(app.url("/nothing/here")).send().await.unwrap();
    let text = eventually("the metrics", async || {
        let text = app.client.get(app.url("/metrics")).send().await.unwrap().text().await.unwrap();
        text.contains("workers_alive 1").then_some(text)
    })
    .await;
    for line in [
        r#"http_requests_total{method="POST",route="/api/v1/tasks",status="202"} 1"#,
        r#"http_requests_total{method="GET",route="/api/v1/tasks/{id}",status="200"} 1"#,
        r#"http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"http_request_duration_seconds_count{method="POST",route="/api/v1/tasks"} 1"#,
        r#"tasks_accepted_total{kind="add"} 1"#,
        "http_requests_in_flight 0",
        r#"tasks_settled_total{kind="add",status="cancelled"} 0"#,
        r#"dead_letters{kind="add"} 0"#,
        r#"dead_letters{kind="replacement"} 0"#,
        r#"queue_oldest_age_seconds{kind="add"} "#,
        r#"queue_backlog{kind="replacement"} 0"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains(&task.id.to_string()), "never the raw path");
}
