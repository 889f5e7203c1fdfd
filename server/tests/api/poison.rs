//! A task whose step always fails, among many that work: its neighbours must not notice.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use card_core::ids::TaskId;
use card_core::tasks::{Attempt, Status, Task};
use card_kinds::replacement::IssueRequest;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::app::{OPERATOR, PATIENCE, TestApp, eventually, ok};

const GOOD: usize = 200;
const ATTEMPTS: u32 = 3;

/// An issuer that fails for one task and works for all others.
#[derive(Clone)]
struct Issuer {
    poison: watch::Sender<Option<TaskId>>,
    /// While true, calls for the poison get no answer.
    held: watch::Sender<bool>,
    /// Calls, as they came.
    calls: Arc<Mutex<Vec<TaskId>>>,
}

impl Issuer {
    async fn start() -> (Self, String) {
        let issuer = Self { poison: watch::Sender::new(None), held: watch::Sender::new(false), calls: Arc::default() };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/issue", post(issue)).with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (issuer, url)
    }

    fn calls(&self) -> Vec<TaskId> {
        self.calls.lock().unwrap().clone()
    }
}

async fn issue(State(issuer): State<Issuer>, Json(request): Json<IssueRequest>) -> (StatusCode, Json<Value>) {
    let task = request.idempotency_key;
    issuer.calls.lock().unwrap().push(task);
    if *issuer.poison.borrow() == Some(task) {
        issuer.held.subscribe().wait_for(|held| !held).await.unwrap();
        return (StatusCode::SERVICE_UNAVAILABLE, Json(Value::Null));
    }
    (StatusCode::OK, Json(json!({"card_ref": format!("iss_{task}"), "last4": "0042", "network": "visa"})))
}

/// The poison is the first in line, the good ones come behind it; nothing has begun.
async fn queued(concurrency: usize) -> (TestApp, Issuer, TaskId, Vec<TaskId>) {
    let (issuer, url) = Issuer::start().await;
    let app = TestApp::with(1, |settings| {
        settings.worker.concurrency = concurrency;
        settings.worker.retry.max_attempts = ATTEMPTS;
        settings.worker.issuer.url = url;
        settings.worker.issuer.timeout = PATIENCE;
    })
    .await;
    assert!(app.post("/queue/pause", OPERATOR, &json!({})).send().await.unwrap().status().is_success());
    let mut tasks = Vec::new();
    for token in app.users("poison", GOOD + 1).await {
        tasks.push(app.replace(&token).await.id);
    }
    let poison = tasks.remove(0);
    issuer.poison.send_replace(Some(poison));
    (app, issuer, poison, tasks)
}

async fn resume(app: &TestApp) {
    assert!(app.post("/queue/resume", OPERATOR, &json!({})).send().await.unwrap().status().is_success());
}

async fn all_good_ones_succeed(app: &TestApp) {
    eventually("all good ones succeed", async || {
        let page: Value = ok(app.get("/tasks?status=succeeded&limit=1000", OPERATOR)).await;
        (page["items"].as_array().unwrap().len() == GOOD).then_some(())
    })
    .await;
}

/// In the order in which they were accepted; where owners have shards, in that order within each.
fn each_once(app: &TestApp, mut called: Vec<TaskId>, mut accepted: Vec<TaskId>) {
    if app.ledger.path().is_none() {
        called.sort_unstable();
        accepted.sort_unstable();
    }
    assert!(called == accepted, "{} calls for {} tasks", called.len(), accepted.len());
}

async fn is_a_dead_letter(app: &TestApp, poison: TaskId) {
    #[derive(Deserialize)]
    struct Attempts {
        items: Vec<Attempt>,
    }
    let task: Task = app.finished(poison).await;
    assert_eq!((task.status, task.attempts), (Status::Dead, ATTEMPTS));
    let Attempts { items } = ok(app.get(&format!("/tasks/{poison}/attempts"), OPERATOR)).await;
    assert_eq!(items.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(items.iter().all(|attempt| attempt.error.as_ref().unwrap().code == "issuer-unavailable"));
    assert!(items.iter().all(|attempt| attempt.started_at.is_some_and(|began| began <= attempt.ended_at)));
    let groups: Value = ok(app.get("/dead-letters/groups", OPERATOR)).await;
    assert_eq!((&groups["total"], &groups["items"][0]["sample"]), (&1.into(), &json!(poison)));
}

#[tokio::test]
async fn a_task_that_always_fails_does_not_hold_up_its_neighbours() {
    let (app, issuer, poison, good) = queued(1).await;
    resume(&app).await;
    all_good_ones_succeed(&app).await;
    is_a_dead_letter(&app, poison).await;
    let calls = issuer.calls();
    assert_eq!(calls.iter().filter(|task| **task == poison).count(), ATTEMPTS as usize);
    let others: Vec<_> = calls.into_iter().filter(|task| *task != poison).collect();
    each_once(&app, others, good);
}

#[tokio::test]
async fn a_task_that_never_answers_takes_one_place_and_no_more() {
    let (app, issuer, poison, good) = queued(2).await;
    issuer.held.send_replace(true);
    resume(&app).await;
    // They all end while the first attempt at the poison is still under way.
    all_good_ones_succeed(&app).await;
    let calls = issuer.calls();
    assert_eq!(calls.iter().filter(|task| **task == poison).count(), 1);
    let others: Vec<_> = calls.into_iter().filter(|task| *task != poison).collect();
    each_once(&app, others, good);
    issuer.held.send_replace(false);
    is_a_dead_letter(&app, poison).await;
}
