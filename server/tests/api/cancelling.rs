use std::time::Duration;

use card_core::engine::CANCELLED;
use card_core::ids::TaskId;
use card_core::problem::Code;
use card_core::tasks::{Stats, Status, Task, TaskPage};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::app::{OPERATOR, TestApp, eventually, ok, problem};
use crate::stream::EventStream;

fn cancel(app: &TestApp, id: TaskId, reason: &str) -> RequestBuilder {
    app.post(&format!("/tasks/{id}/cancel"), OPERATOR, &json!({ "reason": reason }))
}

#[tokio::test]
async fn what_is_cancelled_ends_without_an_effect_and_makes_room() {
    let app = TestApp::without_workers().await;
    let token = app.user("r").await;
    let task = app.replace(&token).await;
    let mut stream = EventStream::open(app.get(&format!("/tasks/{}/events", task.id), &token)).await;
    assert_eq!(stream.state().await.unwrap().task().status, Status::Queued);
    let waiting = tokio::spawn(app.get(&format!("/tasks/{}?wait=60s", task.id), &token).send());

    let done: Task = ok(cancel(&app, task.id, " asked for by mistake ")).await;
    assert_eq!((done.id, done.status, done.attempts), (task.id, Status::Cancelled, 0));
    assert!(done.settled_at.is_some());
    let error = done.error.unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str()), (CANCELLED, "asked for by mistake"));

    // Who waits and who watches is told at once, and that it was the end.
    let waited: Task = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(waited.status, Status::Cancelled);
    let last = stream.state().await.unwrap();
    assert_eq!((last.task().status, last.id.is_some()), (Status::Cancelled, true));
    assert_eq!(stream.next().await, None);
    let mut ends = EventStream::open(app.get("/events?from=0&final=true", &token)).await;
    assert_eq!(ends.state().await.unwrap().task().status, Status::Cancelled);

    // Again is the same, with the reason that it was cancelled for.
    let again: Task = ok(cancel(&app, task.id, "another reason")).await;
    assert_eq!((again.status, again.settled_at), (Status::Cancelled, done.settled_at));
    assert_eq!(again.error.unwrap().message, "asked for by mistake");

    let listed: TaskPage = ok(app.get("/tasks?status=cancelled&error=by%20mistake", OPERATOR)).await;
    assert_eq!(listed.items.iter().map(|task| task.id).collect::<Vec<_>>(), [task.id]);
    let open: TaskPage = ok(app.get("/tasks?status=queued", OPERATOR)).await;
    assert!(open.items.is_empty());
    let stats: Stats = ok(app.get("/stats", OPERATOR)).await;
    assert_eq!((stats.queue.ready, stats.queue.dead, stats.accepted_total, stats.settled_total), (0, 0, 1, 1));
    let cards: Value = ok(app.get("/cards", &token)).await;
    assert_eq!(cards["items"], json!([]));
    let metrics = app.client.get(app.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"tasks_settled_total{kind="replacement",status="cancelled"} 1"#), "{metrics}");

    // It is no dead letter, and its owner can ask again.
    let retry = app.request(Method::POST, &format!("/tasks/{}/retry", task.id)).bearer_auth(OPERATOR);
    assert_eq!(problem(retry).await.code, Code::NotDead);
    assert_ne!(app.replace(&token).await.id, task.id);
}

#[tokio::test]
async fn what_ended_in_another_way_stays_as_it_is() {
    let app = TestApp::start().await;
    let tokens = app.users("r", 3).await;
    let mut ended = vec![app.finished(app.replace(&tokens[0]).await.id).await];
    for (token, behaviour) in tokens[1..].iter().zip([json!({"decline_rate": 1.0}), json!({"error_rate": 1.0})]) {
        app.issuer(&json!({"decline_rate": 0.0, "error_rate": 0.0})).await;
        app.issuer(&behaviour).await;
        ended.push(app.finished(app.replace(token).await.id).await);
    }
    assert_eq!(
        ended.iter().map(|task| task.status).collect::<Vec<_>>(),
        [Status::Succeeded, Status::Declined, Status::Dead]
    );
    for task in ended {
        let refused = problem(cancel(&app, task.id, "too late")).await;
        assert_eq!((refused.code, refused.task_status), (Code::TaskFinal, Some(task.status)));
        assert!(refused.detail.contains(task.status.as_str()), "{}", refused.detail);
        let now: Task = ok(app.get(&format!("/tasks/{}", task.id), OPERATOR)).await;
        assert_eq!((now.status, now.settled_at), (task.status, task.settled_at));
    }
}

#[tokio::test]
async fn a_task_that_runs_is_cancelled_and_its_worker_goes_on() {
    let app = TestApp::with(1, |settings| {
        settings.worker.lease = Duration::from_secs(3);
        // One place: until the step is dropped nothing else is done.
        settings.worker.concurrency = 1;
        settings.worker.issuer.timeout = Duration::from_secs(60);
    })
    .await;
    let tokens = app.users("r", 2).await;
    app.issuer(&json!({"hang_rate": 1.0})).await;
    let replacement = app.post("/replacements", &tokens[0], &json!({"reason": "lost"})).header("x-run-id", "r");
    let task: Task = ok(replacement).await;
    eventually("it runs", async || {
        let now: Task = ok(app.get(&format!("/tasks/{}", task.id), OPERATOR)).await;
        (now.status == Status::Running).then_some(())
    })
    .await;
    app.issuer(&json!({"hang_rate": 0.0})).await;
    let done: Task = ok(cancel(&app, task.id, "it hangs")).await;
    assert_eq!(done.status, Status::Cancelled);
    let next = app.finished(app.replace(&tokens[1]).await.id).await;
    assert_eq!(next.status, Status::Succeeded);
    let effects: Value = ok(app.get("/effects?run=r", OPERATOR)).await;
    let of_task = json!({"task": task.id, "kind": "replacement", "status": "cancelled", "effects": 0, "finals": 1});
    assert_eq!(effects["items"], json!([of_task]));
    let cards: Value = ok(app.get("/cards", &tokens[0])).await;
    assert_eq!(cards["items"], json!([]));
}

#[tokio::test]
async fn only_operators_cancel_and_they_say_why() {
    let app = TestApp::without_workers().await;
    let token = app.user("r").await;
    let task = app.replace(&token).await;
    let path = format!("/tasks/{}/cancel", task.id);
    assert_eq!(problem(app.post(&path, &token, &json!({"reason": "r"}))).await.code, Code::Forbidden);
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"reason": ""}), "/reason"),
        (json!({"reason": "  "}), "/reason"),
        (json!({"reason": "x".repeat(501)}), "/reason"),
        (json!({"reason": "a\u{0}b"}), "/reason"),
        (json!({"reason": 7}), "/reason"),
        (json!({"reason": "r", "force": true}), "/force"),
    ] {
        let problem = problem(app.post(&path, OPERATOR, &body)).await;
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, pointer), "{body}");
    }
    for id in [TaskId::new().to_string(), "tsk_x".to_owned()] {
        let nobody = app.post(&format!("/tasks/{id}/cancel"), OPERATOR, &json!({"reason": "r"}));
        assert_eq!(problem(nobody).await.code, Code::NotFound);
    }
    let now: Task = ok(app.get(&format!("/tasks/{}", task.id), OPERATOR)).await;
    assert_eq!(now.status, Status::Queued);
}

#[tokio::test]
async fn why_it_was_cancelled_is_not_told_to_its_owner() {
    let app = TestApp::without_workers().await;
    let token = app.user("r").await;
    let task = app.replace(&token).await;
    ok::<Task>(cancel(&app, task.id, "suspected mule account, police informed")).await;
    let id = task.id;
    for path in [
        format!("/tasks/{id}"),
        format!("/tasks/{id}?wait=1s"),
        format!("/tasks/{id}/events"),
        format!("/tasks/{id}/events?from=0"),
        format!("/replacements/{id}"),
        "/replacements".to_owned(),
    ] {
        let told = app.get(&path, &token).send().await.unwrap().text().await.unwrap();
        assert!(told.contains(r#""status":"cancelled""#) && told.contains(r#""code":"cancelled""#), "{path}: {told}");
        assert!(!told.contains("mule"), "{path}: {told}");
    }
    let kept: Task = ok(app.get(&format!("/tasks/{id}"), OPERATOR)).await;
    assert!(kept.error.unwrap().message.contains("mule"));
}
