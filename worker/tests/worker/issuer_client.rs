//! The client against issuers that do what the simulated one never does.

use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use card_core::ids::{TaskId, UserId};
use card_core::settings::{self, Settings};
use card_kinds::replacement::IssueRequest;
use card_kinds::replacement::Reason;
use card_kinds::{Answer, IssuerClient};
use tokio::net::TcpListener;

fn client(url: String) -> IssuerClient {
    let timeout = Duration::from_millis(300);
    IssuerClient::new(&settings::IssuerClient { url, timeout, ..Settings::default().worker.issuer }).unwrap()
}

async fn ask(url: String) -> Answer {
    let request = IssueRequest { idempotency_key: TaskId::new(), user: UserId::new(), reason: Reason::Lost };
    client(url).issue(&request).await
}

/// What the client makes of an issuer that answers so.
async fn made_of<A: IntoResponse + Send + Clone + Sync + 'static>(answer: A) -> Answer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/issuer/issue", post(async move || answer.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    ask(format!("http://{address}/issuer")).await
}

#[tokio::test]
async fn a_card_is_read_under_a_path_of_its_own() {
    let card = r#"{"card_ref":"x-1","last4":"0001","network":"amex"}"#;
    assert!(matches!(made_of(card).await, Answer::Issued(card) if card.card_ref == "x-1"));
}

#[tokio::test]
async fn garbage_is_not_read_beyond_its_bound() {
    assert_eq!(made_of("<html>").await, Answer::Garbage);
    assert_eq!(made_of("x".repeat(10_000_000)).await, Answer::Garbage);
    let long = (StatusCode::BAD_GATEWAY, "x".repeat(10_000_000));
    assert_eq!(made_of(long).await, Answer::Unavailable { status: Some(502) });
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere")]);
    assert_eq!(made_of(elsewhere).await, Answer::Refused { status: 307 });
}

#[tokio::test]
async fn a_issuer_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(ask(format!("http://{address}")).await, Answer::Unavailable { status: None });
}

#[tokio::test]
async fn a_issuer_that_accepts_and_says_nothing_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let begun = Instant::now();
    assert_eq!(ask(format!("http://{}", listener.local_addr().unwrap())).await, Answer::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    for url in ["", "issuer", "ftp://issuer", "http://", "/issue"] {
        let settings = settings::IssuerClient { url: url.to_owned(), ..Settings::default().worker.issuer };
        assert!(IssuerClient::new(&settings).is_err(), "{url}");
    }
}
