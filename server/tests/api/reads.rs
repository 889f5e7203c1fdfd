//! Reads never go back (P10), whichever server answers them, cached or not.

use std::sync::atomic::{AtomicBool, Ordering};

use card_core::engine::Store;
use card_core::engine::cluster::{self, Address};
use card_core::settings::Settings;
use card_core::tasks::Task;
use card_core::testing::{Proxy, TestLedger};
use card_kinds::Registry;
use card_server::Secrets;
use card_server::platform::{Platform, PlatformOptions};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::app::{OPERATOR, TestApp, ok, problem};

/// One more server on an app's ledger: over connections of its own, where the engine allows for that.
async fn another(app: &TestApp, cache_limit: u64) -> Platform {
    let mut settings = Settings::default();
    settings.server.cache_limit = cache_limit;
    app.ledger.set(&mut settings);
    let kinds = Registry::default();
    let store = match &app.ledger {
        TestLedger::File(_) => app.store.clone(),
        TestLedger::Servers(_) => app.ledger.open(&settings, &kinds.known()).await,
    };
    serve(settings, store).await
}

async fn serve(settings: Settings, store: Store) -> Platform {
    Platform::start(PlatformOptions {
        kinds: Registry::default(),
        store,
        settings,
        secrets: Secrets { signing_key: vec![7; 32], operator_token: OPERATOR.to_owned() },
        listener: std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap(),
        fronts: Vec::new(),
        issuer_listener: None,
        workers: 0,
        host: "another".to_owned(),
    })
    .await
    .unwrap()
}

/// The summary of a history, from one of several servers.
struct Reader<'a> {
    app: &'a TestApp,
    servers: Vec<String>,
}

impl Reader<'_> {
    fn get(&self, server: usize, path: &str, token: &str) -> RequestBuilder {
        let url = format!("http://{}/api/v1{path}", self.servers[server % self.servers.len()]);
        self.app.client.get(url).bearer_auth(token)
    }

    /// How many purchases a server shows, and its sequence.
    async fn count(&self, server: usize, path: &str, token: &str, min: Option<u64>) -> (u64, u64) {
        let mut request = self.get(server, path, token);
        if let Some(min) = min {
            request = request.header("x-min-sequence", min);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let sequence = response.headers()["x-sequence"].to_str().unwrap().parse().unwrap();
        let body: Value = response.json().await.unwrap();
        let count = body["count"].as_u64().unwrap_or_else(|| body["items"].as_array().unwrap().len() as u64);
        (count, sequence)
    }
}

async fn never_go_back(limits: [u64; 3]) {
    const USERS: usize = 6;
    const PURCHASES: u64 = 12;
    let app = TestApp::with(1, |settings| settings.server.cache_limit = limits[0]).await;
    let others = [another(&app, limits[1]).await, another(&app, limits[2]).await];
    let servers = [&app.platform, &others[0], &others[1]].map(|one| one.address().to_string()).to_vec();
    let app = &app;
    let reader = &Reader { app, servers };
    let made: Value = ok(app.post("/synthetic-users", OPERATOR, &json!({"run": "r", "from": 0, "count": USERS}))).await;
    let over = &AtomicBool::new(false);
    let users = made["users"].as_array().unwrap().iter().enumerate().map(|(number, user)| async move {
        let (token, owner) = (user["access_token"].as_str().unwrap(), user["id"].as_str().unwrap());
        let theirs = format!("/purchases/summary?owner={owner}");
        let buys = async {
            for bought in 1..=PURCHASES {
                let at = number + usize::try_from(bought).unwrap();
                let task: Task = ok(app.post("/purchases", token, &json!({"price": "1.01"}))).await;
                let wait = reader.get(at, &format!("/tasks/{}?wait=20s", task.id), token);
                assert!(ok::<Task>(wait).await.status.is_final());
                // Every server shows it from now on, to whoever asks, with and without a sequence.
                let mut seen = 0;
                for server in at..at + 3 {
                    for path in ["/purchases", "/purchases/summary"] {
                        for min in [None, Some(seen)] {
                            let (count, sequence) = reader.count(server, path, token, min).await;
                            assert_eq!(count, bought, "{path} of server {server}");
                            assert!(sequence >= seen, "{sequence} after {seen}");
                            seen = sequence;
                        }
                    }
                }
            }
        };
        let watch = async {
            let (mut shown, mut at) = (0, number);
            while !over.load(Ordering::Relaxed) && shown < PURCHASES {
                at += 1;
                let (count, _) = reader.count(at, &theirs, OPERATOR, None).await;
                assert!(count >= shown, "{count} after {shown}, by server {}", at % 3);
                shown = count;
            }
        };
        futures::future::join(buys, watch).await;
    });
    futures::future::join_all(users).await;
    over.store(true, Ordering::Relaxed);
    for other in others {
        other.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_never_goes_back_whichever_server_answers_it() {
    never_go_back([1 << 20; 3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_one_without_a_cache_or_beside_one() {
    never_go_back([1 << 20, 0, 4_096]).await;
}

async fn cache_counts(app: &TestApp, cache: &str) -> (u64, u64) {
    let text = app.client.get(app.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let count = |outcome: &str| {
        let name = format!("cache_requests_total{{cache=\"{cache}\",outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    };
    (count("hit"), count("miss"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_says_what_it_has_cost() {
    for (limit, costs) in [(1 << 20, ["cache;desc=miss, ", "cache;desc=hit, "]), (0, ["", ""])] {
        let app = TestApp::with(1, |settings| settings.server.cache_limit = limit).await;
        let token = app.user("p").await;
        for cost in costs {
            let response = app.get("/purchases", &token).header("x-min-sequence", "0").send().await.unwrap();
            let timing = response.headers()["server-timing"].to_str().unwrap();
            let ledger: u64 = timing.strip_prefix(&format!("{cost}ledger;desc=")).unwrap().parse().unwrap();
            assert_eq!(ledger == 0, cost.contains("hit"), "{timing}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_latest_is_told_so_without_a_look_at_the_ledger() {
    // There is room for no answer: that nothing has come since is known all the same.
    let app = TestApp::with(1, |settings| settings.server.cache_limit = 1).await;
    let token = app.user("p").await;
    let mut before = "\"none\"".to_owned();
    for _ in 0..3 {
        let task: Task = ok(app.post("/purchases", &token, &json!({"price": "1"}))).await;
        app.finished(task.id).await;
        let read = async |tag: &str, min: Option<&str>| {
            let request = app.get("/purchases", &token).header("if-none-match", tag);
            let response = min.into_iter().fold(request, |request, min| request.header("x-min-sequence", min));
            let response = response.send().await.unwrap();
            let text = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            (response.status().as_u16(), text("etag"), text("x-sequence"), text("server-timing"))
        };
        let (status, tag, sequence, _) = read(&before, None).await;
        assert_eq!(status, 200, "{before} is not the latest");
        let (status, again, _, cost) = read(&tag, Some(&sequence)).await;
        assert_eq!((status, again.as_str(), cost.as_str()), (304, tag.as_str(), "cache;desc=hit, ledger;desc=0"));
        assert_eq!(read(&before, Some(&sequence)).await.0, 200);
        assert_eq!(read("*", Some(&sequence)).await.0, 304);
        before = tag;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_miss_the_same_answer_cost_one_read() {
    let app = TestApp::start().await;
    let token = app.user("p").await;
    for round in 1..=3 {
        let task: Task = ok(app.post("/purchases", &token, &json!({"price": "1"}))).await;
        app.finished(task.id).await;
        futures::future::join_all((0..64).map(|_| ok::<Value>(app.get("/purchases", &token)))).await;
        assert_eq!(cache_counts(&app, "purchases").await, (63 * round, round), "one read for each purchase");
    }
    let tag = app.get("/cards", &token).send().await.unwrap().headers()["etag"].clone();
    let again = app.get("/cards", &token).header("if-none-match", tag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), cache_counts(&app, "cards").await), (304, (1, 1)));
}

#[tokio::test]
async fn a_new_card_changes_the_tag_of_the_cards() {
    for limit in [0, 1 << 20] {
        let app = TestApp::with(1, |settings| settings.server.cache_limit = limit).await;
        let token = app.user("p").await;
        let mut tags = Vec::new();
        for _ in 0..3 {
            let response = app.get("/cards", &token).send().await.unwrap();
            tags.push(response.headers()["etag"].clone());
            let read = app.get("/cards", &token).header("if-none-match", &tags[tags.len() - 1]);
            assert_eq!(read.send().await.unwrap().status(), 304);
            app.finished(app.replace(&token).await.id).await;
            let read = app.get("/cards", &token).header("if-none-match", &tags[tags.len() - 1]);
            assert_eq!(read.send().await.unwrap().status(), 200);
        }
        tags.dedup();
        assert_eq!(tags.len(), 3);
    }
}

#[tokio::test]
async fn without_a_cache_the_answers_are_the_same() {
    let app = TestApp::with(1, |settings| settings.server.cache_limit = 0).await;
    let token = app.user("p").await;
    let task: Task = ok(app.post("/purchases", &token, &json!({"price": "1"}))).await;
    app.finished(task.id).await;
    let other = another(&app, 1 << 20).await;
    let reader = Reader { app: &app, servers: vec![app.platform.address().to_string(), other.address().to_string()] };
    for path in ["/purchases", "/purchases?limit=1", "/purchases/summary", "/cards"] {
        let (mut tags, mut bodies) = (Vec::new(), Vec::new());
        for server in [0, 1, 1] {
            let response = reader.get(server, path, &token).send().await.unwrap();
            tags.push(response.headers()["etag"].clone());
            bodies.push(response.text().await.unwrap());
        }
        assert!(tags.iter().all(|tag| *tag == tags[0]) && bodies.iter().all(|body| *body == bodies[0]), "{path}");
    }
    let ahead = problem(reader.get(1, "/purchases", &token).header("x-min-sequence", 1_000_000)).await;
    assert_eq!(ahead.status, 503);
    assert_eq!(cache_counts(&app, "purchases-summary").await, (1, 1), "by the other one");
    other.stop().await;
}

/// On Postgres: the embedded ledger can't be cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_cut_off_from_the_ledger_refuses_and_never_goes_back() {
    let app = TestApp::start().await;
    let TestLedger::Servers(database) = &app.ledger else { return };
    let upstream = database.url().rsplit('@').next().unwrap().split('/').next().unwrap().to_owned();
    let proxy = Proxy::start(upstream.parse().unwrap());
    let url = database.url().replace(&upstream, &proxy.address().to_string());
    let mut settings = Settings::default();
    app.ledger.set(&mut settings);
    let address = Address { database: url, redis: database.redis().to_owned() };
    let store = cluster::open(&address, &settings, &Registry::default().known()).await.unwrap();
    let other = serve(settings, store).await;
    let servers = vec![other.address().to_string(), app.platform.address().to_string()];
    let reader = Reader { app: &app, servers };
    let token = app.user("p").await;
    let buy = async || {
        let task: Task = ok(app.post("/purchases", &token, &json!({"price": "1"}))).await;
        app.finished(task.id).await;
    };
    buy().await;
    let (one, _) = reader.count(0, "/purchases/summary", &token, None).await;
    assert_eq!(one, 1);
    proxy.refuse(true);
    proxy.cut_all();
    buy().await;
    let (two, sequence) = reader.count(1, "/purchases/summary", &token, None).await;
    assert_eq!(two, 2, "the other server goes on");
    for min in [None, Some(sequence)] {
        let mut request = reader.get(0, "/purchases/summary", &token);
        if let Some(min) = min {
            request = request.header("x-min-sequence", min);
        }
        assert_eq!(problem(request).await.status, 503, "{min:?}");
    }
    proxy.refuse(false);
    crate::app::eventually("it reads again", async || {
        let request = reader.get(0, "/purchases/summary", &token).header("x-min-sequence", sequence);
        let answer = request.send().await.unwrap();
        if answer.status() != 200 {
            return None;
        }
        let summary: Value = answer.json().await.unwrap();
        assert_eq!(summary["count"], json!(2));
        Some(())
    })
    .await;
    other.stop().await;
}
