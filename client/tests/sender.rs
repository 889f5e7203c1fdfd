//! What a real server does not do on request: lose the answer to a request that it carried out.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use card_client::ledger::Ledger;
use card_client::sender::{Sender, Sent};
use card_client::{Client, Order, SyntheticUser, Token};
use card_core::ids::{RunId, TaskId, UserId};
use card_core::problem::{Code, Problem};
use card_core::tasks::{Priority, Status, Task};
use card_kinds::replacement;
use card_kinds::replacement::{CardReplacement, Reason, Replacement};
use tokio_util::sync::CancellationToken;

/// How the stage answers a request that it has, of course, carried out.
#[derive(Clone, Copy)]
enum Answer {
    Whole,
    /// The connection breaks off in the middle of the body.
    Cut,
    Problem(Code),
}

#[derive(Default)]
struct Stage {
    answers: Mutex<Vec<Answer>>,
    /// The task that each key made.
    tasks: Mutex<HashMap<String, Task>>,
    keys: Mutex<Vec<String>>,
}

impl Stage {
    fn accept(&self, headers: &HeaderMap) -> Response {
        let key = headers["idempotency-key"].to_str().unwrap().to_owned();
        self.keys.lock().unwrap().push(key.clone());
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
        if let Answer::Problem(code) = answer {
            let status = StatusCode::from_u16(code.status()).unwrap();
            return (status, [("retry-after", "0")], serde_json::to_string(&problem(code)).unwrap()).into_response();
        }
        let text = serde_json::to_string(self.tasks.lock().unwrap().entry(key).or_insert_with(task)).unwrap();
        match answer {
            Answer::Cut => {
                let half = Bytes::from(text[..text.len() / 2].to_owned());
                let broken = futures::stream::iter([Ok(half), Err(io::Error::other("cut"))]);
                (StatusCode::ACCEPTED, Body::from_stream(broken)).into_response()
            }
            _ => (StatusCode::ACCEPTED, text).into_response(),
        }
    }
}

fn task() -> Task {
    Task {
        id: TaskId::new(),
        kind: replacement::KIND,
        owner: None,
        run: None,
        status: Status::Queued,
        attempts: 0,
        priority: Priority::Normal,
        accepted_at: card_core::time::Instant::now(),
        due_at: None,
        started_at: None,
        settled_at: None,
        result: None,
        error: None,
    }
}

fn problem(code: Code) -> Problem {
    Problem {
        kind: String::new(),
        title: code.title().to_owned(),
        status: code.status(),
        detail: String::new(),
        instance: String::new(),
        code,
        request_id: String::new(),
        errors: Vec::new(),
        open_task: None,
        task_status: None,
    }
}

/// Sends one order to a stage; what became of it, the stage, the ledger.
async fn send(answers: &[Answer], patience: Duration) -> (Sent, Arc<Stage>, Arc<Ledger>) {
    let stage = Arc::new(Stage { answers: Mutex::new(answers.to_vec()), ..Stage::default() });
    let answering = Arc::clone(&stage);
    let route = post(move |headers: HeaderMap| async move { answering.accept(&headers) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/api/v1/tasks", route)).await });
    let run = RunId::new();
    let ledger = Arc::new(Ledger::create(None, &run, 0, true).unwrap());
    let sender = Sender::new(&client, &run, Arc::clone(&ledger), patience, CancellationToken::new());
    let user = SyntheticUser {
        id: UserId::new(),
        username: "ada".to_owned(),
        access_token: Token::new("t"),
        since: std::time::Instant::now(),
    };
    let order = Order::of::<CardReplacement>(&Replacement { reason: Reason::Lost });
    let sent =
        tokio::time::timeout(Duration::from_secs(20), sender.send(&user, 0, &order, |_| {})).await.unwrap().unwrap();
    (sent, stage, ledger)
}

const LONG: Duration = Duration::from_secs(15);

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_sent_again_with_its_key_and_counts_once() {
    let (sent, stage, ledger) = send(&[Answer::Cut, Answer::Cut, Answer::Whole], LONG).await;
    let Sent::Accepted { task, .. } = sent else { panic!("{sent:?}") };
    let keys = stage.keys.lock().unwrap().clone();
    assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(stage.tasks.lock().unwrap().len(), 1);
    let expectation = ledger.expectation();
    assert_eq!((expectation.accepted.get(&task.id), expectation.unanswered), (Some(&1), 0));
}

#[tokio::test]
async fn an_order_that_is_never_answered_is_noted_as_such() {
    let (sent, stage, ledger) = send(&[Answer::Cut], Duration::from_millis(300)).await;
    assert!(matches!(sent, Sent::Unanswered(_)), "{sent:?}");
    assert!(stage.keys.lock().unwrap().len() > 1);
    assert_eq!((ledger.len(), ledger.expectation().unanswered), (0, 1));
}

#[tokio::test]
async fn an_overload_is_waited_out() {
    let (sent, _, ledger) = send(&[Answer::Problem(Code::Overloaded), Answer::Whole], LONG).await;
    assert!(matches!(sent, Sent::Accepted { .. }), "{sent:?}");
    assert_eq!(ledger.len(), 1);
}

#[tokio::test]
async fn a_refusal_is_final_and_leaves_nothing_to_account_for() {
    let (sent, stage, ledger) = send(&[Answer::Problem(Code::ReplacementOpen)], LONG).await;
    assert!(matches!(sent, Sent::Refused(_)), "{sent:?}");
    assert_eq!((stage.keys.lock().unwrap().len(), ledger.expectation().unanswered), (1, 0));
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_proves_nothing() {
    let (sent, _, ledger) = send(&[Answer::Cut, Answer::Problem(Code::ReplacementOpen)], LONG).await;
    assert!(matches!(sent, Sent::Unanswered(_)), "{sent:?}");
    assert_eq!(ledger.expectation().unanswered, 1);
}
