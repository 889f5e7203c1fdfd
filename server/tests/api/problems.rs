use card_core::problem::Code;
use reqwest::Method;
use serde_json::json;

use crate::app::{OPERATOR, TestApp, problem};

#[tokio::test]
async fn every_error_has_the_same_shape() {
    let app = TestApp::without_workers().await;
    let user = app.user("u").await;
    let raw = |token: &str, kind: &str, body: String| {
        app.request(Method::POST, "/tasks").bearer_auth(token).header("content-type", kind).body(body)
    };
    let json = "application/json";
    for (code, request) in [
        (Code::NotFound, app.request(Method::GET, "/nothing")),
        (Code::NotFound, app.client.get(app.url("/%00/..%2f"))),
        (Code::MethodNotAllowed, app.request(Method::PUT, "/tasks")),
        (Code::MethodNotAllowed, app.client.post(app.url("/health"))),
        (Code::Unauthorized, app.request(Method::POST, "/tasks").json(&json!({}))),
        (Code::Unauthorized, app.request(Method::GET, "/stats").header("authorization", "Basic eDp5")),
        (Code::Unauthorized, app.get("/stats", "op_wrong")),
        (Code::Forbidden, app.get("/stats", &user)),
        (Code::Forbidden, app.request(Method::POST, "/queue/pause").bearer_auth(&user)),
        (Code::MalformedJson, raw(OPERATOR, json, "{".to_owned())),
        (Code::MalformedJson, raw(OPERATOR, json, String::new())),
        (Code::MalformedJson, raw(OPERATOR, json, "[".repeat(1000))),
        (Code::UnsupportedMediaType, raw(OPERATOR, "text/plain", "{}".to_owned())),
        (Code::UnsupportedMediaType, app.request(Method::POST, "/tasks").bearer_auth(OPERATOR).body("{}")),
        (Code::PayloadTooLarge, raw(OPERATOR, json, " ".repeat(65_537))),
        (Code::HeadersTooLarge, app.get("/stats", OPERATOR).header("x", "y".repeat(17_000))),
        (Code::HeadersTooLarge, app.get(&format!("/stats?{}", "y".repeat(17_000)), OPERATOR)),
        (Code::ValidationFailed, app.get("/tasks?limit=x", OPERATOR)),
        (Code::BadRequest, app.get("/tasks/%ff", OPERATOR)),
    ] {
        let problem = problem(request).await;
        assert_eq!(problem.code, code, "{problem:?}");
    }
}

#[tokio::test]
async fn the_allow_header_says_what_works() {
    let app = TestApp::without_workers().await;
    let response = app.request(Method::PATCH, "/sessions").send().await.unwrap();
    let allow = response.headers()["allow"].to_str().unwrap();
    assert!(allow.contains("POST") && allow.contains("DELETE") && !allow.contains("PATCH"), "{allow}");
}

#[tokio::test]
async fn a_request_keeps_the_callers_id_if_it_is_a_plain_one() {
    let app = TestApp::without_workers().await;
    let id = |sent: &'static str| {
        let request = app.client.get(app.url("/health")).header("x-request-id", sent);
        async { request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned() }
    };
    assert_eq!(id("trace-1.a/b:c").await, "trace-1.a/b:c");
    for sent in ["", "a b", "<script>", "{}"] {
        assert_ne!(id(sent).await, sent);
    }
    assert_ne!(id("").await, id("").await);
}

#[tokio::test]
async fn a_body_may_have_just_the_limit() {
    let app = TestApp::without_workers().await;
    let body = r#"{"kind":"add","payload":{"x":1,"y":2}}"#;
    let body = format!("{body}{}", " ".repeat(65_536 - body.len()));
    let request = app
        .request(Method::POST, "/tasks")
        .bearer_auth(OPERATOR)
        .header("content-type", "application/json; charset=utf-8");
    assert_eq!(request.body(body).send().await.unwrap().status(), 202);
}
