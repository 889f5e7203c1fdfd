//! P7: what must not be written down is not, not even before the log's mask.

use std::io::Write;
use std::sync::{Arc, Mutex};

use card_core::ids::TaskId;
use card_core::problem::Code;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{OPERATOR, PASSWORD, TestApp, ok, problem};

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_token_and_no_password_reaches_a_log_a_metric_or_an_error() {
    let capture = Capture::default();
    let writer = capture.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let app = TestApp::start().await;
    app.register("ada").await;
    let tokens: Value = app.sign_in("ada", PASSWORD).await.json().await.unwrap();
    let (access, refresh) = (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    app.finished(app.replace(access).await.id).await;
    let mut errors = String::new();
    for request in [
        app.request(Method::POST, "/sessions").json(&json!({"username": "ada", "password": "wrong-password"})),
        app.request(Method::POST, "/sessions").json(&json!({"username": "ada", "password": ["wrong-password"]})),
        app.request(Method::POST, "/users")
            .json(&json!({"username": "wrong-password", "password": "wrong-password", "wrong": "wrong-password"})),
        app.request(Method::POST, "/users")
            .header("content-type", "application/json")
            .body(r#"{"username":"x","password":"wrong-password"#),
        app.get("/stats", access),
        app.get("/cards", "wrong-token"),
        app.request(Method::POST, "/sessions/refresh").bearer_auth("rt_wrong-token"),
    ] {
        errors += &request.send().await.unwrap().text().await.unwrap();
    }
    let _: Value = ok(app.request(Method::POST, "/sessions/refresh").bearer_auth(refresh)).await;
    errors += &app
        .request(Method::POST, "/sessions/refresh")
        .bearer_auth(refresh)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let metrics = app.client.get(app.url("/metrics")).send().await.unwrap().text().await.unwrap();
    app.stop().await;
    let ours = |line: &&str| line.contains("card_") || line.contains("api");
    let log = String::from_utf8_lossy(&capture.0.lock().unwrap()).into_owned();
    let log: String = log.lines().filter(ours).collect();
    assert!(log.contains("a request was refused"), "the capture works");
    for secret in [access, refresh, OPERATOR, PASSWORD, "wrong-password", "wrong-token", "argon2id"] {
        for (place, text) in [("log", &log), ("metrics", &metrics), ("errors", &errors)] {
            assert!(!text.contains(secret), "{secret} in the {place}");
        }
    }
}

/// Each text that a caller chooses and that is kept or repeated, with a card's number in it.
#[tokio::test]
async fn no_chosen_text_holds_a_number_of_a_card() {
    let app = TestApp::start().await;
    let token = app.user("ada").await;
    let replacement = || app.post("/replacements", &token, &json!({"reason": "lost"}));
    let add = || app.post("/tasks", &token, &json!({"kind": "add", "payload": {"x": 1, "y": 2}}));
    for number in ["4111111111111111", "4111-1111-1111-1111", "5500.0000.0000.0004", "n4111111111111111x"] {
        let account = json!({"username": number, "password": PASSWORD});
        let generated = json!({"run": number, "from": 0, "count": 1});
        let cancel = json!({"reason": format!("asked for by {number}")});
        let discard = json!({"filter": {}, "reason": format!("asked for by {number}")});
        let filter = json!({"filter": {"run": number}, "reason": "r", "dry_run": true});
        for (pointer, request) in [
            ("x-run-id", replacement().header("x-run-id", number)),
            ("x-run-id", add().header("x-run-id", number)),
            ("idempotency-key", replacement().header("idempotency-key", number)),
            ("idempotency-key", add().header("idempotency-key", number)),
            ("/username", app.request(Method::POST, "/users").json(&account)),
            ("/username", app.request(Method::POST, "/sessions").json(&account)),
            ("/run", app.post("/synthetic-users", OPERATOR, &generated)),
            ("run", app.delete(&format!("/synthetic-users?run={number}"), OPERATOR)),
            ("run", app.get(&format!("/tasks?run={number}"), OPERATOR)),
            ("run", app.get(&format!("/events?run={number}"), OPERATOR)),
            ("run", app.get(&format!("/dead-letters?run={number}"), OPERATOR)),
            ("/reason", app.post("/dead-letters/discard", OPERATOR, &discard)),
            ("/reason", app.post(&format!("/tasks/{}/cancel", TaskId::new()), OPERATOR, &cancel)),
        ] {
            let problem = problem(request).await;
            assert_eq!(problem.code, Code::ValidationFailed, "{number}: {problem:?}");
            assert_eq!(problem.errors[0].pointer, pointer, "{number}: {problem:?}");
            assert!(!serde_json::to_string(&problem).unwrap().contains(number), "{problem:?}");
        }
        // What only finds something is not kept.
        ok::<Value>(app.post("/dead-letters/discard", OPERATOR, &filter)).await;
        let answer = app.get("/stats", OPERATOR).header("x-request-id", number).send().await.unwrap();
        assert_ne!(answer.headers()["x-request-id"], number, "another id stands in its place");
    }
    // A generated user's name is the run's and a number.
    let split = json!({"run": "411111111111", "from": 1110, "count": 2});
    assert_eq!(problem(app.post("/synthetic-users", OPERATOR, &split)).await.errors[0].pointer, "/run");
    app.register("grace").await;
    let agent = app.request(Method::POST, "/sessions").header("user-agent", "app/1 4111111111111111");
    let signed: Value = ok(agent.json(&json!({"username": "grace", "password": PASSWORD}))).await;
    let sessions: Value = ok(app.get("/sessions", signed["access_token"].as_str().unwrap())).await;
    assert_eq!(sessions["items"][0]["agent"], "app/1 [card]", "{sessions}");
}
