//! Calls about purchases: buy, and read a history, as new as it must be.

use card_core::engine::EventSeq;
use card_core::ids::{RunId, UserId};
use card_core::tasks::Task;
use card_core::time::Instant;
use card_kinds::purchase::{NewPurchase, Purchase};
use reqwest::header::{ETAG, HeaderMap, HeaderName, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::tasks::{IDEMPOTENCY_KEY, RUN_ID};
use crate::{Accept, Caller, Client, ClientError};

const SEQUENCE: HeaderName = HeaderName::from_static("x-sequence");
const MIN_SEQUENCE: HeaderName = HeaderName::from_static("x-min-sequence");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Which purchases.
#[derive(Debug, Clone, Default)]
pub struct PurchaseQuery {
    /// Whose; the caller's own if none. An operator has to say it.
    pub owner: Option<UserId>,
    /// Recorded at this time or later.
    pub from: Option<Instant>,
    /// Recorded before this time.
    pub to: Option<Instant>,
}

/// A page of purchases, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchasePage {
    pub items: Vec<Purchase>,
    /// Leads to the next page; none on the last.
    pub next: Option<String>,
}

/// What purchases come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseSummary {
    /// How many.
    pub count: u64,
    /// The exact sum of their prices.
    pub total: String,
    /// When the first was recorded.
    pub first_at: Option<Instant>,
    /// When the last was.
    pub last_at: Option<Instant>,
}

/// What the reader knows already.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The answer must be as new as this place in the log.
    pub min_sequence: Option<EventSeq>,
    /// The tag of an earlier answer, which need not be sent again.
    pub tag: Option<&'a str>,
}

/// An answer that says which state it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// What was read; none if the reader has it already (304).
    pub value: Option<T>,
    /// Its strong `ETag`.
    pub tag: String,
    /// The place in the log that it is as new as.
    pub sequence: EventSeq,
    /// What it has cost the platform.
    pub cost: ReadCost,
}

/// What the platform says an answer has cost, in `server-timing`; nothing where something on the way takes that out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadCost {
    /// Whether it came from memory; none if nothing is kept.
    pub hit: Option<bool>,
    /// Questions to the ledger.
    pub ledger: Option<u64>,
}

impl ReadCost {
    fn of(headers: &HeaderMap) -> Self {
        let mut cost = Self::default();
        let texts = headers.get_all(SERVER_TIMING).iter().filter_map(|value| value.to_str().ok());
        for metric in texts.flat_map(|text| text.split(',')) {
            match metric.trim().split_once(";desc=") {
                Some(("cache", outcome)) => cost.hit = Some(outcome == "hit"),
                Some(("ledger", count)) => cost.ledger = count.parse().ok(),
                _ => {}
            }
        }
        cost
    }
}

impl Client {
    /// Buys; returns the task that is durable now, and its place in the log.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn buy(&self, purchase: &NewPurchase, accept: Accept<'_>) -> Result<(Task, EventSeq), ClientError> {
        let mut request = self.request(Method::POST, "/api/v1/purchases", accept.caller)?.json(purchase);
        for (name, value) in [(IDEMPOTENCY_KEY, accept.key), (RUN_ID, accept.run.map(RunId::as_str))] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let response = self.open(request).await?;
        let sequence = self.sequence(response.headers())?;
        let body = self.body(response).await?;
        let task = serde_json::from_slice(&body).map_err(|error| self.protocol(format!("the body: {error}")))?;
        Ok((task, sequence))
    }

    /// One page of purchases, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn purchases(
        &self,
        query: &PurchaseQuery,
        limit: usize,
        cursor: Option<&str>,
        known: Known<'_>,
        caller: Caller<'_>,
    ) -> Result<Versioned<PurchasePage>, ClientError> {
        let mut parameters = parameters(query);
        parameters.push(("limit", limit.to_string()));
        parameters.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        self.versioned("/api/v1/purchases", &parameters, known, caller).await
    }

    /// How many purchases, and what they come to.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn purchase_summary(
        &self,
        query: &PurchaseQuery,
        known: Known<'_>,
        caller: Caller<'_>,
    ) -> Result<Versioned<PurchaseSummary>, ClientError> {
        self.versioned("/api/v1/purchases/summary", &parameters(query), known, caller).await
    }

    /// Reads what has a version.
    pub(crate) async fn versioned<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        known: Known<'_>,
        caller: Caller<'_>,
    ) -> Result<Versioned<T>, ClientError> {
        let mut request = self.request(Method::GET, path, caller)?.query(parameters);
        if let Some(sequence) = known.min_sequence {
            request = request.header(MIN_SEQUENCE, sequence);
        }
        if let Some(tag) = known.tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let response = request.send().await.map_err(|error| self.network(&error))?;
        let same = response.status() == StatusCode::NOT_MODIFIED && known.tag.is_some();
        if !same && !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let (sequence, cost) = (self.sequence(response.headers())?, ReadCost::of(response.headers()));
        let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.ok_or_else(|| self.protocol("an answer without an ETag"))?.to_owned();
        let body = self.body(response).await?;
        let value = match same {
            true => None,
            false => Some(serde_json::from_slice(&body).map_err(|error| self.protocol(format!("the body: {error}")))?),
        };
        Ok(Versioned { value, tag, sequence, cost })
    }

    fn sequence(&self, headers: &HeaderMap) -> Result<EventSeq, ClientError> {
        let sequence = headers.get(SEQUENCE).and_then(|value| value.to_str().ok()?.parse().ok());
        sequence.ok_or_else(|| self.protocol("an answer without x-sequence"))
    }
}

fn parameters(query: &PurchaseQuery) -> Vec<(&'static str, String)> {
    let given = [
        ("owner", query.owner.map(|owner| owner.to_string())),
        ("from", query.from.map(|from| from.to_string())),
        ("to", query.to.map(|to| to.to_string())),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
