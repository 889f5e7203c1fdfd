use card_core::problem::Code;
use card_core::tasks::{Status, Task, TaskPage};
use serde_json::{Value, json};

use crate::app::{OPERATOR, TestApp, eventually, ok, problem};

/// So many dead replacements in a run, and the issuer well again.
async fn dead(app: &TestApp, run: &str, count: usize) -> Vec<Task> {
    app.issuer(&json!({"error_rate": 1.0})).await;
    let mut tasks = Vec::new();
    for token in app.users(run, count).await {
        let task: Task =
            ok(app.post("/replacements", &token, &json!({"reason": "lost"})).header("x-run-id", run)).await;
        tasks.push(task);
    }
    for task in &mut tasks {
        *task = app.finished(task.id).await;
        assert_eq!(task.status, Status::Dead);
    }
    app.issuer(&json!({"error_rate": 0.0})).await;
    tasks
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_retried() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    let tasks = dead(&app, "run-1", 5).await;
    let page: TaskPage = ok(app.get("/dead-letters?limit=3&since=10m&error=issuer", OPERATOR)).await;
    assert_eq!((page.items.len(), page.next.is_some()), (3, true));
    let none: TaskPage = ok(app.get("/dead-letters?error=no-such-error", OPERATOR)).await;
    assert!(none.items.is_empty());

    let dry: Value =
        ok(app.post("/dead-letters/retry", OPERATOR, &json!({"filter": {"run": "run-1"}, "dry_run": true}))).await;
    assert_eq!((&dry["matched"], &dry["done"], dry["sample"].as_array().unwrap().len()), (&5.into(), &0.into(), 5));
    let body = json!({"filter": {"error": "issuer", "since": "1h", "kind": "replacement"}, "limit": 2, "rate": 100});
    let some: Value = ok(app.post("/dead-letters/retry", OPERATOR, &body)).await;
    assert_eq!((&some["matched"], &some["done"]), (&2.into(), &2.into()));
    let rest: Value = ok(app.post("/dead-letters/retry", OPERATOR, &json!({}))).await;
    eventually("all succeed", async || {
        let page: TaskPage = ok(app.get("/tasks?run=run-1&status=succeeded", OPERATOR)).await;
        (page.items.len() == 5).then_some(())
    })
    .await;
    assert_eq!(rest["done"], rest["matched"]);
    let empty: TaskPage = ok(app.get("/dead-letters", OPERATOR)).await;
    assert!(empty.items.is_empty());
    assert_eq!(tasks.len(), 5);
}

#[tokio::test]
async fn a_retry_keeps_its_rate() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    dead(&app, "run-1", 5).await;
    let begin = std::time::Instant::now();
    let done: Value = ok(app.post("/dead-letters/retry", OPERATOR, &json!({"rate": 10}))).await;
    assert_eq!(done["done"], 5);
    assert!(begin.elapsed().as_millis() >= 390, "five at ten a second take four tenths, not {:?}", begin.elapsed());
}

#[tokio::test]
async fn what_is_discarded_is_off_the_list() {
    let app = TestApp::with(1, |settings| settings.worker.issuer.breaker_min_calls = 10_000).await;
    let tasks = dead(&app, "run-1", 2).await;
    let body = json!({"filter": {"run": "run-1"}, "reason": "the holders have new cards"});
    let done: Value = ok(app.post("/dead-letters/discard", OPERATOR, &body)).await;
    assert_eq!((&done["matched"], &done["done"]), (&2.into(), &2.into()));
    let page: TaskPage = ok(app.get("/dead-letters", OPERATOR)).await;
    assert!(page.items.is_empty());
    let stats: Value = ok(app.get("/stats", OPERATOR)).await;
    assert_eq!(stats["queue"]["dead"], 0);
    let kept: Task = ok(app.get(&format!("/tasks/{}", tasks[0].id), OPERATOR)).await;
    assert_eq!(kept.status, Status::Dead);
}

#[tokio::test]
async fn what_is_wrong_is_pointed_at() {
    let app = TestApp::without_workers().await;
    for (path, body, pointer) in [
        ("retry", json!({"filter": {"error": "("}}), "/filter/error"),
        ("retry", json!({"filter": {"error": "x".repeat(513)}}), "/filter/error"),
        ("retry", json!({"filter": {"error": r"\w{1000}{1000}"}}), "/filter/error"),
        ("retry", json!({"filter": {"since": "yesterday"}}), "/filter/since"),
        ("retry", json!({"filter": {"kind": "x"}}), "/filter/kind"),
        ("retry", json!({"filter": {"stauts": "x"}}), "/filter/stauts"),
        ("retry", json!({"filter": [null, null]}), "/filter"),
        ("retry", json!({"rate": 0}), "/rate"),
        ("retry", json!({"limit": 0}), "/limit"),
        ("discard", json!({"filter": {}}), ""),
        ("discard", json!({"filter": {}, "reason": " "}), "/reason"),
    ] {
        let problem = problem(app.post(&format!("/dead-letters/{path}"), OPERATOR, &body)).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, pointer), "{body}");
    }
    for query in ["error=(", "since=soon", "limit=0", "run=", "sicne=1h"] {
        assert_eq!(
            problem(app.get(&format!("/dead-letters?{query}"), OPERATOR)).await.code,
            Code::ValidationFailed,
            "{query}"
        );
    }
}
