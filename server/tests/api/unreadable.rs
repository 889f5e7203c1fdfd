//! What can't be read as a request gets an answer all the same, after the answers to all that came before it. With raw
//! sockets, as no client sends these.

use std::net::SocketAddr;

use card_core::problem::Code;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::app::{OPERATOR, PATIENCE, TestApp, ok};

const BAD: Code = Code::BadRequest;

/// Bytes, and the code that they get.
fn probes() -> Vec<(Vec<u8>, Code)> {
    let get = |headers: &str| format!("GET /health HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n").into_bytes();
    let line = |line: &str| format!("{line}\r\nhost: x\r\n\r\n").into_bytes();
    let raw = |bytes: &[u8]| bytes.to_vec();
    vec![
        // What is no HTTP/1.1.
        (raw(b"\0\x01\x02\r\n\r\n"), BAD),
        (raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), BAD),
        (raw(b"\x80\x2e\x01\x03\x01\x00\x15"), BAD),
        (raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), BAD),
        (raw(b"GET /health\r\n"), BAD),
        (raw(b"GET /health\r\n\r\n"), BAD),
        (raw(b"GET\r\n\r\n"), BAD),
        (raw(b"hello\r\n\r\n"), BAD),
        (raw(b"SSH-2.0-OpenSSH_9.9\r\n"), BAD),
        (raw(b"{\"kind\":\"add\"}\n"), BAD),
        // The first line.
        (line("GET /health HTTP/1.2"), BAD),
        (line("GET /health HTTP/2"), BAD),
        (line("GET /health http/1.1"), BAD),
        (line("GET  /health HTTP/1.1"), BAD),
        (line("GET /health  HTTP/1.1"), BAD),
        (line("G<T /health HTTP/1.1"), BAD),
        (line("GET\t/health HTTP/1.1"), BAD),
        (line("GET /he alth HTTP/1.1"), BAD),
        (line("GET /\x01 HTTP/1.1"), BAD),
        (line("GET health HTTP/1.1"), Code::NotFound),
        (line("GET http:// HTTP/1.1"), BAD),
        // Headers.
        (get("bad header"), BAD),
        (get("bad header: x"), BAD),
        (get("x : y"), BAD),
        (get(": y"), BAD),
        (get("x\0: y"), BAD),
        (get("x: a\0b"), BAD),
        (get("x: a\rb"), BAD),
        (get("x: a\r\n folded"), BAD),
        (get(" x: folded"), BAD),
        (get("x: \x7f"), BAD),
        (get(&format!("x: {}", "y".repeat(17_000))), Code::HeadersTooLarge),
        (get(&format!("x: {}", "y".repeat(300_000))), Code::HeadersTooLarge),
        (get(&format!("{}: y", "x".repeat(70_000))), Code::HeadersTooLarge),
        (get(&vec!["x: y"; 150].join("\r\n")), Code::HeadersTooLarge),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(200_000)).into_bytes(), Code::HeadersTooLarge),
        // The host.
        (raw(b"GET /health HTTP/1.1\r\n\r\n"), BAD),
        (get("host: x"), BAD),
        (raw(b"GET /health HTTP/1.1\r\nhost: a b\r\n\r\n"), BAD),
        (raw(b"GET /health HTTP/1.1\r\nhost: a/b\r\n\r\n"), BAD),
        (raw(b"GET /health HTTP/1.1\r\nhost: user@a\r\n\r\n"), BAD),
        // How long the body is.
        (get("content-length: 1\r\ncontent-length: 2\r\n\r\n12"), BAD),
        (get("content-length: 1\r\ncontent-length: 1\r\n\r\n1"), BAD),
        (get("content-length: 1, 1\r\n\r\n1"), BAD),
        (get("content-length: +1\r\n\r\n1"), BAD),
        (get("content-length: -1"), BAD),
        (get("content-length: 0x1\r\n\r\n1"), BAD),
        (get("content-length: 1 1\r\n\r\n1"), BAD),
        (get("content-length:"), BAD),
        (get("content-length: 99999999999999999999999"), Code::PayloadTooLarge),
        (get("content-length: 18446744073709551615"), Code::PayloadTooLarge),
        (get("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), BAD),
        (get("transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"), BAD),
        (get("transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), BAD),
        (get("transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n"), BAD),
        (get("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), BAD),
        (get("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"), BAD),
        (get("transfer-encoding: identity"), BAD),
        (raw(b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), BAD),
    ]
}

/// A write that is accepted, and is not the last of its connection.
fn write(framing: &str) -> String {
    let headers = format!("host: x\r\nauthorization: Bearer {OPERATOR}\r\ncontent-type: application/json");
    format!("POST /api/v1/tasks HTTP/1.1\r\n{headers}\r\nx-run-id: raw\r\n{framing}")
}

const BODY: &str = r#"{"kind":"add","payload":{"x":1,"y":2}}"#;

fn good() -> String {
    write(&format!("content-length: {}\r\n\r\n{BODY}", BODY.len()))
}

fn chunked() -> String {
    write(&format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len()))
}

/// Everything that is answered until the server closes, to a client that goes on waiting.
async fn said(address: SocketAddr, bytes: &[u8]) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let bytes = bytes.to_vec();
    // At the same time: what is too large may be answered before all of it is sent.
    let sending = tokio::spawn(async move {
        let _ = writing.write_all(&bytes).await;
        writing
    });
    let mut answer = Vec::new();
    timeout(PATIENCE, reading.read_to_end(&mut answer)).await.expect("the server closes").unwrap();
    drop(sending.await.unwrap());
    String::from_utf8(answer).unwrap()
}

/// The answers in a text, each with its status, its headers and its body.
fn answers(text: &str) -> Vec<(u16, String, String)> {
    let (mut rest, mut all) = (text, Vec::new());
    while !rest.is_empty() {
        let (head, after) = rest.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{rest:?} in {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let headers = head.to_ascii_lowercase();
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let (body, next) = after.split_at(length);
        all.push((status, headers, body.to_owned()));
        rest = next;
    }
    all
}

fn assert_refused((status, headers, body): &(u16, String, String), code: Code, what: &str) {
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body:?} for {what}"));
    assert_eq!((problem["code"].as_str(), *status), (Some(code.as_str()), code.status()), "{what}: {body}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{what}: {body}");
    assert!(headers.contains("\r\ncontent-type: application/problem+json"), "{what}: {headers}");
    if code != Code::NotFound {
        assert!(headers.contains("\r\nconnection: close"), "{what}: {headers}");
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).escape_debug().to_string()
}

#[tokio::test]
async fn whatever_is_sent_is_answered_with_a_problem_and_the_end() {
    let app = TestApp::without_workers().await;
    for (probe, code) in probes().into_iter().filter(|(_, code)| *code != Code::NotFound) {
        let what = shown(&probe);
        let all = answers(&said(app.platform.address(), &probe).await);
        assert_eq!(all.len(), 1, "{what}: {all:?}");
        assert_refused(&all[0], code, &what);
        assert!(all[0].1.contains("\r\nx-request-id: "), "{what}");
        assert_eq!(serde_json::from_str::<Value>(&all[0].2).unwrap()["status"], code.status(), "{what}");
    }
    let metrics = app.client.get(app.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"http_requests_total{method="other",route="unmatched",status="400"}"#), "{metrics}");
}

#[tokio::test]
async fn what_was_accepted_before_it_is_answered_before_it() {
    let app = TestApp::without_workers().await;
    let mut accepted = 0;
    for (probe, code) in probes().into_iter().filter(|(_, code)| *code != Code::NotFound) {
        let what = shown(&probe);
        let all =
            answers(&said(app.platform.address(), &[good().as_bytes(), chunked().as_bytes(), &probe].concat()).await);
        assert_eq!(all.iter().map(|answer| answer.0).collect::<Vec<_>>(), [202, 202, code.status()], "{what}");
        assert_refused(&all[2], code, &what);
        accepted += 2;
    }
    let stats: Value = ok(app.get("/stats", OPERATOR)).await;
    assert_eq!(stats["accepted_total"], accepted, "what is done is told, and what is told is done");
}

#[tokio::test]
async fn the_issuers_port_answers_as_well() {
    let app = TestApp::start().await;
    let issuer = app.platform.issuer_address().unwrap();
    for (probe, code) in probes().into_iter().filter(|(_, code)| *code != Code::NotFound) {
        let what = shown(&probe);
        let before = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
        let all = answers(&said(issuer, &[before.as_bytes(), &probe].concat()).await);
        assert_eq!(all.iter().map(|answer| answer.0).collect::<Vec<_>>(), [200, code.status()], "{what}");
        assert_refused(&all[1], code, &what);
    }
}

#[tokio::test]
async fn an_answer_does_not_wait_for_the_next_request() {
    let app = TestApp::without_workers().await;
    for next in ["G", "GET /health HTTP/1.1\r\nhost: ", "\r\n"] {
        let mut stream = TcpStream::connect(app.platform.address()).await.unwrap();
        stream.write_all(format!("{}{next}", good()).as_bytes()).await.unwrap();
        let mut begin = [0; 13];
        timeout(PATIENCE, stream.read_exact(&mut begin)).await.expect("an answer").unwrap();
        assert_eq!(&begin, b"HTTP/1.1 202 ");
    }
}

#[tokio::test]
async fn who_has_said_all_and_closes_its_side_is_answered() {
    let app = TestApp::without_workers().await;
    for requests in [good(), chunked(), good().repeat(3), format!("{}GET /health HTTP/1.1\r\nhost: x\r\n\r\n", good())]
    {
        let mut stream = TcpStream::connect(app.platform.address()).await.unwrap();
        stream.write_all(requests.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("the server closes").unwrap();
        let all = answers(&text);
        assert_eq!(all.len(), requests.matches(" HTTP/1.1\r\n").count(), "{text}");
        assert!(all.iter().all(|answer| answer.0 < 300), "{text}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_was_announced_is_told() {
    let app = TestApp::without_workers().await;
    let address = app.platform.address();
    // Too long: the rest is no request.
    let long = write(&format!("content-length: {}\r\n\r\n{BODY} and more\r\n\r\n", BODY.len()));
    let all = answers(&said(address, long.as_bytes()).await);
    assert_eq!(all.iter().map(|answer| answer.0).collect::<Vec<_>>(), [202, 400]);
    // Not chunked, although it says so.
    for bad in ["zz\r\n", "5\r\nhelloX", "ffffffffffffffffff\r\n", "5;\nhello", "-1\r\n"] {
        let body = write(&format!("transfer-encoding: chunked\r\n\r\n{bad}\r\n0\r\n\r\n"));
        let all = answers(&said(address, format!("{}{body}", good()).as_bytes()).await);
        assert_eq!(all.iter().map(|answer| answer.0).collect::<Vec<_>>(), [202, 400], "{bad:?}");
        assert_refused(&all[1], BAD, bad);
    }
    // Cut off.
    for cut in [write("content-length: 100\r\n\r\n{"), write("transfer-encoding: chunked\r\n\r\n5\r\n{")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(cut.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("the server closes").unwrap();
        assert_refused(&answers(&text)[0], BAD, &cut);
    }
}

#[tokio::test]
async fn who_asks_before_it_sends_a_body_is_told_to_go_on_or_not_to() {
    let app = TestApp::without_workers().await;
    for expect in ["100-continue", "100-Continue"] {
        let mut stream = TcpStream::connect(app.platform.address()).await.unwrap();
        let head = write(&format!("expect: {expect}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", BODY.len()));
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 25];
        timeout(PATIENCE, stream.read_exact(&mut go_on)).await.expect("an answer").unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(BODY.as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("the server closes").unwrap();
        assert_eq!(answers(&text)[0].0, 202);
    }
    let large = write("expect: 100-continue\r\ncontent-length: 100000000\r\n\r\n");
    let all = answers(&said(app.platform.address(), large.as_bytes()).await);
    assert_refused(&all[0], Code::PayloadTooLarge, "a body that is announced and too large");
}

#[tokio::test]
async fn an_answer_to_a_client_that_is_still_sending_is_not_lost() {
    let app = TestApp::without_workers().await;
    for (probe, code) in [
        (write(&format!("content-length: 900000\r\n\r\n{}", "x".repeat(900_000))), Code::PayloadTooLarge),
        (format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(900_000)), Code::HeadersTooLarge),
    ] {
        // Writes all before it reads: a reset would take the answer away.
        let mut stream = TcpStream::connect(app.platform.address()).await.unwrap();
        stream.write_all(probe.as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut text)).await.expect("the server closes").unwrap();
        assert_refused(&answers(&text)[0], code, &probe[..40]);
    }
}

#[tokio::test]
async fn what_is_unusual_and_right_is_not_refused() {
    let app = TestApp::without_workers().await;
    let last = "host: x\r\nconnection: close\r\n\r\n";
    for (probe, status) in [
        (format!("\r\n\r\nGET /health HTTP/1.1\r\n{last}"), 200),
        (format!("GET http://elsewhere/health HTTP/1.1\r\n{last}"), 200),
        ("GET /health HTTP/1.0\r\n\r\n".to_owned(), 200),
        ("GET /health HTTP/1.1\nhost: x\nconnection: close\n\n".to_owned(), 200),
        (format!("GET /health HTTP/1.1\r\nexpect: anything\r\n{last}"), 200),
        (format!("GET /health HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n{last}"), 200),
        (format!("GET /health HTTP/1.1\r\nx: \u{e4}\r\n{last}"), 200),
        (format!("BREW /health HTTP/1.1\r\n{last}"), 405),
        (format!("OPTIONS * HTTP/1.1\r\n{last}"), 404),
        (format!("CONNECT x:443 HTTP/1.1\r\n{last}"), 404),
        ("GET /health HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n".to_owned(), 200),
        (format!("GET /health HTTP/1.1\r\n{}{last}", "x: y\r\n".repeat(90)), 200),
    ] {
        let all = answers(&said(app.platform.address(), probe.as_bytes()).await);
        assert_eq!(all.iter().map(|answer| answer.0).collect::<Vec<_>>(), [status], "{probe}");
    }
}
