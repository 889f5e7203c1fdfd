use card_core::process::Part;
use serde_json::{Value, json};

use crate::place::{Ended, OPERATOR, Place};
use crate::running::Running;

fn sum() -> Value {
    json!({"kind": "add", "payload": {"x": 20, "y": 22}})
}

async fn finished(server: &Running, id: &str) -> Value {
    let (status, task) = server.get(&format!("/api/v1/tasks/{id}?wait=30s")).await;
    assert_eq!(status, 200, "{task}");
    task
}

#[tokio::test]
async fn a_server_on_a_file_does_the_whole_work_and_keeps_it_over_a_restart() {
    let place = Place::new();
    let mut server = place.start(&["--ledger", "ledger.db"]).await;
    assert_eq!((server.said.v, server.said.component), (1, Part::Server));
    assert_eq!((server.said.pid, server.said.version.as_str()), (server.child.id().unwrap(), card_core::VERSION));
    // Whoever waits for the end of the announcement is not kept.
    assert_eq!(server.rest_of_stdout().await, "");
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    let (status, task) = server.post("/api/v1/tasks", OPERATOR, &sum()).await;
    assert_eq!(status, 202, "{task}");
    let id = task["id"].as_str().unwrap();
    let task = finished(&server, id).await;
    assert_eq!((&task["status"], &task["result"]["sum"]), (&json!("succeeded"), &json!(42)));
    let (_, users) =
        server.post("/api/v1/synthetic-users", OPERATOR, &json!({"run": "r", "from": 0, "count": 1})).await;
    let token = users["users"][0]["access_token"].as_str().unwrap();
    let (_, replacement) = server.post("/api/v1/replacements", token, &json!({"reason": "lost"})).await;
    let replacement = finished(&server, replacement["id"].as_str().unwrap()).await;
    assert_eq!(replacement["status"], "succeeded", "{replacement}");
    server.stop().await;

    let server = place.start(&["serve", "--ledger", "ledger.db"]).await;
    assert_eq!(finished(&server, id).await, task);
    server.stop().await;
}

#[tokio::test]
async fn without_workers_there_is_an_api_and_no_issuer() {
    let place = Place::new();
    let server = place.start(&["--workers", "0"]).await;
    let (status, task) = server.post("/api/v1/tasks", OPERATOR, &sum()).await;
    assert_eq!((status, &task["status"]), (202, &json!("queued")));
    let (_, stats) = server.get("/api/v1/stats").await;
    assert_eq!((&stats["queue"]["ready"], &stats["workers"]), (&json!(1), &json!([])));
    let (_, metrics) = server.get("/metrics").await;
    assert!(!metrics.as_str().unwrap().contains("issuer_answers_total{"), "no issuer runs in this process");
    server.stop().await;
    assert!(place.path().join("cards.db").exists(), "the ledger of who is told nothing");
}

#[tokio::test]
async fn a_ledger_that_is_in_use_is_left_alone() {
    let place = Place::new();
    let server = place.start(&[]).await;
    let second = Ended::of(place.command(&[])).await;
    assert!(second.not_ready().contains("in use by another process"), "{}", second.stderr);
    assert_eq!(server.get("/ready").await.0, 200);
    server.stop().await;
}
