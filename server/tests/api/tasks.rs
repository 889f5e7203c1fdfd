use std::time::{Duration, Instant};

use card_core::problem::Code;
use card_core::tasks::{Status, Task, TaskPage};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{OPERATOR, TestApp, ok, problem};

#[tokio::test]
async fn an_addition_succeeds_for_users_and_for_the_operator() {
    let app = TestApp::start().await;
    let token = app.user("r").await;
    for (token, owned) in [(token.as_str(), true), (OPERATOR, false)] {
        let task = app.add(token, "r").await;
        assert_eq!(task.owner.is_some(), owned);
        let task = app.finished(task.id).await;
        assert_eq!(task.status, Status::Succeeded);
        assert_eq!(task.result.unwrap().get(), r#"{"sum":3}"#);
    }
}

#[tokio::test]
async fn only_what_can_be_submitted_is() {
    let app = TestApp::without_workers().await;
    for (body, pointer) in [
        (json!({"kind": "no-such-kind", "payload": {"x": 1, "y": 2}}), "/kind"),
        (json!({"kind": 7, "payload": {"x": 1, "y": 2}}), "/kind"),
        (json!({"kind": "replacement", "payload": {"x": 1, "y": 2}}), "/payload/x"),
        (json!({"kind": "replacement", "payload": {"reason": "lsot"}}), "/payload/reason"),
        (json!({"kind": "add"}), ""),
        (json!({"kind": "add", "payload": {"x": 1}}), "/payload"),
        (json!({"kind": "add", "payload": [1, 2]}), "/payload"),
        (json!({"kind": "add", "payload": {"x": 1, "y": 2.5}}), "/payload/y"),
        (json!({"kind": "add", "payload": {"x": 1, "y": 2, "z": 3}}), "/payload/z"),
        (json!({"kind": "add", "payload": {"x": 1, "y": 2}, "owner": "me"}), "/owner"),
    ] {
        let problem = problem(app.post("/tasks", OPERATOR, &body)).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, pointer), "{body}");
    }
}

/// What `/replacements` takes is a task like all others; only whose it is must be known.
#[tokio::test]
async fn any_kind_can_be_submitted_as_a_task_by_those_whose_it_can_be() {
    let app = TestApp::start().await;
    let token = app.user("r").await;
    let body = json!({"kind": "replacement", "payload": {"reason": "lost"}});
    assert_eq!(problem(app.post("/tasks", OPERATOR, &body)).await.code, Code::Forbidden);
    let _: Value = ok_or_empty(app.request(Method::POST, "/queue/pause").bearer_auth(OPERATOR)).await;
    let task: Task = ok(app.post("/tasks", &token, &body)).await;
    let refused = problem(app.post("/tasks", &token, &body)).await;
    assert_eq!((refused.code, refused.open_task), (Code::ReplacementOpen, Some(task.id)));
    let refused = problem(app.post("/replacements", &token, &json!({"reason": "lost"}))).await;
    assert_eq!((refused.code, refused.open_task), (Code::ReplacementOpen, Some(task.id)));
    let _: Value = ok_or_empty(app.request(Method::POST, "/queue/resume").bearer_auth(OPERATOR)).await;
    let task: Task = ok(app.get(&format!("/tasks/{}?wait=20s", task.id), &token)).await;
    assert_eq!(task.status, Status::Succeeded);
    let cards: Value = ok(app.get("/cards", &token)).await;
    assert_eq!(cards["items"][0]["task"], json!(task.id));
}

#[tokio::test]
async fn an_operators_key_is_its_own() {
    let app = TestApp::without_workers().await;
    let token = app.user("r").await;
    let send = |token: &str| {
        app.post("/tasks", token, &json!({"kind": "add", "payload": {"x": 1, "y": 2}})).header("idempotency-key", "k")
    };
    let one: Task = ok(send(OPERATOR)).await;
    let again: Task = ok(send(OPERATOR)).await;
    let users: Task = ok(send(&token)).await;
    assert_eq!(one.id, again.id);
    assert_ne!(one.id, users.id);
}

#[tokio::test]
async fn a_long_poll_answers_when_the_task_is_final() {
    let app = TestApp::start().await;
    let _: Value = ok_or_empty(app.request(Method::POST, "/queue/pause").bearer_auth(OPERATOR)).await;
    let task = app.add(OPERATOR, "r").await;
    let waiting = tokio::spawn(app.get(&format!("/tasks/{}?wait=60s", task.id), OPERATOR).send());
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    let _: Value = ok_or_empty(app.request(Method::POST, "/queue/resume").bearer_auth(OPERATOR)).await;
    let answer: Task = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer.status, Status::Succeeded);
}

async fn ok_or_empty(request: reqwest::RequestBuilder) -> Value {
    assert_eq!(request.send().await.unwrap().status(), 204);
    Value::Null
}

#[tokio::test]
async fn a_long_poll_answers_when_the_time_is_up() {
    let app = TestApp::without_workers().await;
    let task = app.add(OPERATOR, "r").await;
    let begin = Instant::now();
    let answer: Task = ok(app.get(&format!("/tasks/{}?wait=300ms", task.id), OPERATOR)).await;
    assert_eq!(answer.status, Status::Queued);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    for wait in ["61s", "-1s", "30", "x"] {
        assert_eq!(
            problem(app.get(&format!("/tasks/{}?wait={wait}", task.id), OPERATOR)).await.code,
            Code::ValidationFailed
        );
    }
}

#[tokio::test]
async fn a_list_is_filtered_and_for_the_operator_alone() {
    let app = TestApp::without_workers().await;
    let token = app.user("r").await;
    let (add, replacement) = (app.add(OPERATOR, "one").await, app.replace(&token).await);
    let owner = replacement.owner.unwrap();
    for (query, expected) in [
        ("kind=add".to_owned(), vec![add.id]),
        ("run=one".to_owned(), vec![add.id]),
        (format!("owner={owner}"), vec![replacement.id]),
        ("status=queued".to_owned(), vec![replacement.id, add.id]),
        ("status=dead".to_owned(), vec![]),
        ("error=nothing".to_owned(), vec![]),
    ] {
        let page: TaskPage = ok(app.get(&format!("/tasks?{query}"), OPERATOR)).await;
        assert_eq!(page.items.iter().map(|task| task.id).collect::<Vec<_>>(), expected, "{query}");
    }
    for query in ["kind=x", "status=x", "run=%2F", "owner=x", "error=(", "stauts=dead", "cursor=x"] {
        assert_eq!(
            problem(app.get(&format!("/tasks?{query}"), OPERATOR)).await.code,
            Code::ValidationFailed,
            "{query}"
        );
    }
    assert_eq!(problem(app.get("/tasks", &token)).await.code, Code::Forbidden);
}

#[tokio::test]
async fn a_dead_task_is_retried_and_its_history_kept() {
    let app = TestApp::start().await;
    let token = app.user("r").await;
    app.issuer(&json!({"error_rate": 1.0})).await;
    let task = app.replace(&token).await;
    assert_eq!(app.finished(task.id).await.status, Status::Dead);
    app.issuer(&json!({"error_rate": 0.0})).await;
    let retry = || app.request(Method::POST, &format!("/tasks/{}/retry", task.id)).bearer_auth(OPERATOR);
    assert_eq!(retry().send().await.unwrap().status(), 202);
    assert_eq!(app.finished(task.id).await.status, Status::Succeeded);
    assert_eq!(problem(retry()).await.code, Code::NotDead);
    let attempts: Value = ok(app.get(&format!("/tasks/{}/attempts", task.id), &token)).await;
    assert_eq!(attempts["items"].as_array().unwrap().len(), 3, "{attempts}");
    let nobody =
        app.request(Method::POST, "/tasks/tsk_0190b6a5-8f4e-7c3d-9a1b-2c3d4e5f6a7b/retry").bearer_auth(OPERATOR);
    assert_eq!(problem(nobody).await.code, Code::NotFound);
}

#[tokio::test]
async fn a_dead_replacement_is_not_retried_beside_an_open_one() {
    let app = TestApp::start().await;
    let token = app.user("r").await;
    app.issuer(&json!({"error_rate": 1.0})).await;
    let dead = app.replace(&token).await;
    assert_eq!(app.finished(dead.id).await.status, Status::Dead);
    let paused = app.request(Method::POST, "/queue/pause").bearer_auth(OPERATOR).send().await.unwrap();
    assert_eq!(paused.status(), 204);
    let open = app.replace(&token).await;
    let problem = problem(app.request(Method::POST, &format!("/tasks/{}/retry", dead.id)).bearer_auth(OPERATOR)).await;
    assert_eq!((problem.code, problem.open_task), (Code::ReplacementOpen, Some(open.id)));
}

#[tokio::test]
async fn a_declined_replacement_is_final() {
    let app = TestApp::start().await;
    let token = app.user("r").await;
    app.issuer(&json!({"decline_rate": 1.0})).await;
    let task = app.finished(app.replace(&token).await.id).await;
    assert_eq!((task.status, task.attempts), (Status::Declined, 1));
    assert!(task.error.is_some());
}
