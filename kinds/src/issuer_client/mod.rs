//! Speaks to the card issuer over HTTP: one pool of connections, a deadline on every call, a bound on every answer.

mod answer;

use std::time::Duration;

use crate::replacement::IssueRequest;
use card_core::settings;
use card_core::telemetry::metrics::ISSUER_REQUESTS;
use metrics::{Counter, counter};
use reqwest::{Client, Url};

pub use self::answer::Answer;

/// An answer is a few dozen bytes; more than this is not one.
const ANSWER_LIMIT: usize = 16 * 1024;
/// Idle connections are closed before an issuer or a proxy in between does so (often after 60 s).
const IDLE: Duration = Duration::from_secs(30);

/// An issuer that can't be called.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIssuer {
    /// Not an address.
    #[error("worker.issuer.url must be an http or https URL such as http://127.0.0.1:7401")]
    Url,
    /// An address with a user name or a password, which would be shown with it.
    #[error("worker.issuer.url must not hold a user name or a password")]
    Credentials,
    /// The client can't be built, for instance because this machine has no root certificates.
    #[error("the issuer's client can't be built: {0}")]
    Client(#[source] reqwest::Error),
}

/// A client of the card issuer.
#[derive(Debug)]
pub struct IssuerClient {
    http: Client,
    issue: Url,
    outcomes: [Counter; Answer::OUTCOMES.len()],
}

impl IssuerClient {
    /// A client of the issuer at `settings.url`.
    ///
    /// # Errors
    /// The URL is not one of `http` or `https`, or the client can't be built.
    pub fn new(settings: &settings::IssuerClient) -> Result<Self, InvalidIssuer> {
        let mut base = Url::parse(&settings.url).map_err(|_| InvalidIssuer::Url)?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(InvalidIssuer::Url);
        }
        // The settings refuse it first; what comes from elsewhere is refused here.
        if !base.username().is_empty() || base.password().is_some() {
            return Err(InvalidIssuer::Credentials);
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let issue = base.join("issue").map_err(|_| InvalidIssuer::Url)?;
        let http = card_http::platform("card-worker", &issue)
            .connect_timeout(settings.timeout)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE);
        let http = http.build().map_err(InvalidIssuer::Client)?;
        let outcomes = Answer::OUTCOMES.map(|outcome| counter!(ISSUER_REQUESTS, "outcome" => outcome));
        Ok(Self { http, issue, outcomes })
    }

    /// Asks for a card. Safe to repeat: the issuer answers the same to the same key.
    pub async fn issue(&self, request: &IssueRequest) -> Answer {
        let answer = self.ask(request).await.unwrap_or_else(|error| Answer::of_failure(&error));
        self.outcomes[answer.outcome()].increment(1);
        answer
    }

    async fn ask(&self, request: &IssueRequest) -> Result<Answer, reqwest::Error> {
        let mut response = self.http.post(self.issue.clone()).json(request).send().await?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Ok(Answer::too_long(status));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::read(status, &body))
    }
}
