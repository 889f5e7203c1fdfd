//! Replacements from accept to card, through the real issuer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use card_core::settings;
use card_core::tasks::{Status, Task};
use card_issuer::Behaviour;
use card_kinds::replacement::{Card, CardStatus, IssuedCard};
use card_kinds::{add, replacement};
use card_worker::Handlers;
use tokio::net::TcpListener;

use crate::bed::{Bed, holds, settings};
use crate::simulated::{Issuer, prompt};

const LOST: &str = r#"{"reason":"lost"}"#;

fn settings_for(issuer: &Issuer) -> settings::Worker {
    let mut settings = settings();
    settings.issuer.url = issuer.url();
    settings.issuer.timeout = Duration::from_millis(500);
    // Out of the way, unless a test is about it.
    settings.issuer.breaker_min_calls = 1_000_000;
    settings
}

fn registry(settings: &settings::Worker) -> Handlers {
    Handlers::new(&card_kinds::Registry::default(), settings).unwrap()
}

async fn cards(bed: &Bed, task: &Task) -> Vec<Card> {
    let effects = bed.store.engine.effects_of(task.owner.unwrap(), replacement::KIND).await.unwrap();
    effects.iter().map(|effect| Card::of(effect).unwrap()).collect()
}

fn error_code(task: &Task) -> &str {
    &task.error.as_ref().unwrap().code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_ends_with_a_card() {
    let (bed, issuer) = (Bed::new().await, Issuer::start(prompt()).await);
    let settings = settings_for(&issuer);
    let _working = bed.work(registry(&settings), settings);
    let task = bed.accept(replacement::KIND, LOST).await;
    let task = bed.ended(task).await;
    assert_eq!((task.status, task.attempts), (Status::Succeeded, 1));
    let issued: IssuedCard = serde_json::from_str(task.result.as_ref().unwrap().get()).unwrap();
    let cards = cards(&bed, &task).await;
    assert_eq!(cards.len(), 1);
    assert_eq!((&cards[0].last4, cards[0].network, cards[0].task), (&issued.last4, issued.network, task.id));
    assert_eq!(cards[0].status, CardStatus::Active);
    let asked_again = issuer.issue(task.id).await.1;
    assert_eq!(asked_again["card_ref"], issued.card_ref, "the task's id is the idempotency key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decline_is_final_and_leaves_no_card() {
    let bed = Bed::new().await;
    let issuer = Issuer::start(Behaviour { decline_rate: 1.0, ..prompt() }).await;
    let settings = settings_for(&issuer);
    let _working = bed.work(registry(&settings), settings);
    let task = bed.accept(replacement::KIND, LOST).await;
    let task = bed.ended(task).await;
    assert_eq!((task.status, task.attempts, error_code(&task)), (Status::Declined, 1, "issuer-declined"));
    assert!(cards(&bed, &task).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_failure_has_its_code() {
    for (behaviour, code) in [
        (Behaviour { error_rate: 1.0, ..prompt() }, "issuer-unavailable"),
        (Behaviour { hang_rate: 1.0, ..prompt() }, "issuer-timeout"),
        (Behaviour { garbage_rate: 1.0, ..prompt() }, "issuer-answered-garbage"),
    ] {
        let (bed, issuer) = (Bed::new().await, Issuer::start(behaviour).await);
        let mut settings = settings_for(&issuer);
        settings.issuer.timeout = Duration::from_millis(100);
        let _working = bed.work(registry(&settings), settings);
        let task = bed.accept(replacement::KIND, LOST).await;
        let task = bed.ended(task).await;
        assert_eq!((task.status, task.attempts, error_code(&task)), (Status::Dead, 3, code));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_address_is_not_a_decline() {
    let (bed, issuer) = (Bed::new().await, Issuer::start(prompt()).await);
    let mut settings = settings_for(&issuer);
    settings.issuer.url = format!("{}/elsewhere", issuer.url());
    let _working = bed.work(registry(&settings), settings);
    let task = bed.accept(replacement::KIND, LOST).await;
    let task = bed.ended(task).await;
    assert_eq!((task.status, error_code(&task)), (Status::Dead, "issuer-refused-request"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flaky_issuer_issues_one_card_each() {
    let bed = Bed::new().await;
    let issuer = Issuer::start(Behaviour { error_rate: 0.3, garbage_rate: 0.2, ..prompt() }).await;
    let mut settings = settings_for(&issuer);
    settings.retry.max_attempts = 50;
    let _working = bed.work(registry(&settings), settings);
    let tasks = bed.accept_many(300, replacement::KIND, LOST).await;
    let ended = bed.all_ended(&tasks).await;
    assert!(ended.iter().all(|task| task.status == Status::Succeeded));
    assert!(ended.iter().any(|task| task.attempts > 1));
    let effects = bed.store.engine.effects(&bed.run, None, 1000).await.unwrap();
    assert!(effects.items.iter().all(|task| (task.effects, task.finals) == (1, 1)));
}

/// An issuer that is down until it is told otherwise, and counts the calls.
#[derive(Clone, Default)]
struct Down(Arc<(AtomicBool, AtomicUsize)>);

impl Down {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/issue", post(async |State(down): State<Self>| down.answer()));
        let router = router.with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn answer(&self) -> Response {
        self.0.1.fetch_add(1, Ordering::SeqCst);
        if self.0.0.load(Ordering::SeqCst) {
            r#"{"card_ref":"x","last4":"0001","network":"visa"}"#.into_response()
        } else {
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }

    fn calls(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }

    fn recover(&self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_uses_up_no_attempts_and_holds_up_no_other_kind() {
    const MIN_CALLS: u32 = 5;
    let (bed, down) = (Bed::new().await, Down::default());
    let mut settings = settings();
    settings.concurrency = 5;
    settings.issuer.url = down.start().await;
    settings.issuer.breaker_min_calls = MIN_CALLS;
    settings.issuer.breaker_window = Duration::from_millis(50);
    let _working = bed.work(registry(&settings), settings);
    let tasks = bed.accept_many(200, replacement::KIND, LOST).await;
    // At most nine calls were begun before the breaker opened: what comes after are probes, one a pause.
    holds("a probe fails", || down.calls() >= 10).await;
    let sums = bed.accept_many(100, add::KIND, r#"{"x":1,"y":1}"#).await;
    assert!(bed.all_ended(&sums).await.iter().all(|task| task.status == Status::Succeeded));
    assert!(down.calls() < 20, "{} calls of an issuer that is down", down.calls());
    down.recover();
    let ended = bed.all_ended(&tasks).await;
    assert!(ended.iter().all(|task| task.status == Status::Succeeded));
    let failed: u32 = ended.iter().map(|task| task.attempts - 1).sum();
    assert!(failed < MIN_CALLS, "{failed} attempts were used up by an outage");
}
