//! Tasks that are cancelled while a worker has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use card_core::engine::{CANCELLED, Cancelled};
use card_core::ids::TaskId;
use card_core::retry::RetryPolicy;
use card_core::settings;
use card_core::tasks::Status;
use card_core::telemetry::metrics;
use card_core::time::Instant;
use card_issuer::Behaviour;
use card_kinds::{Begun, replacement};
use card_worker::Handlers;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::bed::{Bed, holds, settings};
use crate::scripted::{Gauge, alone, done, failed, running};
use crate::simulated::{Issuer, prompt};

async fn cancel(bed: &Bed, task: TaskId) {
    let cancelled = bed.store.engine.cancel(task, "asked for by mistake".to_owned()).await.unwrap();
    assert!(matches!(cancelled, Cancelled::Done(_)), "{cancelled:?}");
}

/// It is cancelled, and nothing was left behind.
async fn assert_without_effect(bed: &Bed, task: TaskId) {
    let now = bed.task(task).await;
    assert_eq!((now.status, now.error.unwrap().code.as_str()), (Status::Cancelled, CANCELLED));
    let page = bed.store.engine.effects(&bed.run, None, 100).await.unwrap();
    let of_task = page.items.iter().find(|item| item.task == task).unwrap();
    assert_eq!((of_task.status, of_task.effects, of_task.finals), (Status::Cancelled, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_whose_task_is_cancelled_is_dropped_and_makes_room() {
    let recorder = metrics::install();
    let bed = Bed::new().await;
    let gauge = Gauge::default();
    let stuck = bed.accept(replacement::KIND, "{}").await;
    let registry = alone({
        let gauge = gauge.clone();
        move |claim| {
            let (alive, hangs) = (gauge.enter(), claim.lease.task == stuck);
            running(async move {
                let _alive = alive;
                if hangs {
                    std::future::pending::<()>().await;
                }
                done()
            })
        }
    });
    // One place in all, and the only one who could end the step is the worker itself.
    let working = bed.work(registry, settings::Worker { concurrency: 1, ..settings() });
    holds("it runs", || gauge.now() == 1).await;
    let next = bed.accept(replacement::KIND, "{}").await;
    cancel(&bed, stuck).await;
    assert_eq!(bed.ended(next).await.status, Status::Succeeded);
    assert_eq!((gauge.now(), gauge.most()), (0, 1), "the step was dropped before another began");
    assert_without_effect(&bed, stuck).await;
    assert!(working.stop().await.drained, "nothing is left to wait for");
    if let Some(recorder) = recorder {
        let page = recorder.render();
        assert!(page.contains(r#"task_attempts_total{kind="replacement",outcome="lost-lease"} 1"#), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_after_it_was_cancelled_changes_nothing() {
    let bed = Bed::new().await;
    let (gauge, open) = (Gauge::default(), Arc::new(Semaphore::new(0)));
    let tasks = bed.accept_many(3, replacement::KIND, "{}").await;
    let registry = alone({
        let (gauge, open, failing) = (gauge.clone(), Arc::clone(&open), tasks[1]);
        move |claim| {
            let (alive, open, fails) = (gauge.enter(), Arc::clone(&open), claim.lease.task == failing);
            running(async move {
                open.acquire().await.unwrap().forget();
                drop(alive);
                if fails { failed() } else { done() }
            })
        }
    });
    // No renewal comes in between: each step ends under a lease that it takes to be its own.
    let settings = settings::Worker { lease: Duration::from_secs(60), ..settings() };
    let working = bed.work(registry, settings);
    holds("all run", || gauge.now() == 3).await;
    for task in &tasks[..2] {
        cancel(&bed, *task).await;
    }
    open.add_permits(3);
    assert_eq!(bed.ended(tasks[2]).await.status, Status::Succeeded);
    assert!(working.stop().await.drained);
    for task in &tasks[..2] {
        assert_without_effect(&bed, *task).await;
    }
    assert_eq!(gauge.most(), 3, "none was begun again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_another_attempt_is_not_begun_again() {
    let bed = Bed::new().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let task = bed.accept(replacement::KIND, "{}").await;
    let registry = alone({
        let calls = Arc::clone(&calls);
        move |claim| {
            if claim.lease.task != task {
                return Begun::Done(done());
            }
            calls.fetch_add(1, Ordering::SeqCst);
            Begun::Done(failed())
        }
    });
    // Due again soon, so that one that is not taken off the queue is met again.
    let wait = Duration::from_millis(400);
    let retry = RetryPolicy { max_attempts: 100, base: wait, cap: wait };
    let working = bed.work(registry, settings::Worker { retry, ..settings() });
    bed.until(task, |task| task.status == Status::Retrying).await;
    cancel(&bed, task).await;
    let begun = calls.load(Ordering::SeqCst);
    // Whatever was to come of it has come when this is through: it is due later than the next attempt was.
    let later = Instant::now().plus(wait * 3);
    let after = bed.accept_for(replacement::KIND, "{}", later).await;
    assert_eq!(bed.ended(after).await.status, Status::Succeeded);
    assert!(working.stop().await.drained);
    // One may have been claimed just before.
    assert!(calls.load(Ordering::SeqCst) <= begun + 1);
    assert_without_effect(&bed, task).await;
}

/// The real kind against an issuer that does not answer: the call is given up with the task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_issuer_that_hangs_is_called_no_more_for_a_cancelled_task() {
    let bed = Bed::new().await;
    let issuer = Issuer::start(Behaviour { hang_rate: 1.0, ..prompt() }).await;
    let mut settings = settings();
    settings.issuer.url = issuer.url();
    settings.issuer.timeout = Duration::from_secs(120);
    settings.concurrency = 1;
    let task = bed.accept(replacement::KIND, r#"{"reason":"stolen"}"#).await;
    let registry = card_kinds::Registry::default().without(card_kinds::add::KIND);
    let working = bed.work(Handlers::new(&registry, &settings).unwrap(), settings);
    bed.until(task, |task| task.status == Status::Running).await;
    issuer.behave(json!({"hang_rate": 0.0})).await;
    cancel(&bed, task).await;
    let next = bed.accept(replacement::KIND, r#"{"reason":"lost"}"#).await;
    assert_eq!(bed.ended(next).await.status, Status::Succeeded);
    assert!(working.stop().await.drained);
    assert_without_effect(&bed, task).await;
}
