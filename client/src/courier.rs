//! Carries orders to a platform without TLS: hyper's client, which reqwest is made of, by itself.
//!
//! reqwest parses the address of each request, clones its headers for a redirect that we never follow, and asks a retry
//! policy that we don't have: some 2.7 µs of the 12 that a request costs the sender. For a command that is nothing; a
//! load generator takes it from the platform that it measures.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::header::{HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Body, Response};

use crate::ClientError;
use crate::local::Names;

const USER_AGENT_VALUE: &str = concat!("cardctl/", env!("CARGO_PKG_VERSION"));
/// As long as reqwest keeps a connection that nobody uses.
const IDLE: Duration = Duration::from_secs(90);

/// Clones share one pool of connections.
#[derive(Clone)]
pub(super) struct Courier(Hyper<HttpConnector<Names>, Full<Bytes>>);

impl Courier {
    #[expect(clippy::disallowed_methods, reason = "no reqwest, for its price; no proxies and no redirects by itself")]
    pub(super) fn new() -> Self {
        let mut connector = HttpConnector::new_with_resolver(Names);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(card_http::CONNECT_LIMIT));
        let mut builder = Hyper::builder(TokioExecutor::new());
        Self(builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(connector))
    }

    /// Posts, and returns the answer, its body unread.
    pub(super) async fn post(
        &self,
        to: &http::Uri,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response, ClientError> {
        let mut request = http::Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = to.clone();
        *request.headers_mut() = headers;
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
        match self.0.request(request).await {
            Ok(response) => Ok(response.map(Body::wrap).into()),
            Err(error) => Err(super::failed(origin(to), &error, error.is_connect())),
        }
    }
}

fn origin(uri: &http::Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or("http"), uri.authority().map_or("", http::uri::Authority::as_str))
}
