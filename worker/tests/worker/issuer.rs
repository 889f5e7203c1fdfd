//! The issuer over real HTTP.

use std::time::{Duration, Instant};

use card_core::ids::{TaskId, UserId};
use card_issuer::Behaviour;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::simulated::{Issuer, prompt, read};

#[tokio::test]
async fn the_same_key_gets_the_same_card_even_from_a_issuer_that_was_restarted() {
    let (issuer, key) = (Issuer::start(prompt()).await, TaskId::new());
    let (status, card) = issuer.issue(key).await;
    assert_eq!(status, 200);
    assert_eq!(issuer.issue(key).await, (200, card.clone()));
    assert_ne!(issuer.issue(TaskId::new()).await.1, card);
    issuer.stop().await;
    assert_eq!(Issuer::start(prompt()).await.issue(key).await, (200, card));
}

#[tokio::test]
async fn a_decline_stays_one_when_the_rate_falls() {
    let (issuer, key) = (Issuer::start(Behaviour { decline_rate: 1.0, ..prompt() }).await, TaskId::new());
    let (status, problem) = issuer.issue(key).await;
    assert_eq!((status, problem["code"].as_str()), (402, Some("declined")));
    assert_eq!(issuer.behave(json!({"decline_rate": 0})).await.0, 200);
    assert_eq!(issuer.issue(key).await.0, 402);
    assert_eq!(issuer.issue(TaskId::new()).await.0, 200);
}

#[tokio::test]
async fn an_outage_begins_and_ends() {
    let issuer = Issuer::start(prompt()).await;
    let (status, behaviour) = issuer.behave(json!({"outage": {"for_ms": 300}})).await;
    assert_eq!(status, 200);
    assert!(behaviour["outage"]["until"].is_string());
    assert_eq!(issuer.issue(TaskId::new()).await.1["code"], "unavailable");
    let begun = Instant::now();
    while issuer.issue(TaskId::new()).await.0 == 503 {
        assert!(begun.elapsed() < Duration::from_secs(10), "an outage of 300 ms has not ended");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(150));
    assert!(read(issuer.request(Method::GET, "/behaviour")).await.1["outage"].is_null());
    issuer.behave(json!({"outage": {"for_ms": 60_000}})).await;
    assert_eq!(issuer.issue(TaskId::new()).await.0, 503);
    issuer.behave(json!({"outage": null})).await;
    assert_eq!(issuer.issue(TaskId::new()).await.0, 200);
}

#[tokio::test]
async fn the_behaviour_changes_in_part_or_not_at_all() {
    let issuer = Issuer::start(prompt()).await;
    let (status, changed) = issuer.behave(json!({"error_rate": 1, "latency_p99_ms": 1})).await;
    assert_eq!(
        (status, changed["error_rate"].as_f64(), changed["latency_p50_ms"].as_f64()),
        (200, Some(1.0), Some(0.0))
    );
    assert_eq!(issuer.issue(TaskId::new()).await.0, 503);
    for wrong in
        [json!({"error_rate": 0, "decline_rate": 2}), json!({"eror_rate": 0}), json!({"outage": {}}), json!([])]
    {
        let (status, problem) = issuer.behave(wrong).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("validation-failed")));
    }
    assert_eq!(read(issuer.request(Method::GET, "/behaviour")).await, (200, changed));
}

#[tokio::test]
async fn only_the_operator_changes_the_behaviour() {
    let issuer = Issuer::start(prompt()).await;
    let put = || issuer.request(Method::PUT, "/behaviour").json(&json!({"error_rate": 1}));
    for request in
        [put(), put().bearer_auth("op_0123456789abcdeX"), put().bearer_auth(""), put().basic_auth("a", Some("b"))]
    {
        let (status, problem) = read(request).await;
        assert_eq!((status, problem["code"].as_str()), (401, Some("unauthorized")));
    }
    assert_eq!(issuer.issue(TaskId::new()).await.0, 200);
    let open = Issuer::start_with(prompt(), None).await;
    assert_eq!(read(open.request(Method::PUT, "/behaviour").json(&json!({"error_rate": 1}))).await.0, 200);
}

#[tokio::test]
async fn a_request_that_is_none_is_a_problem_with_a_code() {
    let issuer = Issuer::start(prompt()).await;
    let post = || issuer.request(Method::POST, "/issue");
    let json = "application/json";
    let key = TaskId::new();
    for (request, status, code) in [
        (post().header("content-type", json).body("{"), 400, "malformed-json"),
        (post().body("{}"), 415, "unsupported-media-type"),
        (post().json(&json!({})), 422, "validation-failed"),
        (post().json(&json!({"idempotency_key": key, "user": key, "reason": "lost"})), 422, "validation-failed"),
        (post().header("content-type", json).body(vec![b' '; 20_000]), 413, "payload-too-large"),
        (issuer.request(Method::GET, "/nothing"), 404, "not-found"),
        (issuer.request(Method::DELETE, "/issue"), 405, "method-not-allowed"),
    ] {
        let (answered, problem) = read(request).await;
        assert_eq!((answered, problem["code"].as_str()), (status, Some(code)));
    }
    let refused = issuer.request(Method::DELETE, "/issue").send().await.unwrap();
    assert_eq!(refused.headers()["allow"], "POST");
    assert_eq!(read(issuer.request(Method::GET, "/health")).await.0, 200);
    for (method, path) in [(Method::GET, "/health"), (Method::GET, "/metrics"), (Method::POST, "/issue")] {
        let (status, problem) = read(issuer.request(method, &format!("{path}?x=1"))).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("validation-failed")), "{path}");
    }
    assert_eq!(read(issuer.request(Method::GET, "/nothing?x=1")).await.0, 404);
}

#[tokio::test]
async fn a_issuer_that_hangs_can_be_stopped() {
    let issuer = Issuer::start(Behaviour { hang_rate: 1.0, ..prompt() }).await;
    let body = json!({"idempotency_key": TaskId::new(), "user": UserId::new(), "reason": "lost"}).to_string();
    let head = "POST /issue HTTP/1.1\r\nhost: issuer\r\ncontent-type: application/json\r\ncontent-length:";
    let mut hanging = TcpStream::connect(issuer.address).await.unwrap();
    hanging.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let quick = issuer.request(Method::GET, "/health").timeout(Duration::from_secs(5));
    assert_eq!(read(quick).await.0, 200, "others are answered meanwhile");
    let begun = Instant::now();
    issuer.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    let mut answer = Vec::new();
    // Cut off or told so; either way it does not go on hanging.
    let _ = hanging.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 503"));
}

#[tokio::test]
async fn what_is_not_http_is_cut_off_and_others_do_not_notice() {
    let issuer = Issuer::start(prompt()).await;
    let mut stream = TcpStream::connect(issuer.address).await.unwrap();
    stream.write_all(b"\x16\x03\x01 hello\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"));
    assert_eq!(issuer.issue(TaskId::new()).await.0, 200);
}
