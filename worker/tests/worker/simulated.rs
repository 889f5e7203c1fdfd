//! A simulated issuer on a port of its own, and a client that sends it what a test says.

use std::net::SocketAddr;

use card_core::ids::{TaskId, UserId};
use card_core::settings::Settings;
use card_issuer::{Behaviour, OperatorToken};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::bed::PATIENCE;

pub(crate) const TOKEN: &str = "op_0123456789abcdef";

pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    http: reqwest::Client,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

/// Answers at once and always well.
pub(crate) fn prompt() -> Behaviour {
    Behaviour { latency_p50_ms: 0.0, latency_p99_ms: 0.0, ..Behaviour::from(&Settings::default().issuer) }
}

impl Issuer {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::start_with(behaviour, Some(OperatorToken::new(TOKEN))).await
    }

    pub(crate) async fn start_with(behaviour: Behaviour, operator: Option<OperatorToken>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let ended = tokio::spawn(card_issuer::serve(listener, behaviour, operator, stop.clone()));
        let http = card_http::local().timeout(PATIENCE).build().unwrap();
        Self { address, http, stop, ended }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url()))
    }

    /// Status and body of `POST /issue` for a key.
    pub(crate) async fn issue(&self, key: TaskId) -> (u16, Value) {
        let body = json!({"idempotency_key": key, "user": UserId::new(), "reason": "lost"});
        read(self.request(Method::POST, "/issue").json(&body)).await
    }

    pub(crate) async fn behave(&self, update: Value) -> (u16, Value) {
        read(self.request(Method::PUT, "/behaviour").bearer_auth(TOKEN).json(&update)).await
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.ended).await.expect("a stop ends").unwrap();
    }
}

pub(crate) async fn read(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let problem = response.headers()["content-type"] == "application/problem+json";
    assert_eq!(problem, status >= 400, "every error is a problem document");
    (status, response.json().await.unwrap())
}
