use serde_json::Value;

use crate::app::{OPERATOR, TestApp, ok, problem};

#[tokio::test]
async fn a_replacement_blocks_the_old_card() {
    let app = TestApp::start().await;
    let token = app.user("r").await;
    let none: Value = ok(app.get("/cards", &token)).await;
    assert_eq!(none["items"].as_array().unwrap().len(), 0);
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let task = app.replace(&token).await;
        app.finished(task.id).await;
        tasks.push(task.id.to_string());
    }
    let cards: Value = ok(app.get("/cards", &token)).await;
    let (new, old) = (&cards["items"][0], &cards["items"][1]);
    assert_eq!((&new["status"], &old["status"]), (&"active".into(), &"blocked".into()));
    assert_eq!(
        (&new["replaces"], &new["task"], &old["task"]),
        (&old["id"], &tasks[1].clone().into(), &tasks[0].clone().into())
    );
    assert_eq!(new["last4"].as_str().unwrap().len(), 4);
}

#[tokio::test]
async fn an_operator_has_no_cards() {
    let app = TestApp::without_workers().await;
    assert_eq!(problem(app.get("/cards", OPERATOR)).await.status, 403);
}
