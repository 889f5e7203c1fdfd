//! Calls that need the operator's token: users, queue, effects; and health, which needs none.

use std::time::Duration;

use card_core::engine::{Cleaned, EffectPage};
use card_core::ids::{RunId, UserId};
use card_core::tasks::Stats;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::{Caller, Client, ClientError, GatewayAnswer, Token};

/// A clean-up of a large run takes as long as it takes to delete it.
const CLEAN_LIMIT: Duration = Duration::from_secs(600);

/// A generated user, signed in.
#[derive(Clone, Deserialize)]
pub struct SyntheticUser {
    pub id: UserId,
    /// Its name.
    pub username: String,
    pub access_token: Token,
    /// When this process got the token.
    #[serde(skip, default = "std::time::Instant::now")]
    pub since: std::time::Instant,
}

#[derive(Deserialize)]
struct SyntheticUsers {
    users: Vec<SyntheticUser>,
}

/// What `/ready` answers.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Whether the platform can do its work.
    pub ready: bool,
    /// What it says of its parts.
    pub detail: Value,
}

/// How the simulated issuer behaves, as its `/behaviour` shows it: kept whole, so that it can be put back.
#[derive(Debug, Clone)]
pub struct Behaviour(pub Value);

impl Client {
    /// Registers `count` generated users of a run, numbered from `from`, each with a token.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn synthetic_users(&self, run: &RunId, from: u64, count: u64) -> Result<Vec<SyntheticUser>, ClientError> {
        let body = serde_json::json!({ "run": run, "from": from, "count": count });
        let request = self.request(Method::POST, "/api/v1/synthetic-users", Caller::Operator)?.json(&body);
        let users = self.fetch::<SyntheticUsers>(request).await?.users;
        if users.len() as u64 == count {
            Ok(users)
        } else {
            Err(self.protocol(format!("asked for {count} users, got {}", users.len())))
        }
    }

    /// Removes a run: its generated users and what they own.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn clean(&self, run: &RunId) -> Result<Cleaned, ClientError> {
        let request = self.request(Method::DELETE, "/api/v1/synthetic-users", Caller::Operator)?;
        self.fetch(request.query(&[("run", run.as_str())]).timeout(CLEAN_LIMIT)).await
    }

    /// Depth, age, totals, workers.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stats(&self) -> Result<Stats, ClientError> {
        self.fetch(self.request(Method::GET, "/api/v1/stats", Caller::Operator)?).await
    }

    /// Stops claiming (accepting goes on), or starts it again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn set_paused(&self, paused: bool) -> Result<(), ClientError> {
        let path = if paused { "/api/v1/queue/pause" } else { "/api/v1/queue/resume" };
        self.call(self.request(Method::POST, path, Caller::Operator)?).await
    }

    /// How often each task of a run took effect, in order of acceptance.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn effects(&self, run: &RunId, cursor: Option<&str>) -> Result<EffectPage, ClientError> {
        let request = self.request(Method::GET, "/api/v1/effects", Caller::Operator)?;
        let request = request.query(&[("run", run.as_str()), ("limit", "1000")]);
        let request = match cursor {
            Some(cursor) => request.query(&[("cursor", cursor)]),
            None => request,
        };
        self.fetch(request).await
    }

    /// Whether the platform can do its work, and which part can't.
    ///
    /// # Errors
    /// It can't be reached, or something else listens there.
    pub async fn ready(&self) -> Result<Readiness, ClientError> {
        let request = self.request(Method::GET, "/ready", Caller::Nobody)?;
        let response = request.send().await.map_err(|error| self.network(&error))?;
        let (status, answer) =
            (response.status(), GatewayAnswer::new(self.url(), response.status(), response.headers()));
        let body = self.body(response).await?;
        match serde_json::from_slice::<Value>(&body) {
            // Others answer JSON too: only a document that says so itself is the platform's word.
            Ok(detail) if detail["ready"].as_bool() == Some(status.is_success()) => {
                Ok(Readiness { ready: status.is_success(), detail })
            }
            _ if status.is_success() => Err(self.protocol("unexpected answer to /ready")),
            _ => Err(ClientError::Gateway(Box::new(answer))),
        }
    }

    /// The version that the server says it is; none if it does not.
    pub async fn version(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Alive {
            version: String,
        }
        let request = self.request(Method::GET, "/health", Caller::Nobody).ok()?;
        self.fetch::<Alive>(request).await.ok().map(|alive| alive.version)
    }

    /// Reads a path as somebody and forgets the answer: shows who may.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn probe(&self, path: &str, caller: Caller<'_>) -> Result<(), ClientError> {
        self.call(self.request(Method::GET, path, caller)?).await
    }

    /// How the issuer behaves. `self` must be a client of the issuer's address.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn behaviour(&self) -> Result<Behaviour, ClientError> {
        self.fetch(self.request(Method::GET, "/behaviour", Caller::Operator)?).await.map(Behaviour)
    }

    /// Makes the issuer behave so. `self` must be a client of the issuer's address.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn set_behaviour(&self, behaviour: &Behaviour) -> Result<(), ClientError> {
        self.call(self.request(Method::PUT, "/behaviour", Caller::Operator)?.json(&behaviour.0)).await
    }
}
