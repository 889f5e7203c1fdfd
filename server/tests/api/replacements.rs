use card_core::problem::Code;
use card_core::tasks::{Status, Task, TaskPage};
use card_kinds::replacement;
use reqwest::Method;
use serde_json::json;

use crate::app::{OPERATOR, TestApp, ok, problem};

#[tokio::test]
async fn a_replacement_is_accepted_and_issues_a_card() {
    let app = TestApp::start().await;
    let token = app.user("r").await;
    let response = app
        .post("/replacements", &token, &json!({"reason": "stolen"}))
        .header("x-run-id", "run-1")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 202);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(!response.headers().contains_key("idempotency-replayed"));
    let task: Task = response.json().await.unwrap();
    assert_eq!((task.kind, task.status, task.attempts), (replacement::KIND, Status::Queued, 0));
    assert_eq!(task.run.as_ref().unwrap().as_str(), "run-1");
    assert_eq!(location, format!("/api/v1/replacements/{}", task.id));
    let settled = app.finished(task.id).await;
    assert_eq!(settled.status, Status::Succeeded);
    let read: Task = ok(app.client.get(app.url(&location)).bearer_auth(&token)).await;
    assert_eq!(read.result.unwrap().get(), settled.result.unwrap().get());
}

#[tokio::test]
async fn of_64_requests_at_once_one_is_accepted_and_the_others_name_it() {
    let app = TestApp::without_workers().await;
    let token = app.user("r").await;
    let all = futures::future::join_all(
        (0..64).map(|_| app.post("/replacements", &token, &json!({"reason": "lost"})).send()),
    )
    .await;
    let (mut accepted, mut open) = (Vec::new(), Vec::new());
    for response in all {
        let response = response.unwrap();
        match response.status().as_u16() {
            202 => accepted.push(response.json::<Task>().await.unwrap().id),
            409 => open.push(crate::app::problem_of(response).await),
            other => panic!("{other}"),
        }
    }
    assert_eq!((accepted.len(), open.len()), (1, 63));
    assert!(open.iter().all(|problem| problem.code == Code::ReplacementOpen && problem.open_task == Some(accepted[0])));
}

#[tokio::test]
async fn the_same_key_gets_the_first_answer_and_another_body_is_refused() {
    let app = TestApp::start().await;
    let token = app.user("r").await;
    let send =
        |reason: &str| app.post("/replacements", &token, &json!({"reason": reason})).header("idempotency-key", "k-1");
    let first: Task = ok(send("lost")).await;
    app.finished(first.id).await;
    let again = send("lost").send().await.unwrap();
    assert_eq!((again.status().as_u16(), &again.headers()["idempotency-replayed"]), (202, &"true".parse().unwrap()));
    assert_eq!(again.json::<Task>().await.unwrap().id, first.id);
    assert_eq!(problem(send("stolen")).await.code, Code::IdempotencyMismatch);
    let other = app.user("other").await;
    let theirs: Task =
        ok(app.post("/replacements", &other, &json!({"reason": "lost"})).header("idempotency-key", "k-1")).await;
    assert_ne!(theirs.id, first.id, "a key is the caller's own");
}

#[tokio::test]
async fn the_same_key_many_times_at_once_makes_one_task() {
    let app = TestApp::without_workers().await;
    let token = app.user("r").await;
    let send = || async {
        ok::<Task>(app.post("/replacements", &token, &json!({"reason": "lost"})).header("idempotency-key", "k"))
            .await
            .id
    };
    let ids = futures::future::join_all((0..32).map(|_| send())).await;
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_pointed_at() {
    let app = TestApp::without_workers().await;
    let token = app.user("r").await;
    for (body, pointer) in [
        (json!({"reason": "bored"}), "/reason"),
        (json!({}), ""),
        (json!({"reason": "lost", "colour": "red"}), "/colour"),
        (json!([]), ""),
        (json!(["lost"]), ""),
        (json!(null), ""),
    ] {
        let problem = problem(app.post("/replacements", &token, &body)).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, pointer), "{body}");
    }
    for (name, value) in [("idempotency-key", ""), ("idempotency-key", "a b"), ("x-run-id", "a/b"), ("x-run-id", "")] {
        let problem = problem(app.post("/replacements", &token, &json!({"reason": "lost"})).header(name, value)).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, name));
    }
    let long = "k".repeat(256);
    let problem =
        problem(app.post("/replacements", &token, &json!({"reason": "lost"})).header("idempotency-key", long)).await;
    assert_eq!(problem.code, Code::ValidationFailed);
}

#[tokio::test]
async fn an_operator_is_told_to_come_as_a_user() {
    let app = TestApp::without_workers().await;
    let problem = problem(app.post("/replacements", OPERATOR, &json!({"reason": "lost"}))).await;
    assert_eq!(problem.code, Code::Forbidden);
    assert!(problem.detail.contains("synthetic-users"), "{}", problem.detail);
}

#[tokio::test]
async fn somebody_elses_replacement_is_not_found() {
    let app = TestApp::without_workers().await;
    let users = app.users("r", 2).await;
    let task = app.replace(&users[0]).await;
    let add = app.add(&users[0], "r").await;
    let read: Task = ok(app.get(&format!("/replacements/{}", task.id), &users[0])).await;
    assert_eq!(read.id, task.id);
    for (path, token) in [
        (format!("/replacements/{}", task.id), &users[1]),
        (format!("/replacements/{}", add.id), &users[0]),
        ("/replacements/tsk_x".to_owned(), &users[0]),
        (format!("/tasks/{}", task.id), &users[1]),
        (format!("/tasks/{}/events", task.id), &users[1]),
        (format!("/tasks/{}/attempts", task.id), &users[1]),
    ] {
        assert_eq!(problem(app.get(&path, token)).await.code, Code::NotFound, "{path}");
    }
}

#[tokio::test]
async fn a_list_has_pages_of_ones_own_newest_first() {
    let app = TestApp::start().await;
    let users = app.users("r", 2).await;
    app.replace(&users[1]).await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        let task = app.replace(&users[0]).await;
        app.finished(task.id).await;
        expected.insert(0, task.id);
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: TaskPage = ok(app.get(&format!("/replacements?limit=2{cursor}"), &users[0])).await;
        assert!(page.items.len() <= 2);
        found.extend(page.items.iter().map(|task| task.id));
        match page.next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, expected);
    for query in ["limit=0", "limit=201", "limit=x", "cursor=x", "lmiit=1", "limit=1&limit=2"] {
        assert_eq!(
            problem(app.get(&format!("/replacements?{query}"), &users[0])).await.code,
            Code::ValidationFailed,
            "{query}"
        );
    }
    assert_eq!(problem(app.request(Method::GET, "/replacements")).await.code, Code::Unauthorized);
}
