//! The way to a cluster's API: through a proxy or not, with TLS or not, as somebody, each answer within a deadline.
//!
//! Client, TLS and WebSockets are those of `kube`; its default stack of layers is not used. That one sends a request again for
//! longer than anybody waits, runs a plugin three times without a deadline, knows no proxies unless all clusters have one, and
//! refuses certificates of clients that servers take.

mod login;
mod plugin;
mod proxy;
mod server;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Client as Wire, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::Body;
use tokio::time::{Instant, sleep, timeout};
use tower::{BoxError, Service};

pub(super) use self::login::LoginError;
use self::login::{Login, Logins};
pub(super) use self::proxy::Proxy;
use self::proxy::Speaks;
pub(super) use self::server::Server;
use self::tls::{Identity, Trust};
use super::kubeconfig::Snapshot;

/// A server, or a proxy, that takes longer to take a connection is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// From a request to the head of its answer, streams included.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a request that is told to come back later does that.
const AGAIN: Duration = Duration::from_secs(5);

/// That no answer began in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs())]
pub(super) struct Silent(pub(super) Duration);

/// A request that is not sent again when it is told to come back later: whoever sends it can do without an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Once;

/// Sends requests; clones share their connections.
#[derive(Clone)]
pub(super) struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    server: Server,
    proxy: Option<Proxy>,
    trust: Trust,
    logins: Logins,
    /// Connections, and the number of the login that they show a certificate of.
    lines: Mutex<Option<(u64, Lines)>>,
}

impl Connection {
    /// # Errors
    /// The kubeconfig says something that can't be used. The sentence repeats nothing secret.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self, String> {
        let shared = Shared {
            server: snapshot.server.clone(),
            proxy: snapshot.proxy.clone(),
            trust: Trust::of(&snapshot.cluster)?,
            logins: Logins::of(snapshot)?,
            lines: Mutex::new(None),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Finds out as whom to ask, before the time of a request counts.
    ///
    /// # Errors
    /// Nobody can log in.
    pub(super) async fn log_in(&self) -> Result<(), LoginError> {
        self.shared.logins.current().await.map(drop)
    }
}

impl Service<Request<Body>> for Connection {
    type Response = Response<hyper::body::Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.send(request).await })
    }
}

impl Shared {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<hyper::body::Incoming>, BoxError> {
        let until = Instant::now() + AGAIN;
        let once = request.extensions_mut().remove::<Once>().is_some();
        *request.uri_mut() = self.server.uri(request.uri()).ok_or("an address that can't be")?;
        for (name, value) in &self.logins.headers {
            request.headers_mut().append(name, value.clone());
        }
        loop {
            let again = (!once).then(|| copy(&request)).flatten();
            let login = self.logins.current().await?;
            if let Some(token) = &login.token {
                request.headers_mut().insert(AUTHORIZATION, token.clone());
            }
            let answer = timeout(ANSWER, self.lines(&login).request(request)).await.map_err(|_| Silent(ANSWER))??;
            if answer.status() == StatusCode::UNAUTHORIZED {
                self.logins.refused(&login).await;
            }
            // As other clients of Kubernetes: what is refused without a time to come back is refused.
            let pause = later(&answer).filter(|pause| Instant::now() + *pause <= until);
            match (again, pause) {
                (Some(again), Some(pause)) => {
                    sleep(pause).await;
                    request = again;
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Those that show the certificate of this login; made anew with another one.
    fn lines(&self, login: &Login) -> Lines {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.as_ref() {
            Some((number, lines)) if *number == login.number || login.identity.is_none() => lines.clone(),
            _ => {
                let made = Lines::of(self.proxy.as_ref(), &self.trust, login.identity.as_ref());
                *lines = Some((login.number, made.clone()));
                made
            }
        }
    }
}

/// None if its body is a stream, which can be sent once.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

/// When a server that has too much to do wants to be asked again.
fn later<B>(answer: &Response<B>) -> Option<Duration> {
    let status = answer.status();
    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    busy.contains(&status).then(|| Duration::from_secs(seconds).max(Duration::from_millis(100)))
}

/// A pool of connections, by how they are made.
#[derive(Clone)]
enum Lines {
    Straight(Wire<Tls<HttpConnector>, Body>),
    Tunnelled(Wire<Tls<Tunnel<HttpConnector>>, Body>),
    TunnelledInTls(Wire<Tls<Tunnel<Tls<HttpConnector>>>, Body>),
    Socks(Wire<Tls<SocksV5<HttpConnector>>, Body>),
}

type Tls<C> = hyper_rustls::HttpsConnector<C>;

impl Lines {
    fn of(proxy: Option<&Proxy>, trust: &Trust, identity: Option<&Identity>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let Some(proxy) = proxy else { return Self::Straight(pool(tls(tcp, trust, identity))) };
        let basic = proxy.login.as_ref().and_then(|(name, password)| login::basic(name, password).ok());
        match proxy.speaks {
            Speaks::Http => Self::Tunnelled(pool(tls(tunnel(proxy, basic, tcp), trust, identity))),
            Speaks::Https => {
                // As kubectl: who is to be believed for the cluster is so for its proxy.
                let own = HttpsConnectorBuilder::new().with_tls_config(trust.config(None)).https_only();
                let inner = own.enable_http1().wrap_connector(tcp);
                Self::TunnelledInTls(pool(tls(tunnel(proxy, basic, inner), trust, identity)))
            }
            Speaks::Socks => {
                let socks = SocksV5::new(proxy.uri.clone(), tcp);
                let socks = match &proxy.login {
                    Some((name, password)) => socks.with_auth(name.clone(), password.clone()),
                    None => socks,
                };
                Self::Socks(pool(tls(socks, trust, identity)))
            }
        }
    }

    fn request(&self, request: Request<Body>) -> ResponseFuture {
        match self {
            Self::Straight(wire) => wire.request(request),
            Self::Tunnelled(wire) => wire.request(request),
            Self::TunnelledInTls(wire) => wire.request(request),
            Self::Socks(wire) => wire.request(request),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a cluster is reached as its kubeconfig says, not as others are")]
fn pool<C: Connect + Clone + Send + Sync + 'static>(connector: C) -> Wire<C, Body> {
    hyper_util::client::legacy::Builder::new(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
}

fn tls<C>(connector: C, trust: &Trust, identity: Option<&Identity>) -> Tls<C> {
    let builder = HttpsConnectorBuilder::new().with_tls_config(trust.config(identity)).https_or_http();
    match &trust.name {
        Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name.clone())),
        None => builder,
    }
    .enable_http1()
    .wrap_connector(connector)
}

fn tunnel<C>(proxy: &Proxy, basic: Option<http::HeaderValue>, connector: C) -> Tunnel<C> {
    let tunnel = Tunnel::new(proxy.uri.clone(), connector);
    match basic {
        Some(basic) => tunnel.with_auth(basic),
        None => tunnel,
    }
}
