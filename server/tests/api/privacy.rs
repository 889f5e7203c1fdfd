//! P7: what must not be written down is not, not even before the log's mask.

use std::io::Write;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{OPERATOR, PASSWORD, TestApp, ok};

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
