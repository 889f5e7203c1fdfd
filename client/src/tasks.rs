//! Calls about tasks: accept, read, list.

use std::sync::Arc;
use std::time::Duration;

use card_core::ids::{RunId, TaskId, UserId};
use card_core::tasks::{Attempt, Kind, Priority, Status, Task, TaskPage};
use card_core::time::Instant;
use card_kinds::TaskKind;
use card_kinds::replacement::Card;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::{Caller, Client, ClientError};

/// The server ends a long poll after this much at the latest.
const WAIT_LIMIT: Duration = Duration::from_secs(60);
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) const RUN_ID: HeaderName = HeaderName::from_static("x-run-id");

/// What is asked for: the body of `POST /tasks`.
#[derive(Debug, Clone, Serialize)]
pub struct Order {
    /// What to do.
    pub kind: Kind,
    /// With what; of the kind.
    pub payload: Arc<RawValue>,
    /// How much of the workers it gets; as most if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Not to be begun before; due at once if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Instant>,
}

impl Order {
    /// An order of a kind.
    #[must_use]
    pub fn of<K: TaskKind>(payload: &K::Payload) -> Self {
        // Payloads are plain data, which JSON always takes; `null` would be refused.
        let payload = to_raw_value(payload).unwrap_or_default().into();
        Self { kind: K::KIND, payload, priority: None, due_at: None }
    }
}

/// How an order is sent.
#[derive(Clone, Copy)]
pub struct Accept<'a> {
    /// On whose behalf.
    pub caller: Caller<'a>,
    /// The `Idempotency-Key`: makes it safe to send again.
    pub key: Option<&'a str>,
    /// The run to tag it with.
    pub run: Option<&'a RunId>,
}

/// Which tasks to list. Empty means all.
#[derive(Debug, Clone, Default)]
pub struct TaskQuery {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// In this status.
    pub status: Option<Status>,
    /// Of this run.
    pub run: Option<RunId>,
    /// Of this owner.
    pub owner: Option<UserId>,
    /// Whose error matches this regular expression.
    pub error: Option<String>,
    /// At most so many a page.
    pub limit: Option<usize>,
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

impl Client {
    /// Sends an order; returns the task that is durable now.
    ///
    /// # Errors
    /// See [`ClientError`]; the problem of a kind that an owner can have only one of carries the task that is under way.
    pub async fn accept(&self, order: &Order, accept: Accept<'_>) -> Result<Task, ClientError> {
        let body = serde_json::to_vec(order).map_err(|error| self.protocol(error.to_string()))?;
        let mut headers = HeaderMap::with_capacity(6);
        for (name, value) in [(IDEMPOTENCY_KEY, accept.key), (RUN_ID, accept.run.map(RunId::as_str))] {
            if let Some(value) = value {
                let value = HeaderValue::from_str(value).map_err(|error| self.protocol(format!("{name}: {error}")))?;
                headers.insert(name, value);
            }
        }
        self.order(headers, body, accept.caller).await
    }

    /// The task as it is now, or as it is when it becomes final within `wait` (the server bounds it at 60 s).
    ///
    /// # Errors
    /// See [`ClientError`]; `not-found` also for somebody else's.
    pub async fn task(&self, id: TaskId, wait: Option<Duration>, caller: Caller<'_>) -> Result<Task, ClientError> {
        let request = self.request(Method::GET, &format!("/api/v1/tasks/{id}"), caller)?;
        let request = match wait.map(|wait| wait.min(WAIT_LIMIT)) {
            Some(wait) => {
                request.query(&[("wait", format!("{}ms", wait.as_millis()))]).timeout(wait + super::CALL_LIMIT)
            }
            None => request,
        };
        self.fetch(request).await
    }

    /// The attempts of a task that ended, oldest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn attempts(&self, id: TaskId, caller: Caller<'_>) -> Result<Vec<Attempt>, ClientError> {
        let request = self.request(Method::GET, &format!("/api/v1/tasks/{id}/attempts"), caller)?;
        self.fetch::<Items<Attempt>>(request).await.map(|page| page.items)
    }

    /// One page of tasks, newest first (operator).
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tasks(&self, query: &TaskQuery, cursor: Option<&str>) -> Result<TaskPage, ClientError> {
        let parameters = [
            ("kind", query.kind.map(|kind| kind.to_string())),
            ("status", query.status.map(|status| status.to_string())),
            ("run", query.run.as_ref().map(ToString::to_string)),
            ("owner", query.owner.map(|owner| owner.to_string())),
            ("error", query.error.clone()),
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("cursor", cursor.map(ToOwned::to_owned)),
        ];
        let given: Vec<_> = parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        self.fetch(self.request(Method::GET, "/api/v1/tasks", Caller::Operator)?.query(&given)).await
    }

    /// The caller's own replacements, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replacements(&self, caller: Caller<'_>, cursor: Option<&str>) -> Result<TaskPage, ClientError> {
        let given: Vec<_> = cursor.map(|cursor| ("cursor", cursor)).into_iter().collect();
        self.fetch(self.request(Method::GET, "/api/v1/replacements", caller)?.query(&given)).await
    }

    /// The caller's own cards, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn cards(&self, caller: Caller<'_>) -> Result<Vec<Card>, ClientError> {
        self.fetch::<Items<Card>>(self.request(Method::GET, "/api/v1/cards", caller)?).await.map(|page| page.items)
    }

    /// Queues a dead task again (operator).
    ///
    /// # Errors
    /// See [`ClientError`]; `not-dead` if it is not.
    pub async fn retry(&self, id: TaskId) -> Result<Task, ClientError> {
        self.fetch(self.request(Method::POST, &format!("/api/v1/tasks/{id}/retry"), Caller::Operator)?).await
    }

    /// Cancels a task that is not final (operator); one that is cancelled already is answered as it is.
    ///
    /// # Errors
    /// See [`ClientError`]; `task-final` if it ended in another way.
    pub async fn cancel(&self, id: TaskId, reason: &str) -> Result<Task, ClientError> {
        let request = self.request(Method::POST, &format!("/api/v1/tasks/{id}/cancel"), Caller::Operator)?;
        self.fetch(request.json(&serde_json::json!({ "reason": reason }))).await
    }
}
