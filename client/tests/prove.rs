//! An audit that can't read all of the platform's ledger says so, and calls nothing lost.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use card_client::audit::{Drain, Verdict, prove};
use card_client::ledger::Ledger;
use card_client::observer::Observer;
use card_client::{Client, Token};
use card_core::engine::{EffectCount, EffectPage};
use card_core::ids::{RunId, TaskId, UserId};
use card_core::tasks::Status;
use card_kinds::replacement;
use futures::StreamExt;

/// A stream that says where it begins and then nothing.
async fn events() -> Response {
    let hello = Bytes::from_static(b"event: hello\ndata: {\"from\":0}\n\n");
    let silent = futures::stream::iter([Ok::<_, std::convert::Infallible>(hello)]).chain(futures::stream::pending());
    ([("content-type", "text/event-stream")], Body::from_stream(silent)).into_response()
}

/// A platform whose ledger answers with `pages` and then as `after` says.
async fn platform(pages: Vec<EffectPage>, after: StatusCode) -> Client {
    let pages = Arc::new(pages);
    let effects = get(move |RawQuery(query): RawQuery| async move {
        let cursor = query.unwrap_or_default().split("cursor=").nth(1).map_or(0, |cursor| cursor.parse().unwrap());
        match pages.get::<usize>(cursor) {
            Some(page) => serde_json::to_string(page).unwrap().into_response(),
            None => after.into_response(),
        }
    });
    let app = Router::new().route("/api/v1/events", get(events)).route("/api/v1/effects", effects);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()), Some(Token::new("op"))).unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    client
}

fn page(tasks: &[TaskId], next: Option<&str>) -> EffectPage {
    let sound = |task: &TaskId| EffectCount {
        task: *task,
        kind: replacement::KIND,
        status: Status::Succeeded,
        effects: 1,
        finals: 1,
    };
    EffectPage { items: tasks.iter().map(sound).collect(), next: next.map(ToOwned::to_owned) }
}

async fn audit(client: &Client, accepted: &[TaskId]) -> card_client::audit::Audit {
    let run = RunId::new();
    let ledger = Ledger::create(None, &run, 0, true).unwrap();
    for task in accepted {
        ledger.accepted(*task, UserId::new(), replacement::KIND).unwrap();
    }
    let observer = Observer::start(client, &run, Duration::from_secs(5), |_, _| {}).await.unwrap();
    let drain = Drain { bound: Duration::from_millis(50), ..Drain::default() };
    prove(client, &run, &ledger, &observer, drain, |_| {}).await
}

fn tasks(count: usize) -> Vec<TaskId> {
    (0..count).map(|_| TaskId::new()).collect()
}

#[tokio::test]
async fn pages_are_read_to_the_end_even_if_the_stream_told_nothing() {
    let tasks = tasks(3);
    let client = platform(vec![page(&tasks[..2], Some("1")), page(&tasks[2..], None)], StatusCode::NOT_FOUND).await;
    let audit = audit(&client, &tasks).await;
    assert_eq!((audit.succeeded, audit.verdict), (3, Verdict::Pass));
    assert!(audit.drain_ms >= 50, "the bound of the drain was waited for: {}", audit.drain_ms);
}

#[tokio::test]
async fn a_page_that_can_not_be_read_leaves_the_rest_unverified() {
    let tasks = tasks(3);
    let client = platform(vec![page(&tasks[..2], Some("1"))], StatusCode::FORBIDDEN).await;
    let audit = audit(&client, &tasks).await;
    assert_eq!((audit.succeeded, audit.unverified, audit.lost), (2, 1, 0));
    assert_eq!(audit.verdict, Verdict::Inconclusive);
    assert!(audit.unverified_reason.is_some());
}

#[tokio::test]
async fn a_cursor_that_does_not_move_ends_the_reading() {
    let tasks = tasks(3);
    let client =
        platform(vec![page(&tasks[..1], Some("1")), page(&tasks[1..2], Some("1"))], StatusCode::NOT_FOUND).await;
    let audit = audit(&client, &tasks).await;
    assert_eq!((audit.unverified, audit.verdict), (1, Verdict::Inconclusive));
}

#[tokio::test]
async fn what_the_platform_does_not_have_is_lost() {
    let tasks = tasks(2);
    let client = platform(vec![page(&tasks[..1], None)], StatusCode::NOT_FOUND).await;
    let audit = audit(&client, &tasks).await;
    assert_eq!((audit.lost, audit.verdict), (1, Verdict::Fail));
}
