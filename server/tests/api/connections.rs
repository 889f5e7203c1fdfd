use std::time::{Duration, Instant};

use card_core::tasks::Task;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::app::{OPERATOR, PATIENCE, TestApp, ok};
use crate::stream::EventStream;

async fn connect(app: &TestApp, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.platform.address()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Everything until the server closes; resets count as closing.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_client_that_never_ends_its_headers_is_cut_off_and_others_do_not_notice() {
    let app = TestApp::with(0, |settings| settings.server.read_timeout = Duration::from_millis(300)).await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        slow.push(connect(&app, "GET /health HTTP/1.1\r\nhost: x\r\nx-drip: ").await);
    }
    let _: Value = ok(app.client.get(app.url("/ready"))).await;
    for stream in slow {
        assert_eq!(rest(stream).await, "");
    }
    let _: Value = ok(app.client.get(app.url("/ready"))).await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_a_timeout() {
    let app = TestApp::with(0, |settings| settings.server.read_timeout = Duration::from_millis(300)).await;
    let head = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR}\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{{"
    );
    let answer = rest(connect(&app, &head).await).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"code\":\"request-timeout\""), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_came() {
    let app = TestApp::without_workers().await;
    for framing in [
        "content-length: 100000000\r\n\r\n".to_owned(),
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n", 70_000, "x".repeat(70_000)),
    ] {
        let head = format!(
            "POST /api/v1/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR}\r\ncontent-type: application/json\r\n{framing}"
        );
        let answer = rest(connect(&app, &head).await).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("\"code\":\"payload-too-large\""), "{answer}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_hurts_nobody() {
    let app = TestApp::without_workers().await;
    for garbage in [
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
    ] {
        let answer = rest(connect(&app, garbage).await).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    let endless = format!("GET /{} HTTP/1.1\r\n", "x".repeat(200_000));
    let mut stream = TcpStream::connect(app.platform.address()).await.unwrap();
    // The server may close before all of it is sent.
    let _ = stream.write_all(endless.as_bytes()).await;
    let answer = rest(stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    let _: Value = ok(app.client.get(app.url("/ready"))).await;
}

#[tokio::test]
async fn requests_can_be_pipelined() {
    let app = TestApp::without_workers().await;
    let request = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = rest(connect(&app, &format!("{request}{request}{last}")).await).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
}

#[tokio::test]
async fn an_idle_connection_and_an_open_stream_outlive_the_time_for_headers() {
    let app = TestApp::with(0, |settings| settings.server.read_timeout = Duration::from_millis(200)).await;
    let mut events = EventStream::open(app.get("/events", OPERATOR)).await;
    assert_eq!(events.next().await.unwrap().kind, "hello");
    let mut idle = connect(&app, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut begin = [0; 15];
    idle.read_exact(&mut begin).await.unwrap();
    let task = app.add(OPERATOR, "r").await;
    // A long-poll is the clock: it ends when the time is up.
    let _: Task = ok(app.get(&format!("/tasks/{}?wait=600ms", task.id), OPERATOR)).await;
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert_eq!(rest(idle).await.matches("HTTP/1.1 200 OK").count(), 1);
    assert_eq!(events.state().await.unwrap().task().id, task.id);
    app.add(OPERATOR, "r").await;
    assert!(events.state().await.is_some());
}

#[tokio::test]
async fn headers_that_drip_on_a_used_connection_are_cut_off_too() {
    let app = TestApp::with(0, |settings| settings.server.read_timeout = Duration::from_millis(200)).await;
    let mut stream = connect(&app, "GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut begin = [0; 15];
    stream.read_exact(&mut begin).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nx-drip: ").await.unwrap();
    let begin = Instant::now();
    rest(stream).await;
    assert!(begin.elapsed() < Duration::from_secs(10));
}
