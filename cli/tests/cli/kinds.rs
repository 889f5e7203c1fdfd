//! A kind that only these tests have, brought to a platform at run time: everything that the platform promises holds for it
//! at once, on both engines, through the API, the command line and the audit. And versions that know different kinds, on one
//! ledger.

use std::collections::VecDeque;
use std::time::Duration;

use card_core::engine::Store;
use card_core::settings::Settings;
use card_core::tasks::{Kind, Status, TaskFilter};
use card_core::testing::{Database, Proxy, TestLedger};
use card_kinds::testing::Gift;
use card_kinds::{Definition, Registry};
use card_server::Secrets;
use card_server::platform::{Platform, PlatformOptions};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::sandbox::{Ended, Sandbox};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const GIFT: Kind = Kind::new("gift");

/// This version's kinds, and a new one.
fn newer() -> Registry {
    Registry::default().with(Definition::of::<Gift>(200))
}

fn settings(ledger: &TestLedger) -> Settings {
    let mut settings = Settings::default();
    settings.issuer.latency_p50 = Duration::from_millis(1);
    settings.issuer.latency_p99 = Duration::from_millis(2);
    ledger.set(&mut settings);
    settings
}

/// A platform that knows some kinds.
async fn start(ledger: &TestLedger, kinds: &Registry, workers: usize) -> Running {
    let settings = settings(ledger);
    let store = ledger.open(&settings, &kinds.known()).await;
    let options = PlatformOptions {
        store: store.clone(),
        kinds: kinds.clone(),
        settings,
        secrets: Secrets { signing_key: vec![7; 32], operator_token: TOKEN.to_owned() },
        listener: std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap(),
        fronts: Vec::new(),
        issuer_listener: None,
        workers,
        host: "test".to_owned(),
    };
    Running { platform: Platform::start(options).await.unwrap(), store }
}

struct Running {
    platform: Platform,
    store: Store,
}

fn run(sandbox: &Sandbox, running: &Running, arguments: &[&str]) -> Ended {
    let url = format!("http://{}", running.platform.address());
    let mut command = sandbox.command(&[&["--target", &url], arguments].concat());
    command.env("CARDCTL_OPERATOR_TOKEN", TOKEN);
    Ended::of(command.output().unwrap())
}

/// What waits, by kind, as an autoscaler reads it.
fn backlog(runtime: &Runtime, running: &Running) -> Value {
    let url = format!("http://{}/scaling", running.platform.address());
    let answer = runtime
        .block_on(async { card_http::local().build().unwrap().get(url).send().await.unwrap().text().await.unwrap() });
    let by_kind = serde_json::from_str::<Value>(&answer).unwrap()["by_kind"].as_object().unwrap().clone();
    by_kind.into_iter().map(|(kind, of)| (kind, of["backlog"].clone())).collect()
}

#[test]
fn a_kind_that_a_test_brings_is_kept_like_all_others() {
    let runtime = Runtime::new().unwrap();
    for ledger in TestLedger::both() {
        let sandbox = Sandbox::new();
        let platform = runtime.block_on(start(&ledger, &newer(), 1));
        let submit = ["submit", "--kind", "gift", "-c", "40", "-w", "--run", "gifts", "-o", "json"];
        // What this cardctl does not know itself, it sends as it is given.
        let unknown = run(&sandbox, &platform, &submit);
        assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
        assert!(unknown.stderr.contains("--payload"), "{}", unknown.stderr);
        let given = run(&sandbox, &platform, &[&submit[..], &["--payload", r#"{"what":"a book"}"#]].concat());
        let document = given.json();
        assert_eq!(given.code, Some(0), "{document}{}", given.stderr);
        assert_eq!(
            (&document["succeeded"], &document["lost"], &document["duplicate"]),
            (&json!(40), &json!(0), &json!(0))
        );
        assert_eq!(document["tasks"][0]["kind"], "gift");
        let refused =
            run(&sandbox, &platform, &["submit", "--kind", "gift", "-w", "--payload", r#"{"what":"nothing"}"#]);
        assert_eq!(refused.code, Some(6), "declined: {}", refused.stderr);
        let wrong = run(&sandbox, &platform, &["submit", "--kind", "gift", "--payload", r#"{"what":""}"#]);
        assert!(wrong.stderr.contains("1 to 40 letters"), "{}", wrong.stderr);
        let listed = run(&sandbox, &platform, &["tasks", "list", "--kind", "gift", "--run", "gifts", "-o", "json"]);
        assert_eq!(listed.json()["items"].as_array().unwrap().len(), 40, "{}", listed.stdout);
        assert_eq!(backlog(&runtime, &platform), json!({"add": 0, "gift": 0, "purchase": 0, "replacement": 0}));
        // Beside the kinds that everybody knows, with their own audit.
        let others = run(&sandbox, &platform, &["submit", "-c", "20", "-w", "-o", "json"]);
        assert_eq!((others.code, &others.json()["succeeded"]), (Some(0), &json!(20)), "{}", others.stderr);

        runtime.block_on(async {
            let store = &platform.store;
            let tasks = TaskFilter { kind: Some(GIFT), run: Some("gifts".parse().unwrap()), ..TaskFilter::default() };
            let owner = store.engine.list(&tasks, None, 1).await.unwrap().items[0].owner.unwrap();
            let effects = store.engine.effects_of(owner, GIFT).await.unwrap();
            assert_eq!(effects.len(), 1);
            assert_eq!(effects[0].data.get(), r#"{"what":"a book"}"#);
        });
        runtime.block_on(platform.platform.stop());
    }
}

#[test]
fn what_only_newer_versions_know_is_shown_by_older_ones_and_left_to_the_newer() {
    let runtime = Runtime::new().unwrap();
    let ledger = TestLedger::Servers(Database::create());
    let sandbox = Sandbox::new();
    // As while a new version is rolled out: an old server with a worker, and a new server without one.
    let old = runtime.block_on(start(&ledger, &Registry::default(), 1));
    let new = runtime.block_on(start(&ledger, &newer(), 0));
    let gifts = ["submit", "--kind", "gift", "--payload", r#"{"what":"a book"}"#, "-c", "50", "--run", "gifts"];
    let refused = run(&sandbox, &old, &gifts);
    assert!(refused.stderr.contains("must be one of replacement, add"), "{}", refused.stderr);
    assert_eq!(run(&sandbox, &new, &gifts).code, Some(0));
    // The old worker goes on with what it knows.
    let known = run(&sandbox, &new, &["submit", "-c", "30", "-w", "-o", "json"]);
    assert_eq!((known.code, &known.json()["succeeded"]), (Some(0), &json!(30)), "{}", known.stderr);
    // The old server lists what it does not know by its name, counts it, and takes it for a filter.
    let listed = run(&sandbox, &old, &["tasks", "list", "--kind", "gift", "-o", "json"]).json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 50);
    assert!(items.iter().all(|task| task["status"] == "queued" && task["kind"] == "gift"), "{listed}");
    assert_eq!(backlog(&runtime, &old)["gift"], 50);
    // And streams it while a worker of the new version does it.
    let watched = std::thread::scope(|scope| {
        let watching =
            scope.spawn(|| run(&sandbox, &old, &["watch", "--run", "gifts", "--expect", "50", "-o", "jsonl"]));
        let worker = runtime.block_on(start(&ledger, &newer(), 1));
        let watched = watching.join().unwrap();
        runtime.block_on(worker.platform.stop());
        watched
    });
    assert_eq!(watched.code, Some(0), "{}", watched.stderr);
    let succeeded = watched.stdout.lines().filter(|line| line.contains(r#""status":"succeeded""#)).count();
    assert_eq!(succeeded, 50, "{}", watched.stdout);
    runtime.block_on(async {
        let store = &old.store;
        let page = store.engine.effects(&"gifts".parse().unwrap(), None, 100).await.unwrap();
        assert_eq!(page.items.len(), 50);
        let once = page.items.iter().all(|task| (task.status, task.effects, task.finals) == (Status::Succeeded, 1, 1));
        assert!(once, "{:?}", page.items);
    });
    runtime.block_on(async {
        new.platform.stop().await;
        old.platform.stop().await;
    });
}

/// Users submit all the time while one process after the other is replaced: by the new version, back to the old one, and to
/// the new one again. In between each server works beside workers of the other version.
#[test]
fn versions_roll_forward_and_back_under_load_and_nothing_is_lost_or_doubled() {
    const TASKS: usize = 600;
    let runtime = Runtime::new().unwrap();
    let ledger = TestLedger::Servers(Database::create());
    let sandbox = Sandbox::new();
    let mut running: VecDeque<Running> =
        (0..2).map(|_| runtime.block_on(start(&ledger, &Registry::default(), 1))).collect();
    let gateway = Proxy::start(running[0].platform.address());
    let url = format!("http://{}", gateway.address());
    let count = TASKS.to_string();
    let load = |kind: &str, run: &str| {
        let submit = ["--target", &url, "submit", "--kind", kind, "--run", run, "-c", &count, "--rate", "40/s"];
        let mut command = sandbox.command(&[&submit[..], &["-w", "--timeout", "2m", "-o", "json"]].concat());
        command.env("CARDCTL_OPERATOR_TOKEN", TOKEN);
        Ended::of(command.output().unwrap())
    };
    let accepted = |running: &Running| runtime.block_on(running.store.engine.stats()).unwrap().accepted_total;
    let gifts = ["submit", "--kind", "gift", "--payload", r#"{"what":"a book"}"#, "-c", "20", "--run", "gifts"];
    std::thread::scope(|scope| {
        let loads = [("replacement", "cards"), ("add", "sums")].map(|(kind, run)| scope.spawn(move || load(kind, run)));
        for (step, kinds) in
            [newer(), newer(), Registry::default(), Registry::default(), newer()].into_iter().enumerate()
        {
            let next = runtime.block_on(start(&ledger, &kinds, 1));
            gateway.lead_to(next.platform.address());
            if step == 0 {
                assert_eq!(run(&sandbox, &next, &gifts).code, Some(0));
            }
            let before = accepted(&next);
            runtime.block_on(running.pop_front().expect("two run").platform.stop());
            // Work goes on before the next one is replaced.
            let deadline = std::time::Instant::now() + Duration::from_secs(60);
            while accepted(&next) < (before + 40).min(2 * TASKS as u64 + 20) {
                assert!(std::time::Instant::now() < deadline, "nothing is accepted after step {step}");
                std::thread::sleep(Duration::from_millis(20));
            }
            running.push_back(next);
        }
        for load in loads {
            let ended = load.join().unwrap();
            let document = ended.json();
            let audit = ["succeeded", "lost", "duplicate", "pending"].map(|field| document[field].as_u64());
            assert_eq!(
                (ended.code, audit),
                (Some(0), [Some(TASKS as u64), Some(0), Some(0), Some(0)]),
                "{}",
                ended.stderr
            );
        }
    });
    let newest = running.pop_back().unwrap();
    let watched = run(&sandbox, &newest, &["watch", "--run", "gifts", "--expect", "20", "--timeout", "1m"]);
    assert_eq!(watched.code, Some(0), "{}", watched.stderr);
    runtime.block_on(async {
        let page = newest.store.engine.effects(&"gifts".parse().unwrap(), None, 100).await.unwrap();
        let once = page.items.iter().all(|task| (task.status, task.effects, task.finals) == (Status::Succeeded, 1, 1));
        assert!(once && page.items.len() == 20, "{:?}", page.items);
        newest.platform.stop().await;
        for left in running {
            left.platform.stop().await;
        }
    });
}

#[test]
fn a_code_that_a_ledger_knows_for_another_kind_is_refused_by_name() {
    let runtime = Runtime::new().unwrap();
    for ledger in TestLedger::both() {
        runtime.block_on(async {
            let settings = settings(&ledger);
            ledger.open(&settings, &newer().known()).await.engine.close().await;
            let other = Registry::default().without(Kind::new("add")).with(Definition::of::<Gift>(1));
            let refused = ledger.try_open(&settings, &other.known()).await;
            let error = refused.err().expect("one code, two kinds");
            assert!(error.to_string().contains("gift"), "{error}");
            // Without the new kind the ledger is as good as before.
            ledger.open(&settings, &Registry::default().known()).await.engine.close().await;
        });
    }
}
