//! Reads that go back are found out: a real platform behind a proxy that caches as it should not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::*;
use crate::plan::Overrides;

/// What is wrong with the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It keeps an answer past its invalidation.
    KeepsForever,
    /// It says that nothing has changed to whoever has anything.
    NeverChanges,
    /// Its servers make tags of their own.
    OwnTags,
    /// It answers every third read with an error of its own.
    Fails,
}

/// An answer that is kept: by path and token.
type Kept = HashMap<(String, String), (HeaderMap, axum::body::Bytes)>;

struct Proxy {
    platform: String,
    client: reqwest::Client,
    fault: Fault,
    kept: Mutex<Kept>,
    answers: std::sync::atomic::AtomicU64,
}

impl Proxy {
    fn number(&self) -> u64 {
        self.answers.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let is_read = parts.method == axum::http::Method::GET && path.starts_with("/api/v1/purchases");
    let token = parts.headers.get(header::AUTHORIZATION).map(|token| token.to_str().unwrap().to_owned());
    let key = (path.clone(), token.unwrap_or_default());
    if is_read
        && proxy.fault == Fault::KeepsForever
        && let Some((headers, body)) = proxy.kept.lock().unwrap().get(&key).cloned()
    {
        return (headers, body).into_response();
    }
    if is_read
        && proxy.fault == Fault::NeverChanges
        && let Some(tag) = parts.headers.get(header::IF_NONE_MATCH)
    {
        let sequence = tag.to_str().unwrap().trim_matches('"').rsplit('-').next().unwrap().to_owned();
        let headers = [("etag", tag.to_str().unwrap().to_owned()), ("x-sequence", sequence)];
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    if is_read && proxy.fault == Fault::Fails && proxy.number().is_multiple_of(3) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    let mut asked = proxy.client.request(parts.method, format!("{}{path}", proxy.platform)).headers(headers);
    if !is_read {
        asked = asked.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    let answer = asked.send().await.unwrap();
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    if !is_read {
        return (status, headers, Body::from_stream(answer.bytes_stream())).into_response();
    }
    let body = answer.bytes().await.unwrap();
    if proxy.fault == Fault::OwnTags {
        let number = proxy.number() % 2;
        headers.insert(header::ETAG, HeaderValue::try_from(format!("\"server-{number}\"")).unwrap());
    }
    if status == 200 {
        proxy.kept.lock().unwrap().insert(key, (headers.clone(), body.clone()));
    }
    (status, headers, body).into_response()
}

/// A client of the platform through a proxy with a fault.
async fn through(platform: &TestPlatform, fault: Fault) -> Client {
    let proxy = Proxy {
        platform: platform.client().url().to_owned(),
        client: card_http::local().build().unwrap(),
        fault,
        kept: Mutex::default(),
        answers: Default::default(),
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(pass).with_state(Arc::new(proxy));
    tokio::spawn(async move { axum::serve(listener, router).await });
    platform::client(address)
}

fn reading(mix: &str) -> Plan {
    let plan = Plan { think: Think { min: millis(2), max: millis(5) }, ..plan(Model::Closed, 4.0, 1_500) };
    plan.with(Overrides { journey: Some(mix.parse().unwrap()), ..Overrides::default() }).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_buys_and_looks_is_never_shown_an_older_state() {
    let platform = TestPlatform::start().await;
    let report = carried_out(&setup(platform.client(), reading("history:1,browse:2"))).await;
    let (found, reads) = (&report.correctness, report.reads.as_ref().expect("some read"));
    assert_eq!((found.verdict, found.stale), (Verdict::Pass, 0), "{:?}", found.findings);
    assert!(found.reads >= reads.count && reads.count > 20 && reads.not_modified > 0, "{reads:?}");
    assert!(found.accepted > 5 && found.succeeded == found.accepted, "{found:?}");
    assert!(reads.cached > 0 && reads.ledger_reads > 0 && reads.rate > 0.0, "{reads:?}");
    assert!(report.timeline.iter().any(|second| second.reads > 0.0 && second.read_p95.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_looks_is_evidence_as_well() {
    let platform = TestPlatform::start().await;
    let report = carried_out(&setup(platform.client(), reading("browse"))).await;
    let found = &report.correctness;
    assert_eq!((found.accepted, found.verdict), (0, Verdict::Pass), "{found:?}");
    assert!(found.reads > 20);
    assert_eq!((report.verdict, report.exit), (Verdict::Pass, 0), "{}", crate::judge::why(&report));
    assert!(crate::judge::why(&report).contains("none of it stale"), "{}", crate::judge::why(&report));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_fail_are_errors() {
    let platform = TestPlatform::start().await;
    let client = through(&platform, Fault::Fails).await;
    let mut plan = reading("browse");
    plan.slo = vec!["errors<10%".parse().unwrap()];
    let report = carried_out(&setup(client, plan)).await;
    assert!(report.errors.rate > 0.1 && report.errors.by_code.contains_key("http-502"), "{:?}", report.errors);
    assert_eq!((report.verdict, report.correctness.stale), (Verdict::Fail, 0), "{}", crate::judge::why(&report));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_does_as_it_should_not_turns_the_verdict_red() {
    let platform = TestPlatform::start().await;
    for (fault, evidence) in [
        (Fault::KeepsForever, "it succeeded before this was asked"),
        (Fault::NeverChanges, "it succeeded before this was asked"),
        (Fault::OwnTags, "tag"),
    ] {
        let client = through(&platform, fault).await;
        let report = carried_out(&setup(client, reading("history"))).await;
        let found = &report.correctness;
        assert!(found.stale > 0 && found.lost + found.duplicate + found.stuck == 0, "{fault:?}: {found:?}");
        assert_eq!((report.verdict, report.exit), (Verdict::Fail, 9), "{fault:?}");
        assert!(
            found.findings.iter().any(|one| one.verdict == "stale" && one.detail.contains(evidence)),
            "{fault:?}: {found:?}"
        );
        assert!(crate::judge::why(&report).contains("stale"), "{}", crate::judge::why(&report));
    }
}
