//! When a task is done: not before its time, and by its priority.

use std::time::Duration;

use card_core::problem::Code;
use card_core::tasks::{Priority, Stats, Status, Task};
use card_core::time::Instant;
use serde_json::{Value, json};

use crate::app::{OPERATOR, TestApp, eventually, ok, problem};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn add(more: &Value) -> Value {
    let mut body = json!({"kind": "add", "payload": {"x": 1, "y": 2}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_task_is_not_begun_before_its_time() {
    let app = TestApp::start().await;
    let due_at = Instant::now().plus(Duration::from_millis(1500));
    let task: Task = ok(app.post("/tasks", OPERATOR, &add(&json!({ "due_at": due_at })))).await;
    assert_eq!((task.status, task.due_at), (Status::Queued, Some(due_at)));
    let stats: Stats = ok(app.get("/stats", OPERATOR)).await;
    assert_eq!((stats.queue.scheduled, stats.queue.ready, stats.queue.oldest_age_ms), (1, 0, 0));
    // What comes after it and is due at once does not wait for it.
    let at_once = app.finished(app.add(OPERATOR, "r").await.id).await;
    assert!(at_once.settled_at.unwrap() < due_at);
    let done = app.finished(task.id).await;
    assert_eq!((done.status, done.due_at), (Status::Succeeded, Some(due_at)));
    assert!(done.started_at.unwrap() >= due_at, "{:?} before {due_at}", done.started_at);
    let stats: Stats = ok(app.get("/stats", OPERATOR)).await;
    assert_eq!((stats.queue.scheduled, stats.queue.ready), (0, 0));
}

#[tokio::test]
async fn what_is_past_is_due_at_once_and_a_year_is_the_limit() {
    let app = TestApp::start().await;
    for due_at in ["1970-01-01T00:00:00Z", "2020-02-29T12:00:00.5+02:00"] {
        let task: Task = ok(app.post("/tasks", OPERATOR, &add(&json!({ "due_at": due_at })))).await;
        let done = app.finished(task.id).await;
        assert_eq!(
            (done.status, done.due_at),
            (Status::Succeeded, Some(due_at.parse::<jiff::Timestamp>().unwrap().into()))
        );
    }
    let now = Instant::now();
    let far: Task = ok(app.post("/tasks", OPERATOR, &add(&json!({"due_at": now.plus(366 * DAY)})))).await;
    assert_eq!(far.due_at, Some(now.plus(366 * DAY)));
    ok::<Task>(app.post("/tasks", OPERATOR, &add(&json!({ "due_at": null })))).await;
    for due_at in [
        json!(now.plus(366 * DAY).plus(Duration::from_secs(60))),
        json!("9999-12-31T23:59:59Z"),
        json!("tomorrow"),
        json!("15m"),
        json!("2027-01-01"),
        json!(1_800_000_000),
        json!(["2027-01-01T00:00:00Z"]),
    ] {
        let problem = problem(app.post("/tasks", OPERATOR, &add(&json!({ "due_at": due_at })))).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, "/due_at"), "{due_at}");
    }
}

#[tokio::test]
async fn a_priority_is_one_of_three() {
    let app = TestApp::without_workers().await;
    for priority in Priority::ALL {
        let task: Task = ok(app.post("/tasks", OPERATOR, &add(&json!({ "priority": priority })))).await;
        let read: Task = ok(app.get(&format!("/tasks/{}", task.id), OPERATOR)).await;
        assert_eq!((task.priority, read.priority), (priority, priority));
    }
    assert_eq!(app.add(OPERATOR, "r").await.priority, Priority::Normal);
    for priority in [json!("urgent"), json!(1), json!(null)] {
        let problem = problem(app.post("/tasks", OPERATOR, &add(&json!({ "priority": priority })))).await;
        assert_eq!(
            (problem.code, problem.errors[0].pointer.as_str()),
            (Code::ValidationFailed, "/priority"),
            "{priority}"
        );
    }
    // A replacement is asked for by its own rules.
    let token = app.user("r").await;
    for more in [json!({"priority": "high"}), json!({"due_at": "2020-01-01T00:00:00Z"})] {
        let mut body = json!({"reason": "lost"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(problem(app.post("/replacements", &token, &body)).await.code, Code::ValidationFailed, "{body}");
    }
}

#[tokio::test]
async fn another_time_or_priority_is_another_request() {
    let app = TestApp::without_workers().await;
    let send = |more: Value| app.post("/tasks", OPERATOR, &add(&more)).header("idempotency-key", "k");
    let one: Task = ok(send(json!({"priority": "low", "due_at": "2020-01-01T00:00:00Z"}))).await;
    let again: Task = ok(send(json!({"priority": "low", "due_at": "2020-01-01T00:00:00Z"}))).await;
    assert_eq!((one.id, one.priority, one.due_at), (again.id, again.priority, again.due_at));
    for other in [
        json!({"priority": "high", "due_at": "2020-01-01T00:00:00Z"}),
        json!({"priority": "low", "due_at": "2020-01-01T00:00:01Z"}),
        json!({"priority": "low"}),
    ] {
        assert_eq!(problem(send(other)).await.code, Code::IdempotencyMismatch);
    }
}

#[tokio::test]
async fn what_is_for_later_takes_room_in_the_backlog() {
    let app = TestApp::with(1, |settings| settings.server.backlog_limit = 3).await;
    let body = add(&json!({"due_at": Instant::now().plus(DAY)}));
    let mut later = Vec::new();
    for _ in 0..3 {
        later.push(ok::<Task>(app.post("/tasks", OPERATOR, &body)).await.id);
    }
    // However often it is counted: they stay.
    eventually("the ledger is counted", async || {
        let stats: Stats = ok(app.get("/stats", OPERATOR)).await;
        (stats.queue.scheduled == 3).then_some(())
    })
    .await;
    // What was counted may be a moment old, and let another one in: the more there are, the sooner it does not.
    while let response = app.post("/tasks", OPERATOR, &body).send().await.unwrap()
        && response.status() == 202
        && later.len() < 100
    {
        later.push(response.json::<Task>().await.unwrap().id);
    }
    for body in [&body, &add(&json!({}))] {
        assert_eq!(problem(app.post("/tasks", OPERATOR, body)).await.code, Code::Overloaded);
    }
    for id in later {
        ok::<Task>(app.post(&format!("/tasks/{id}/cancel"), OPERATOR, &json!({"reason": "not needed"}))).await;
    }
    eventually("there is room again", async || {
        (app.post("/tasks", OPERATOR, &body).send().await.unwrap().status() == 202).then_some(())
    })
    .await;
}
