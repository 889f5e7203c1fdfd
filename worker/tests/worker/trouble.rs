//! Engines that fail, leases that are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use card_core::settings;
use card_core::tasks::{Status, TaskError};
use card_kinds::{Begun, Step};
use card_kinds::{add, replacement};

use crate::bed::{Bed, holds, settings};
use crate::faulty::Faulty;
use crate::scripted::{Gauge, alone, done, replacing, running};

const ADD: &str = r#"{"x":2,"y":3}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_can_not_settle_is_asked_again() {
    let bed = Bed::new().await;
    let engine = Faulty::new(bed.engine());
    engine.settles_fail.store(3, Ordering::SeqCst);
    let task = bed.accept(add::KIND, ADD).await;
    let _working = bed.work_on(engine.clone(), replacing(|_| unreachable!()), settings());
    let task = bed.ended(task).await;
    assert_eq!((task.status, task.attempts), (Status::Succeeded, 1));
    assert_eq!(engine.settles_fail.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_settles_nothing_twice() {
    let bed = Bed::new().await;
    let engine = Faulty::new(bed.engine());
    engine.settle_answers_lost.store(20, Ordering::SeqCst);
    let tasks = bed.accept_many(20, add::KIND, ADD).await;
    let working = bed.work_on(engine.clone(), replacing(|_| unreachable!()), settings());
    bed.all_ended(&tasks).await;
    assert!(working.stop().await.drained);
    let effects = bed.store.engine.effects(&bed.run, None, 100).await.unwrap();
    assert!(effects.items.iter().all(|task| (task.effects, task.finals) == (1, 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_fails_is_tried_again() {
    let bed = Bed::new().await;
    let engine = Faulty::new(bed.engine());
    engine.claims_fail.store(3, Ordering::SeqCst);
    let task = bed.accept(add::KIND, ADD).await;
    let _working = bed.work_on(engine, replacing(|_| unreachable!()), settings());
    assert_eq!(bed.ended(task).await.status, Status::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_and_deferred_tasks_come_in_time_whatever_the_worker_s_clock_shows() {
    let bed = Bed::new().await;
    let engine = Faulty::new(bed.engine());
    engine.clock_behind.store(3600, Ordering::SeqCst);
    let calls = Arc::new(AtomicUsize::new(0));
    let registry = replacing(move |_| {
        let error = || TaskError { code: "not-yet".to_owned(), message: "not yet".to_owned() };
        Begun::Done(match calls.fetch_add(1, Ordering::SeqCst) {
            0 => Step::Defer { wait: Duration::from_millis(20), error: error() },
            1 => Step::Retry(error()),
            _ => done(),
        })
    });
    let task = bed.accept(replacement::KIND, "{}").await;
    let _working = bed.work_on(engine, registry, settings());
    let task = bed.ended(task).await;
    assert_eq!((task.status, task.attempts), (Status::Succeeded, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_longer_than_its_lease_is_not_handed_out_twice() {
    let bed = Bed::new().await;
    let engine = Faulty::new(bed.engine());
    let gauge = Gauge::default();
    let tasks = bed.accept_many(30, replacement::KIND, "{}").await;
    let registry = replacing({
        let (engine, gauge) = (Arc::clone(&engine), gauge.clone());
        move |_| {
            let (engine, alive) = (Arc::clone(&engine), gauge.enter());
            running(async move {
                let _alive = alive;
                // At a third of the lease each, this is beyond one lease.
                holds("the leases are extended", || engine.extensions.load(Ordering::SeqCst) >= 4).await;
                done()
            })
        }
    });
    let _working = bed.work_on(engine.clone(), registry.clone(), settings());
    holds("all steps run", || gauge.now() == 30).await;
    let _other = bed.work(registry, settings());
    assert!(bed.all_ended(&tasks).await.iter().all(|task| task.attempts == 1 && task.status == Status::Succeeded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_extends_everything_in_flight() {
    let bed = Bed::new().await;
    let engine = Faulty::new(bed.engine());
    bed.accept_many(300, replacement::KIND, "{}").await;
    let registry = alone(|_| running(std::future::pending()));
    let settings = settings::Worker { concurrency: 300, ..settings() };
    let _working = bed.work_on(engine.clone(), registry, settings);
    holds("300 leases are extended at once", || engine.extended.load(Ordering::SeqCst) == 300).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_cuts_its_step_off() {
    let bed = Bed::new().await;
    let gauge = Gauge::default();
    bed.accept(replacement::KIND, "{}").await;
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
    let working = bed.work(registry, settings());
    holds("the step runs", || gauge.now() == 1).await;
    bed.store.engine.clean_run(&bed.run).await.unwrap();
    holds("the step is cut off", || gauge.now() == 0).await;
    assert!(working.stop().await.drained, "its permit and its lease are gone as well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_takes_no_outcomes_bounds_what_is_begun() {
    let bed = Bed::new().await;
    let engine = Faulty::new(bed.engine());
    let tasks = bed.accept_many(300, replacement::KIND, "{}").await;
    let begun = Arc::new(AtomicUsize::new(0));
    let registry = alone({
        let begun = Arc::clone(&begun);
        move |_| {
            // Some are over at once, the others a moment later: both leave their room while their outcome is told.
            if begun.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                Begun::Done(done())
            } else {
                running(async {
                    tokio::task::yield_now().await;
                    done()
                })
            }
        }
    });
    let closed = engine.ends.write().await;
    let _working = bed.work_on(engine.clone(), registry, settings::Worker { concurrency: 10, ..settings() });
    // Four times as many outcomes as steps without a room, and those that keep theirs.
    holds("all rooms are in use", || begun.load(Ordering::SeqCst) == 50).await;
    let extensions = engine.extensions.load(Ordering::SeqCst);
    holds("their leases are kept for a while", || engine.extensions.load(Ordering::SeqCst) >= extensions + 3).await;
    assert_eq!((begun.load(Ordering::SeqCst), engine.extended.load(Ordering::SeqCst)), (50, 50));
    drop(closed);
    assert!(bed.all_ended(&tasks).await.iter().all(|task| task.status == Status::Succeeded && task.attempts == 1));
}
