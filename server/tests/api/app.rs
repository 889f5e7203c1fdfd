//! A platform for one test: the real thing on a free port, with a ledger of its own in a directory of its own.

use std::time::Duration;

use card_core::engine::Store;
use card_core::fronts::Front;
use card_core::problem::{Code, Problem};
use card_core::settings::Settings;
use card_core::tasks::Task;
use card_core::testing::TestLedger;
use card_kinds::Registry;
use card_server::Secrets;
use card_server::platform::{Platform, PlatformOptions, Stopped};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

pub(crate) const OPERATOR: &str = "op_0123456789abcdef0123456789abcdef";
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct TestApp {
    pub(crate) platform: Platform,
    pub(crate) store: Store,
    pub(crate) client: Client,
    pub(crate) ledger: TestLedger,
}

impl TestApp {
    /// API, one worker and the issuer.
    pub(crate) async fn start() -> Self {
        Self::with(1, |_| {}).await
    }

    /// The API alone: what is accepted stays queued.
    pub(crate) async fn without_workers() -> Self {
        Self::with(0, |_| {}).await
    }

    pub(crate) async fn with(workers: usize, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_fronts(workers, &[], change).await
    }

    pub(crate) async fn with_fronts(workers: usize, fronts: &[Front], change: impl FnOnce(&mut Settings)) -> Self {
        let listen = || std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut settings = Settings::default();
        settings.issuer.latency_p50 = Duration::from_millis(1);
        settings.issuer.latency_p99 = Duration::from_millis(2);
        settings.worker.retry.base = Duration::from_millis(5);
        settings.worker.retry.cap = Duration::from_millis(20);
        settings.worker.retry.max_attempts = 2;
        change(&mut settings);
        let (ledger, kinds) = (TestLedger::create(), Registry::default());
        ledger.set(&mut settings);
        let store = ledger.open(&settings, &kinds.known()).await;
        let platform = Platform::start(PlatformOptions {
            kinds,
            store: store.clone(),
            settings,
            secrets: Secrets { signing_key: vec![7; 32], operator_token: OPERATOR.to_owned() },
            listener: listen(),
            fronts: fronts.iter().map(|front| (*front, listen())).collect(),
            issuer_listener: None,
            workers,
            host: "test".to_owned(),
        })
        .await
        .unwrap();
        let client = card_http::local().timeout(PATIENCE * 4).pool_max_idle_per_host(64).build().unwrap();
        Self { platform, store, client, ledger }
    }

    pub(crate) async fn stop(self) -> Stopped {
        drop(self.client);
        self.platform.stop().await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.platform.address())
    }

    /// A request below `/api/v1`.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(&format!("/api/v1{path}")))
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> RequestBuilder {
        self.request(Method::GET, path).bearer_auth(token)
    }

    pub(crate) fn delete(&self, path: &str, token: &str) -> RequestBuilder {
        self.request(Method::DELETE, path).bearer_auth(token)
    }

    pub(crate) fn post(&self, path: &str, token: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).bearer_auth(token).json(body)
    }

    /// Access tokens of so many new users.
    pub(crate) async fn users(&self, run: &str, count: usize) -> Vec<String> {
        let body = json!({"run": run, "from": 0, "count": count});
        let made: Value = ok(self.post("/synthetic-users", OPERATOR, &body)).await;
        made["users"].as_array().unwrap().iter().map(|user| user["access_token"].as_str().unwrap().to_owned()).collect()
    }

    /// An access token of a new user.
    pub(crate) async fn user(&self, name: &str) -> String {
        self.users(name, 1).await.remove(0)
    }

    pub(crate) async fn register(&self, name: &str) -> Value {
        let body = json!({"username": name, "password": PASSWORD});
        ok(self.request(Method::POST, "/users").json(&body)).await
    }

    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> Response {
        let body = json!({"username": name, "password": password});
        self.request(Method::POST, "/sessions").json(&body).send().await.unwrap()
    }

    /// As if by a proxy for a client at this address.
    pub(crate) async fn sign_in_from(&self, address: &str, name: &str, password: &str) -> Response {
        let body = json!({"username": name, "password": password});
        let request = self.request(Method::POST, "/sessions").header("x-forwarded-for", address);
        request.json(&body).send().await.unwrap()
    }

    /// The tokens of a new session.
    pub(crate) async fn session(&self, name: &str) -> (String, String) {
        let tokens: Value = self.sign_in(name, PASSWORD).await.json().await.unwrap();
        let text = |field: &str| tokens[field].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned();
        (text("access_token"), text("refresh_token"))
    }

    pub(crate) async fn replace(&self, token: &str) -> Task {
        ok(self.post("/replacements", token, &json!({"reason": "lost"}))).await
    }

    pub(crate) async fn add(&self, token: &str, run: &str) -> Task {
        let body = json!({"kind": "add", "payload": {"x": 1, "y": 2}});
        ok(self.post("/tasks", token, &body).header("x-run-id", run)).await
    }

    /// The task once it is final.
    pub(crate) async fn finished(&self, id: impl std::fmt::Display) -> Task {
        let task: Task = ok(self.get(&format!("/tasks/{id}?wait=20s"), OPERATOR)).await;
        assert!(task.status.is_final(), "{id} is {}", task.status);
        task
    }

    /// Changes how the issuer behaves.
    pub(crate) async fn issuer(&self, behaviour: &Value) {
        let url = format!("http://{}/behaviour", self.platform.issuer_address().unwrap());
        let response = self.client.put(url).bearer_auth(OPERATOR).json(behaviour).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    }
}

/// Sign-ins may fail as often as they like.
pub(crate) fn without_budgets(settings: &mut Settings) {
    let auth = &mut settings.auth;
    auth.login_failures_per_minute = 100_000;
    auth.account_failures_per_minute = 100_000;
    auth.address_failures_per_minute = 100_000;
}

/// The body of an answer that must be a good one.
pub(crate) async fn ok<T: serde::de::DeserializeOwned>(request: RequestBuilder) -> T {
    let response = request.send().await.unwrap();
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The problem of an answer that must be one, checked in all that problems have in common.
pub(crate) async fn problem(request: RequestBuilder) -> Problem {
    problem_of(request.send().await.unwrap()).await
}

/// As [`problem`].
pub(crate) async fn problem_of(response: Response) -> Problem {
    let (status, headers, path) = (response.status(), response.headers().clone(), response.url().path().to_owned());
    let text = response.text().await.unwrap();
    assert!(status.is_client_error() || status.is_server_error(), "{status}: {text}");
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"), "{text}");
    let problem: Problem = serde_json::from_str(&text).unwrap();
    assert_eq!(problem.status, status.as_u16());
    assert_eq!(problem.code.status(), problem.status);
    assert_eq!(problem.title, problem.code.title());
    assert_eq!(problem.instance, path);
    assert_eq!(Some(&problem.request_id), header("x-request-id").as_ref());
    assert!(!problem.detail.is_empty());
    assert_eq!(problem.errors.is_empty(), problem.code != Code::ValidationFailed, "{text}");
    assert_eq!(header("www-authenticate").is_some(), status == 401);
    assert_eq!(header("retry-after").is_some(), matches!(status.as_u16(), 429 | 503));
    assert_eq!(header("allow").is_some(), status == 405);
    problem
}

/// Asks again until the answer is there; the deadline is the test's failure.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("never: {what}"))
}
