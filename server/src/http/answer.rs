//! The outermost layer: everything that every request needs, once and by hand, because it runs on each of them.
//! Request id, bounds, metrics, security headers, panics, and the document of a [`Refusal`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use bytes::Bytes;
use card_core::problem::Code;
use card_serve::connections::{Answer, Client, Standing, Unreadable, UnreadableKind};
use card_serve::shares::Full;
use futures::FutureExt;
use hyper::body::Incoming;
use serde_json::Value;
use tower::Service;

use super::client_address::ClientAddress;
use super::gate::{Admission, Permit, code};
use super::metrics::{RouteId, RouteMetrics};
use super::parameters::Parameters;
use super::request_id::{self, RequestId};
use crate::app::App;
use crate::auth::caller::bearer;
use crate::problem::Refusal;

/// The headers of a request may take this much; what may arrive at all is a little more.
const HEADER_LIMIT: usize = 16 * 1024;

/// Answers requests.
pub(crate) struct Answers {
    app: Arc<App>,
    router: Router,
    metrics: RouteMetrics,
    parameters: Parameters,
    wording: Wording,
    quiet: LogThrottle,
}

/// How a surface says what went wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wording {
    /// As the API does: problem details (RFC 9457).
    Problem,
    /// In its own way.
    Own {
        /// The status and the body.
        write: fn(&Refusal) -> (u16, Value),
        /// Whether pages of any origin may read its answers.
        any_origin: bool,
    },
}

impl Answers {
    pub(crate) fn new(
        app: Arc<App>,
        router: Router,
        metrics: RouteMetrics,
        parameters: Parameters,
        wording: Wording,
    ) -> Self {
        Self { app, router, metrics, parameters, wording, quiet: LogThrottle::default() }
    }

    /// The answer. Never fails: what goes wrong is an answer, too.
    async fn respond(&self, connection: Client, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let id = RequestId::of(request.headers());
        let method = request.method().clone();
        let uri = request.uri().clone();
        let route = self.metrics.find(uri.path());
        let client = self.app.proxies.client_address(connection.address.ip(), request.headers());
        let mut response = match self.admit(route, &request, connection.standing, client) {
            Err(refusal) => axum::response::IntoResponse::into_response(refusal),
            Ok(None) => self.call(client, None, request).await,
            Ok(Some((_permit, admission))) => self.call(client, Some(admission), request).await,
        };
        if response.status().as_u16() >= 400 {
            response = self.explain(response, &method, &uri, route, &id);
        }
        self.finish(response.headers_mut(), id);
        self.metrics.record(route, &method, response.status(), started.elapsed());
        response
    }

    fn finish(&self, headers: &mut HeaderMap, id: RequestId) {
        finish(headers, id);
        if matches!(self.wording, Wording::Own { any_origin: true, .. }) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
    }

    fn admit(
        &self,
        route: RouteId,
        request: &Request<Incoming>,
        standing: Standing,
        client: ClientAddress,
    ) -> Result<Option<(Permit, Admission)>, Refusal> {
        let (headers, uri) = (request.headers(), request.uri());
        let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size + uri.path().len() + uri.query().map_or(0, str::len) > HEADER_LIMIT {
            let detail = format!("Path and headers may have {HEADER_LIMIT} bytes together.");
            return Err(Refusal::new(Code::HeadersTooLarge, detail));
        }
        self.parameters.check(route, request.method(), uri)?;
        if self.metrics.always(route) {
            return Ok(None);
        }
        let is_operator = || bearer(headers).is_ok_and(|token| self.app.operator.is(token));
        if let Standing::Reserve(full) = standing
            && !is_operator()
        {
            return Err(too_many_connections(full));
        }
        if self.app.stop.is_cancelled() {
            return Err(Refusal::stopping());
        }
        self.app.gate.enter(client, is_operator).map(Some)
    }

    async fn call(
        &self,
        client: ClientAddress,
        admission: Option<Admission>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(client);
        if let Some(admission) = admission {
            request.extensions_mut().insert(admission);
        }
        let mut router = self.router.clone();
        match AssertUnwindSafe(async move { router.call(request).await }).catch_unwind().await {
            Ok(Ok(response)) => response,
            Err(_panic) => axum::response::IntoResponse::into_response(
                Refusal::new(Code::Internal, "Something went wrong inside. The request_id finds it in the logs.")
                    .caused_by("a handler panicked"),
            ),
        }
    }

    /// Writes the document of a failure, and the one line in the log.
    fn explain(
        &self,
        mut response: Response<Body>,
        method: &Method,
        uri: &Uri,
        route: RouteId,
        id: &RequestId,
    ) -> Response<Body> {
        let Some(refusal) = response.extensions_mut().remove::<Refusal>().or_else(|| of_framework(&response, method))
        else {
            return response;
        };
        self.log(&refusal, method, route, id);
        let mut document = self.word(refusal, uri.path(), id).map(Body::from);
        if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
            document.headers_mut().insert(header::ALLOW, allow);
        }
        document
    }

    fn word(&self, refusal: Refusal, path: &str, id: &RequestId) -> Response<Bytes> {
        match self.wording {
            Wording::Problem => refusal.into_bytes(path, id.as_str()),
            Wording::Own { write, .. } => {
                let (status, body) = write(&refusal);
                refusal.written(status, &body)
            }
        }
    }

    fn log(&self, refusal: &Refusal, method: &Method, route: RouteId, id: &RequestId) {
        let code = refusal.code();
        let (request_id, route) = (id.as_str(), self.metrics.template(route));
        let cause = refusal.cause().unwrap_or_default();
        if code == Code::Internal {
            tracing::error!(request_id, %method, route, %code, cause, "a request failed");
        } else if matches!(code, Code::Unavailable | Code::DiskFull | Code::OutcomeUnknown) {
            // When the ledger is away every request fails the same way, and that it is away is said by who finds out.
            if let Some(suppressed) = self.quiet.admit() {
                tracing::warn!(request_id, %method, route, %code, cause, suppressed, "a request failed");
            } else {
                tracing::debug!(request_id, %method, route, %code, cause, "a request failed");
            }
        } else {
            tracing::debug!(request_id, %method, route, %code, cause, "a request was refused");
        }
    }
}

impl Answer for Answers {
    type Body = Body;

    async fn answer(&self, client: Client, request: Request<Incoming>) -> Response<Body> {
        self.respond(client, request).await
    }

    fn refuse(&self, unreadable: &Unreadable) -> Response<Bytes> {
        let id = RequestId::of(&HeaderMap::new());
        let code = match unreadable.kind {
            UnreadableKind::Malformed => Code::BadRequest,
            UnreadableKind::TooLarge => Code::PayloadTooLarge,
            UnreadableKind::HeadersTooLarge => Code::HeadersTooLarge,
            UnreadableKind::Overloaded => Code::Overloaded,
        };
        let refusal = Refusal::new(code, unreadable.detail);
        let (route, method) = (self.metrics.unmatched(), Method::from_bytes(b"other").unwrap_or_default());
        self.log(&refusal, &method, route, &id);
        let mut response = self.word(refusal, &unreadable.path, &id);
        self.finish(response.headers_mut(), id);
        self.metrics.record(route, &method, response.status(), Duration::ZERO);
        response
    }
}

fn too_many_connections(full: Full) -> Refusal {
    let detail = match full {
        Full::Address => {
            "This address uses its share of connections; the rest is reserved for others. Use fewer, or try again later."
        }
        Full::All | Full::User => "Every connection is busy. Nothing was changed; try again.",
    };
    Refusal::new(code(full), detail).retry_after(5)
}

/// What axum itself refuses, in our words.
fn of_framework(response: &Response<Body>, method: &Method) -> Option<Refusal> {
    let is_ours = |value: &HeaderValue| value.as_bytes().starts_with(b"application/");
    if response.headers().get(header::CONTENT_TYPE).is_some_and(is_ours) {
        return None;
    }
    Some(match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => {
            let method: String = method.as_str().chars().take(32).collect();
            Refusal::new(
                Code::MethodNotAllowed,
                format!("{method} does not work here; the Allow header says what does."),
            )
        }
        StatusCode::NOT_FOUND => Refusal::not_found("There is no such route. /openapi.json lists them all."),
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(Code::PayloadTooLarge, "The body is too large."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Refusal::new(Code::UnsupportedMediaType, "Send JSON."),
        status if status.is_server_error() => Refusal::new(Code::Internal, "Something went wrong inside."),
        _ => Refusal::new(Code::BadRequest, "The request can't be understood."),
    })
}

fn finish(headers: &mut HeaderMap, id: RequestId) {
    headers.insert(request_id::HEADER, id.into_value());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Lets one line a minute through and counts the others.
#[derive(Debug, Default)]
struct LogThrottle {
    /// When the latest one was, in seconds since 1970; 0 before the first.
    last: AtomicU64,
    suppressed: AtomicU64,
}

impl LogThrottle {
    fn admit(&self) -> Option<u64> {
        let now = card_core::time::Instant::now().micros().unsigned_abs() / 1_000_000;
        let last = self.last.load(Ordering::Relaxed);
        let due = now < last || now - last >= 60;
        if due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}
