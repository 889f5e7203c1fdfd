//! What a stop does to steps under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use card_core::ids::WorkerId;
use card_core::tasks::Status;
use card_kinds::Begun;
use card_kinds::replacement;
use card_worker::{Stopped, Worker};
use tokio::sync::Notify;

use crate::bed::{Bed, Working, holds, settings};
use crate::scripted::{Gauge, done, replacing, running};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_stops_at_once() {
    let bed = Bed::new().await;
    let working = bed.work(replacing(|_| unreachable!()), settings());
    let begun = Instant::now();
    assert_eq!(working.stop().await, Stopped { drained: true });
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_steps_end_and_claims_no_more() {
    let bed = Bed::new().await;
    let (gauge, open) = (Gauge::default(), Arc::new(Notify::new()));
    let registry = replacing({
        let (gauge, open) = (gauge.clone(), Arc::clone(&open));
        move |_| {
            let (alive, open) = (gauge.enter(), Arc::clone(&open));
            running(async move {
                let _alive = alive;
                open.notified().await;
                done()
            })
        }
    });
    let before = bed.accept(replacement::KIND, "{}").await;
    let working = bed.work(registry, settings());
    holds("the step runs", || gauge.now() == 1).await;
    working.tell();
    open.notify_one();
    assert_eq!(working.stop().await, Stopped { drained: true });
    assert_eq!(bed.task(before).await.status, Status::Succeeded);
    let after = bed.accept(replacement::KIND, "{}").await;
    assert_eq!(bed.task(after).await.status, Status::Queued);
    assert_eq!(gauge.most(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_in_time_is_handed_back_and_does_not_count() {
    let bed = Bed::new().await;
    let gauge = Gauge::default();
    let tasks = bed.accept_many(50, replacement::KIND, "{}").await;
    let registry = replacing({
        let gauge = gauge.clone();
        move |_| {
            let alive = gauge.enter();
            running(async move {
                let _alive = alive;
                std::future::pending().await
            })
        }
    });
    let worker = Worker::new(bed.engine(), registry, settings(), WorkerId::new(), "here");
    let working = Working::start(worker.with_drain(Duration::from_millis(50)));
    holds("all steps run", || gauge.now() == 50).await;
    assert_eq!(working.stop().await, Stopped { drained: false });
    assert_eq!(gauge.now(), 0, "every step was dropped");
    for task in &tasks {
        let task = bed.task(*task).await;
        assert_eq!((task.status, task.attempts), (Status::Queued, 0));
    }
    let _next = bed.work(replacing(|_| Begun::Done(done())), settings());
    assert!(bed.all_ended(&tasks).await.iter().all(|task| task.status == Status::Succeeded && task.attempts == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_engine_ends_its_worker() {
    let bed = Bed::new().await;
    let worker = Worker::new(bed.engine(), replacing(|_| unreachable!()), settings(), WorkerId::new(), "here");
    let running = tokio::spawn(worker.run(tokio_util::sync::CancellationToken::new()));
    bed.store.engine.close().await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap();
    assert!(stopped.drained);
}
