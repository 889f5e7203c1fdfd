//! Old clients are served as their predecessors served them, on each front that is on.
//!
//! What is left behind must go with the run. So purchases and cards are those of generated users, by their tokens; what needs
//! no token is only read.

use std::time::Duration;

use card_core::fronts::Front;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::Token;
use crate::commands::smoke::runner::Miss;
use crate::commands::smoke::stage::{Stage, TASK_LIMIT};

/// Pause between two looks; the old clients wait for seconds.
const PAUSE: Duration = Duration::from_millis(20);

pub(in crate::commands::smoke) async fn run(stage: &Stage) -> Result<String, Miss> {
    let http = card_http::local().timeout(TASK_LIMIT).build();
    let http = http.map_err(|error| Miss::Unknown(error.to_string()))?;
    let names: Vec<_> = stage.fronts.keys().map(|front| front.name()).collect();
    for (front, url) in &stage.fronts {
        let old = Old { http: &http, stage, front: *front, url };
        match front {
            Front::CardReplacer => old.replaces_a_card().await?,
            Front::Shop => old.buys("/api/v1/buy", StatusCode::ACCEPTED, "/api/v1/getAllUserBuys").await?,
            Front::BuyList => old.buys("/buy", StatusCode::CREATED, "/getAllUserBuys").await?,
            // Whoever buys does so on the other port.
            Front::ShopManagement => drop(old.reads(old.request(Method::GET, "/api/v1/purchases/nobody")).await?),
            Front::BuyListManagement => drop(old.reads(old.request(Method::GET, "/purchases/nobody")).await?),
        }
    }
    Ok(format!("{} served as before", names.join(", ")))
}

/// A client of one front.
struct Old<'a> {
    http: &'a Client,
    stage: &'a Stage,
    front: Front,
    url: &'a str,
}

impl Old<'_> {
    /// Tagged with the run, so that what comes of it is removed with that.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).header("x-run-id", self.stage.run.as_str())
    }

    /// A request with the token of a generated user.
    fn signed(&self, method: Method, path: &str, token: &Token) -> RequestBuilder {
        let token = token.header().into_iter();
        token.fold(self.request(method, path), |request, token| request.header(AUTHORIZATION, token))
    }

    /// The answer, which must have this status.
    async fn expect(&self, status: StatusCode, request: RequestBuilder) -> Result<Value, Miss> {
        let unknown = |error: reqwest::Error| Miss::Unknown(format!("{}: {error}", self.front));
        let response = request.send().await.map_err(unknown)?;
        let found = response.status();
        let body: Value = response.json().await.map_err(unknown)?;
        if found == status {
            Ok(body)
        } else {
            Err(Miss::Wrong(format!("{}: {found} instead of {status}: {body}", self.front)))
        }
    }

    async fn reads(&self, request: RequestBuilder) -> Result<Vec<Value>, Miss> {
        let rows = self.expect(StatusCode::OK, request).await?;
        rows.as_array().cloned().ok_or_else(|| Miss::Wrong(format!("{}: no list: {rows}", self.front)))
    }

    async fn buys(&self, buy: &str, status: StatusCode, history: &str) -> Result<(), Miss> {
        let user = self.stage.user().await?;
        let path = format!("{history}/{}", user.id);
        let body = json!({"username": "smoke", "userid": user.id, "price": 12.5});
        let token = &user.access_token;
        self.expect(status, self.signed(Method::POST, buy, token).json(&body)).await?;
        let deadline = Instant::now() + TASK_LIMIT;
        if !self.reads(self.request(Method::GET, &path)).await?.is_empty() {
            return Err(Miss::Incorrect(format!("{}: shows an account's purchases to anybody", self.front)));
        }
        loop {
            let rows = self.reads(self.signed(Method::GET, &path, token)).await?;
            match rows.as_slice() {
                [row] if row["price"].as_f64() == Some(12.5) => return Ok(()),
                [] if Instant::now() < deadline => sleep(PAUSE).await,
                [] => return Err(Miss::Incorrect(format!("{}: a purchase is not in its history", self.front))),
                rows => return Err(Miss::Incorrect(format!("{}: bought once, and read {rows:?}", self.front))),
            }
        }
    }

    async fn replaces_a_card(&self) -> Result<(), Miss> {
        let who = json!({"username": format!("smoke {}", self.stage.run), "password": "smoke"});
        self.expect(StatusCode::CREATED, self.request(Method::POST, "/register").json(&who)).await?;
        let tokens = self.expect(StatusCode::OK, self.request(Method::POST, "/login").json(&who)).await?;
        let token = tokens["access_token"].as_str().unwrap_or_default();
        // At once, so that nobody is left whatever becomes of the card.
        let left = self.request(Method::DELETE, "/delete_user").bearer_auth(token);
        self.expect(StatusCode::OK, left).await?;
        let user = self.stage.user().await?;
        let asked = self.signed(Method::POST, "/request_card", &user.access_token);
        let asked = self.expect(StatusCode::CREATED, asked).await?;
        let path = format!("/tasks/{}", asked["task_id"].as_str().unwrap_or_default());
        let deadline = Instant::now() + TASK_LIMIT;
        loop {
            let task = self.expect(StatusCode::OK, self.request(Method::GET, &path)).await?;
            match task["status"].as_str() {
                Some("PENDING" | "RETRY") if Instant::now() < deadline => sleep(PAUSE).await,
                Some("SUCCESS") => return Ok(()),
                _ => return Err(Miss::Wrong(format!("{}: a card request ended as {task}", self.front))),
            }
        }
    }
}
