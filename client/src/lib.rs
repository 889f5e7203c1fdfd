//! The platform as a client sees it, for command line, load tests and benchmarks alike: the one HTTP client of the API,
//! the event stream, orders, and the audit that decides whether the platform kept its word.
//!
//! ```text
//! identities ─► sender ──HTTP──► platform ──SSE──► events ─► observer ─┐
//!    orders ─►    │                                                    ├─► audit ─► verdict
//!                 └─► ledger (what was accepted, by the sender) ───────┘
//! ```
//!
//! [`Client`] owns the connection pool, time limits, tokens and the reading of answers. It never tries again by itself:
//! who may do that depends on the call, see [`sender`]. Nothing here makes a load or knows a plan.

pub mod audit;
mod courier;
mod dead_letters;
mod error;
pub mod events;
mod gateway;
pub mod identities;
pub mod latency;
pub mod ledger;
mod local;
pub mod observer;
mod operator;
pub mod orders;
mod purchases;
pub mod reads;
pub mod recorded;
pub mod retries;
mod retry_after;
pub mod sender;
mod tasks;
mod token;

use std::sync::Arc;
use std::time::Duration;

use card_core::problem::Problem;
use card_http::PlainHttp;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;

use self::courier::Courier;
pub use self::dead_letters::{Bulk, BulkFilter, BulkPace, DeadLetterGroup, DeadLetterGroups, Refused};
pub use self::error::ClientError;
pub use self::gateway::GatewayAnswer;
pub use self::local::LocalFault;
use self::local::Names;
pub use self::operator::{Behaviour, Readiness, SyntheticUser};
pub use self::purchases::{Known, PurchasePage, PurchaseQuery, PurchaseSummary, ReadCost, Versioned};
pub use self::tasks::{Accept, Order, TaskQuery};
pub use self::token::{Caller, Token};

/// The limit of a call that has no reason to take longer.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// What the platform is told of who asks.
const PROGRAM: &str = "cardctl";
const TIME_UP: &str = "the time was up";
/// No answer of this API is larger; what is, comes from something else.
const ANSWER_LIMIT: usize = 32 * 1024 * 1024;

/// Lets this process have as many connections as the system allows it. How many files it may have open now; none where
/// that can't be told.
pub fn raise_connection_limit() -> Option<u64> {
    // Each connection is a file. The soft limit of many systems is 1024, for the sake of select(2), which we don't use.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return Some(hard);
    }
    Some(soft)
}

/// A platform to talk to. Clones share one pool of connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    /// For orders; none if they need TLS.
    courier: Option<Courier>,
    /// Where orders are sent.
    tasks: Arc<Address>,
    operator: Option<Token>,
}

/// An address, parsed once: a load sends to it thousands of times.
struct Address {
    url: Url,
    uri: Option<http::Uri>,
}

impl Client {
    /// A client of the platform at `base` (`http://host:port`), with the operator's token if there is one.
    ///
    /// # Errors
    /// [`ClientError::Protocol`] if `base` is not an HTTP address, or carries a user name or password: an address is
    /// printed, so it must not hold a secret. [`ClientError::PlainHttp`] if the token would leave this machine without TLS.
    pub fn new(base: &str, operator: Option<Token>) -> Result<Self, ClientError> {
        Self::with(base, operator, &PlainHttp::nowhere())
    }

    /// As [`Client::new`], where the user lets the token go without TLS to some hosts.
    ///
    /// # Errors
    /// As there.
    pub fn with(base: &str, operator: Option<Token>, plain: &PlainHttp) -> Result<Self, ClientError> {
        let refuse = |detail: &str| ClientError::Protocol { url: "the address".to_owned(), detail: detail.to_owned() };
        let base = Url::parse(base).map_err(|error| refuse(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() || !base.has_host() {
            return Err(refuse("it must look like http://host:port"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(refuse("it must not contain a user name or a password"));
        }
        if operator.is_some() && !plain.lets(&base) {
            return Err(ClientError::PlainHttp { host: card_http::host(&base).to_owned() });
        }
        let http = card_http::platform(PROGRAM, &base).dns_resolver(Arc::new(Names)).build();
        let http = http.map_err(|error| refuse(&chain(&error)))?;
        let url = format!("{}/api/v1/tasks", base.as_str().trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|error| refuse(&error.to_string()))?;
        let tasks = Arc::new(Address { uri: url.as_str().parse().ok(), url });
        let courier = (base.scheme() == "http").then(Courier::new);
        Ok(Self { http, base, courier, tasks, operator })
    }

    /// Where the platform is, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Whether operator calls can be made.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.operator.is_some()
    }

    /// A request to a path under the base, with its caller's token and the usual time limit.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        caller: Caller<'_>,
    ) -> Result<RequestBuilder, ClientError> {
        Ok(self.unlimited(method, path, caller)?.timeout(CALL_LIMIT))
    }

    /// A request for an event stream: it has no end, so its reader bounds the silence instead of the whole.
    pub(crate) fn stream(&self, path: &str, caller: Caller<'_>) -> Result<RequestBuilder, ClientError> {
        Ok(self.unlimited(Method::GET, path, caller)?.header(ACCEPT, "text/event-stream"))
    }

    fn unlimited(&self, method: Method, path: &str, caller: Caller<'_>) -> Result<RequestBuilder, ClientError> {
        let request = self.http.request(method, format!("{}{path}", self.url()));
        Ok(match self.authorization(caller)? {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        })
    }

    fn authorization<'a>(&'a self, caller: Caller<'a>) -> Result<Option<&'a HeaderValue>, ClientError> {
        let token = match caller {
            Caller::Nobody => return Ok(None),
            Caller::User(token) => token,
            Caller::Operator => self.operator.as_ref().ok_or(ClientError::NoOperatorToken)?,
        };
        token.header().map(Some).ok_or_else(|| {
            self.protocol("the token can't be sent, because it has characters that are not allowed in a header")
        })
    }

    /// Posts an order, and reads the answer as JSON, within the usual time limit. `headers` may have any but those of the
    /// caller and the body.
    pub(crate) async fn order<T: DeserializeOwned>(
        &self,
        mut headers: HeaderMap,
        body: Vec<u8>,
        caller: Caller<'_>,
    ) -> Result<T, ClientError> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = self.authorization(caller)? {
            headers.insert(AUTHORIZATION, token.clone());
        }
        let post = &self.tasks;
        let answer = async {
            let response = match (&self.courier, &post.uri) {
                (Some(courier), Some(uri)) => courier.post(uri, headers, body).await?,
                _ => {
                    let request = self.http.post(post.url.clone()).headers(headers).body(body);
                    request.send().await.map_err(|error| self.network(&error))?
                }
            };
            if !response.status().is_success() {
                return Err(self.refusal(response).await);
            }
            let body = self.body(response).await?;
            serde_json::from_slice(&body).map_err(|error| self.protocol(format!("the body: {error}")))
        };
        match tokio::time::timeout(CALL_LIMIT, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::NoAnswer { url: self.url().to_owned(), detail: TIME_UP.to_owned() }),
        }
    }

    /// Sends, and returns the answer if it is a success, its body unread.
    pub(crate) async fn open(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.network(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    /// Sends, and reads the answer as JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let response = self.open(request).await?;
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.protocol(format!("the body: {error}")))
    }

    /// Sends, and expects a success without a body of interest.
    pub(crate) async fn call(&self, request: RequestBuilder) -> Result<(), ClientError> {
        let response = self.open(request).await?;
        // A body that is read to its end lets the connection go back to the pool.
        self.body(response).await.map(drop)
    }

    pub(crate) async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::with_capacity(response.content_length().unwrap_or(0).min(1 << 20) as usize);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.network(&error))? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(self.protocol("the body is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    pub(crate) fn protocol(&self, detail: impl Into<String>) -> ClientError {
        ClientError::Protocol { url: self.url().to_owned(), detail: detail.into() }
    }

    async fn refusal(&self, response: Response) -> ClientError {
        let status = response.status();
        let answer = Box::new(GatewayAnswer::new(self.url(), status, response.headers()));
        let body = match self.body(response).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        // Classified by its status before anything else: what has no document of ours, or one of another status, is not
        // the platform's answer. The body may be anybody's and hold anything: it is not repeated.
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if problem.status != status.as_u16() => ClientError::Gateway(answer),
            Ok(problem) if status == StatusCode::UNAUTHORIZED => ClientError::Unauthorised(Box::new(problem)),
            Ok(problem) => {
                let retry_after = answer.retry_after;
                ClientError::Refused { problem: Box::new(problem), retry_after }
            }
            Err(_) => ClientError::Gateway(answer),
        }
    }

    fn network(&self, error: &reqwest::Error) -> ClientError {
        if error.is_timeout() && !error.is_connect() {
            return ClientError::NoAnswer { url: self.url().to_owned(), detail: TIME_UP.to_owned() };
        }
        failed(self.url().to_owned(), error, error.is_connect() || error.is_builder())
    }
}

/// What an error of the network says: about this machine, or about the other side. `unsent` if nothing left this machine.
fn failed(url: String, error: &(dyn std::error::Error + 'static), unsent: bool) -> ClientError {
    let detail = chain(error);
    match LocalFault::of(error) {
        Some(fault) => ClientError::Local { url, fault, sent: !unsent, detail },
        None if unsent => ClientError::Unreachable { url, detail },
        None => ClientError::NoAnswer { url, detail },
    }
}

/// The innermost cause: what reqwest wraps around it repeats the address.
fn chain(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_secret_or_no_host_is_refused() {
        for address in ["http://me:secret@host:1", "http://me@host", "ftp://host", "host:7400", "", "http://", "data:x"]
        {
            let error = Client::new(address, None).err();
            let text = error.unwrap_or_else(|| panic!("{address} was taken")).to_string();
            assert!(!text.contains("secret"), "{text}");
        }
        assert_eq!(Client::new("http://127.0.0.1:7400/", None).unwrap().url(), "http://127.0.0.1:7400");
    }

    #[test]
    fn a_platform_behind_tls_is_spoken_to_by_the_client_that_can() {
        assert!(Client::new("https://cards.example", None).unwrap().courier.is_none());
        assert!(Client::new("http://127.0.0.1:1", None).unwrap().courier.is_some());
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable_and_surely_not_carried_out() {
        // A port that was just given back: nobody listens on it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let client = Client::new(&format!("http://{address}"), Some(Token::new("t"))).unwrap();
        let error = client.stats().await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
        assert!(error.is_retryable() && !error.is_unknown());
    }

    #[tokio::test]
    async fn an_operator_call_without_a_token_says_so() {
        let client = Client::new("http://127.0.0.1:1", None).unwrap();
        assert!(matches!(client.stats().await, Err(ClientError::NoOperatorToken)));
    }
}
