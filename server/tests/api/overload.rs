use card_core::problem::Code;
use card_core::tasks::{Status, Task};
use serde_json::{Value, json};

use crate::app::{OPERATOR, TestApp, eventually, ok, problem};
use crate::stream::EventStream;

#[tokio::test]
async fn a_full_backlog_refuses_before_accepting_and_opens_again() {
    let app = TestApp::with(1, |settings| settings.server.backlog_limit = 3).await;
    let queue = |to: &str| app.request(reqwest::Method::POST, &format!("/queue/{to}")).bearer_auth(OPERATOR).send();
    queue("pause").await.unwrap();
    let body = json!({"kind": "add", "payload": {"x": 1, "y": 2}});
    let mut accepted = Vec::new();
    let refused = loop {
        let response = app.post("/tasks", OPERATOR, &body).send().await.unwrap();
        if response.status() != 202 {
            break crate::app::problem_of(response).await;
        }
        accepted.push(response.json::<Task>().await.unwrap().id);
        assert!(accepted.len() <= 3);
    };
    assert_eq!((refused.code, accepted.len()), (Code::Overloaded, 3));
    queue("resume").await.unwrap();
    for id in accepted {
        assert_eq!(app.finished(id).await.status, Status::Succeeded);
    }
    eventually("there is room again", async || {
        (app.post("/tasks", OPERATOR, &body).send().await.unwrap().status() == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_stream_too_many_is_refused_and_a_closed_one_makes_room() {
    let app = TestApp::with(0, |settings| settings.server.max_streams = 2).await;
    let task = app.add(OPERATOR, "r").await;
    let one = EventStream::open(app.get("/events", OPERATOR)).await;
    let _two = EventStream::open(app.get("/events", OPERATOR)).await;
    assert_eq!(problem(app.get("/events", OPERATOR)).await.code, Code::Overloaded);
    assert_eq!(problem(app.get(&format!("/tasks/{}?wait=10s", task.id), OPERATOR)).await.code, Code::Overloaded);
    let _: Task = ok(app.get(&format!("/tasks/{}", task.id), OPERATOR)).await;
    drop(one);
    eventually("there is room again", async || {
        (app.get("/events", OPERATOR).send().await.unwrap().status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn those_that_only_wait_leave_room_for_others() {
    let app = TestApp::with(0, |settings| settings.server.max_in_flight = 2).await;
    let task = app.add(OPERATOR, "r").await;
    let waiting: Vec<_> =
        (0..20).map(|_| tokio::spawn(app.get(&format!("/tasks/{}?wait=2s", task.id), OPERATOR).send())).collect();
    eventually("a request is answered meanwhile", async || {
        (app.get("/stats", OPERATOR).send().await.unwrap().status() == 200).then_some(())
    })
    .await;
    for one in waiting {
        let status = one.await.unwrap().unwrap().status().as_u16();
        assert!(matches!(status, 200 | 503), "{status}");
    }
}

#[tokio::test]
async fn health_is_answered_even_when_there_is_no_room() {
    let app = TestApp::with(0, |settings| settings.server.max_in_flight = 1).await;
    // Holds the only place: its body never comes.
    let mut holder = tokio::net::TcpStream::connect(app.platform.address()).await.unwrap();
    let head = format!(
        "POST /api/v1/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR}\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n"
    );
    tokio::io::AsyncWriteExt::write_all(&mut holder, head.as_bytes()).await.unwrap();
    eventually("the place is taken", async || {
        (app.get("/stats", OPERATOR).send().await.unwrap().status() == 503).then_some(())
    })
    .await;
    assert_eq!(problem(app.get("/stats", OPERATOR)).await.code, Code::Overloaded);
    let _: Value = ok(app.client.get(app.url("/health"))).await;
    let _: Value = ok(app.client.get(app.url("/ready"))).await;
    drop(holder);
    eventually("the place is free again", async || {
        (app.get("/stats", OPERATOR).send().await.unwrap().status() == 200).then_some(())
    })
    .await;
}
