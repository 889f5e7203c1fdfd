use std::time::{Duration, Instant};

use card_core::problem::Code;
use card_core::tasks::Task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::{OPERATOR, TestApp, eventually, problem_of};
use crate::stream::EventStream;

#[tokio::test]
async fn a_stop_ends_what_waits_and_finishes_what_is_in_flight() {
    let app = TestApp::start().await;
    let queued = app.add(OPERATOR, "r").await;
    app.finished(queued.id).await;
    assert_eq!(
        app.request(reqwest::Method::POST, "/queue/pause").bearer_auth(OPERATOR).send().await.unwrap().status(),
        204
    );
    let task = app.add(OPERATOR, "r").await;
    let mut stream = EventStream::open(app.get("/events", OPERATOR)).await;
    assert_eq!(stream.next().await.unwrap().kind, "hello");
    let poll = tokio::spawn(app.get(&format!("/tasks/{}?wait=60s", task.id), OPERATOR).send());
    // In flight: its head has arrived, its body has not.
    let mut half = tokio::net::TcpStream::connect(app.platform.address()).await.unwrap();
    let body = r#"{"kind":"add","payload":{"x":1,"y":2}}"#;
    let head = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    half.write_all(head.as_bytes()).await.unwrap();
    let mut continues = [0; 25];
    half.read_exact(&mut continues).await.unwrap();
    assert!(continues.starts_with(b"HTTP/1.1 100 Continue"));

    let begin = Instant::now();
    let (address, store) = (app.platform.address(), app.store.clone());
    let finish = async {
        eventually("nobody new is let in", async || {
            tokio::net::TcpStream::connect(address).await.is_err().then_some(())
        })
        .await;
        half.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        half.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let ended = async { while stream.next().await.is_some() {} };
    let (stopped, answer, ()) = futures::future::join3(app.platform.stop(), finish, ended).await;
    assert!(stopped.drained);
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    // If the poll had not arrived by then, it was told to come back.
    let polled = poll.await.unwrap().unwrap();
    match polled.status().as_u16() {
        200 => assert_eq!(polled.json::<Task>().await.unwrap().id, task.id),
        _ => assert_eq!(problem_of(polled).await.code, Code::Stopping),
    }
    assert!(store.engine.ping().await.is_err(), "the engine is closed");
}

#[tokio::test]
async fn a_stop_cuts_off_what_takes_too_long() {
    let app = TestApp::with(0, |settings| settings.server.drain_timeout = Duration::from_millis(200)).await;
    let mut half = tokio::net::TcpStream::connect(app.platform.address()).await.unwrap();
    let head = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    );
    half.write_all(head.as_bytes()).await.unwrap();
    let mut continues = [0; 25];
    half.read_exact(&mut continues).await.unwrap();
    let begin = Instant::now();
    assert!(!app.platform.stop().await.drained);
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    let app = TestApp::without_workers().await;
    let task = app.add(OPERATOR, "r").await;
    let TestApp { platform, ledger, store, .. } = app;
    drop(store);
    assert!(platform.stop().await.drained);
    let settings = card_core::settings::Settings::default();
    let store = ledger.open(&settings, &card_kinds::Registry::default().known()).await;
    assert_eq!(store.engine.get(task.id).await.unwrap().unwrap().id, task.id);
    store.engine.close().await;
}
