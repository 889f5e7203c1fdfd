use card_core::problem::Code;
use card_core::tasks::TaskPage;
use serde_json::{Value, json};

use crate::app::{OPERATOR, PASSWORD, TestApp, ok, problem, problem_of};

#[tokio::test]
async fn generated_users_act_at_once_and_cannot_sign_in() {
    let app = TestApp::start().await;
    let made: Value =
        ok(app.post("/synthetic-users", OPERATOR, &json!({"run": "run-1", "from": 10, "count": 3}))).await;
    let names: Vec<_> =
        made["users"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect();
    assert_eq!(names, ["run-1-10", "run-1-11", "run-1-12"]);
    let task = app.replace(made["users"][0]["access_token"].as_str().unwrap()).await;
    assert_eq!(task.owner.unwrap().to_string(), made["users"][0]["id"].as_str().unwrap());
    assert_eq!(problem_of(app.sign_in("run-1-10", PASSWORD).await).await.code, Code::InvalidCredentials);
    let again = app.post("/synthetic-users", OPERATOR, &json!({"run": "run-1", "from": 12, "count": 2}));
    assert_eq!(problem(again).await.code, Code::UsernameTaken);
}

#[tokio::test]
async fn a_clean_up_removes_the_run_and_nothing_else() {
    let app = TestApp::start().await;
    let (mine, others) = (app.users("run-1", 3).await, app.users("run-2", 2).await);
    for token in &mine {
        let task = ok::<card_core::tasks::Task>(
            app.post("/replacements", token, &json!({"reason": "lost"})).header("x-run-id", "run-1"),
        )
        .await;
        app.finished(task.id).await;
    }
    app.finished(app.add(&others[0], "run-2").await.id).await;
    let cleaned: Value = ok(app.delete("/synthetic-users?run=run-1", OPERATOR)).await;
    assert_eq!(cleaned, json!({"users": 3, "tasks": 3}));
    let left: TaskPage = ok(app.get("/tasks?run=run-1", OPERATOR)).await;
    assert!(left.items.is_empty());
    assert_eq!(problem(app.get("/cards", &mine[0])).await.code, Code::Unauthorized);
    let _: Value = ok(app.get("/cards", &others[0])).await;
    let nothing: Value = ok(app.delete("/synthetic-users?run=run-1", OPERATOR)).await;
    assert_eq!(nothing, json!({"users": 0, "tasks": 0}));
}

#[tokio::test]
async fn what_is_wrong_is_pointed_at() {
    let app = TestApp::without_workers().await;
    for (body, pointer) in [
        (json!({"run": "r", "from": 0, "count": 0}), "/count"),
        (json!({"run": "r", "from": 0, "count": 10_001}), "/count"),
        (json!({"run": "r", "from": u64::MAX, "count": 1}), "/from"),
        (json!({"run": "r", "from": -1, "count": 1}), "/from"),
        (json!({"run": "a b", "from": 0, "count": 1}), "/run"),
    ] {
        let problem = problem(app.post("/synthetic-users", OPERATOR, &body)).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, pointer), "{body}");
    }
    assert_eq!(problem(app.delete("/synthetic-users", OPERATOR)).await.code, Code::ValidationFailed);
    let token = app.user("u").await;
    assert_eq!(
        problem(app.post("/synthetic-users", &token, &json!({"run": "r", "from": 0, "count": 1}))).await.code,
        Code::Forbidden
    );
}
