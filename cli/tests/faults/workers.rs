//! Workers die in the middle of their calls.

use std::collections::BTreeSet;
use std::time::Duration;

use card_client::Caller;
use card_core::ids::{TaskId, UserId, WorkerId};
use card_core::tasks::Stats;
use card_core::time::Instant;
use card_kinds::replacement::Reason;
use card_kinds::replacement::{IssueRequest, IssuedCard};
use futures::future::join_all;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::platform::{OPERATOR, Platform};

/// As long as it may take until another worker has begun with a dead one's tasks.
const TAKEN_OVER: Duration = Duration::from_secs(5);

fn holds(stats: &Stats, host: &str) -> Option<(WorkerId, u64)> {
    let worker = stats.workers.iter().find(|worker| worker.host == host)?;
    Some((worker.id, worker.inflight))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_workers_tasks_run_elsewhere_within_5_s_and_have_one_card() {
    let platform = Platform::start(Duration::from_millis(1500)).await;
    let killed = platform.worker("worker-1").await;
    let parts = [platform.server("server").await, platform.worker("worker-2").await];
    let load = platform.load(400, 50);
    let holding = |stats: &Stats| stats.accepted_total >= 150 && holds(stats, "worker-1").is_some_and(|(_, n)| n >= 10);
    let stats = platform.until("worker-1 is in the middle of calls", holding).await;
    let (worker, _) = holds(&stats, "worker-1").unwrap();
    killed.kill().await;
    let mut ledger = PgConnection::connect(&platform.ledger()).await.unwrap();
    let killed_at: i64 = sqlx::query_scalar("SELECT ledger_now()").fetch_one(&mut ledger).await.unwrap();
    let killed_at = Instant::from_micros(killed_at);
    // What it settled and could not let go any more is nobody's task.
    let orphans: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM tasks WHERE status < 4 AND id = ANY ($1)")
        .bind(platform.held_by(worker))
        .fetch_all(&mut ledger)
        .await
        .unwrap();
    assert!(!orphans.is_empty());
    let load = load.ends().await;
    for task in orphans.into_iter().map(TaskId::from_uuid) {
        let attempts = platform.client.attempts(task, Caller::Operator).await.unwrap();
        let [attempt] = &attempts[..] else { panic!("{task}: {attempts:?}") };
        let after = attempt.started_at.unwrap().since(killed_at);
        assert!((Duration::ZERO..=TAKEN_OVER).contains(&after), "{task} was taken over after {after:?}");
    }
    one_card_each(&platform, &mut ledger, &load.tasks()).await;
    platform.prove(400, load, parts).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_workers_are_killed_accepts_go_on_and_new_ones_do_the_rest() {
    let platform = Platform::start(Duration::from_millis(300)).await;
    let mut parts = vec![platform.server("server").await];
    let workers = join_all(["worker-1", "worker-2", "worker-3"].map(|name| platform.worker(name))).await;
    let load = platform.load(600, 80);
    platform.until_accepted(150).await;
    join_all(workers.into_iter().map(crate::part::Part::kill)).await;
    platform.until_accepted(300).await;
    parts.extend(join_all(["worker-4", "worker-5"].map(|name| platform.worker(name))).await);
    platform.prove(600, load.ends().await, parts).await;
}

/// Each task's card is the one that the issuer has for it, and nobody else has that.
async fn one_card_each(platform: &Platform, ledger: &mut PgConnection, tasks: &BTreeSet<TaskId>) {
    let cards: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT task, card_ref FROM cards").fetch_all(ledger).await.unwrap();
    assert_eq!(cards.len(), tasks.len());
    let http = card_http::local().build().unwrap();
    let quick = json!({"latency_p50_ms": 0.0});
    let told = http.put(format!("{}/behaviour", platform.issuer())).bearer_auth(OPERATOR).json(&quick);
    told.send().await.unwrap().error_for_status().unwrap();
    let mut seen = BTreeSet::new();
    for (task, card) in cards {
        let task = TaskId::from_uuid(task);
        assert!(tasks.contains(&task));
        let request = IssueRequest { idempotency_key: task, user: UserId::new(), reason: Reason::Lost };
        let answer = http.post(format!("{}/issue", platform.issuer())).json(&request).send().await.unwrap();
        assert_eq!(answer.json::<IssuedCard>().await.unwrap().card_ref, card);
        assert!(seen.insert(card), "{task} shares its card");
    }
}
