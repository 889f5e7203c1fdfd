//! What the runner makes of steps.

use std::sync::Arc;

use card_core::settings;
use card_core::tasks::Status;
use card_kinds::Begun;
use card_kinds::add::Sum;
use card_kinds::{add, replacement};
use tokio::sync::Semaphore;

use crate::bed::{Bed, holds, settings};
use crate::scripted::{Gauge, alone, done, failed, replacing, running};

const ADD: &str = r#"{"x":2,"y":3}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_are_made_and_one_that_does_not_fit_is_declined() {
    let bed = Bed::new().await;
    let sums = bed.accept_many(1000, add::KIND, ADD).await;
    let overflow = bed.accept(add::KIND, r#"{"x":9223372036854775807,"y":1}"#).await;
    let _working = bed.work(replacing(|_| unreachable!()), settings());
    for task in bed.all_ended(&sums).await {
        assert_eq!((task.status, task.attempts), (Status::Succeeded, 1));
        assert_eq!(serde_json::from_str::<Sum>(task.result.unwrap().get()).unwrap(), Sum { sum: 5 });
    }
    let overflow = bed.ended(overflow).await;
    assert_eq!((overflow.status, overflow.error.unwrap().code.as_str()), (Status::Declined, "sum-overflow"));
    let effects = bed.store.engine.effects(&bed.run, None, 10_000).await.unwrap();
    assert!(effects.items.iter().all(|task| task.finals == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_are_in_flight_and_never_more_than_there_are_permits() {
    let bed = Bed::new().await;
    let (gauge, open) = (Gauge::default(), Arc::new(Semaphore::new(0)));
    let tasks = bed.accept_many(1000, replacement::KIND, "{}").await;
    let registry = alone({
        let (gauge, open) = (gauge.clone(), Arc::clone(&open));
        move |_| {
            let (alive, open) = (gauge.enter(), Arc::clone(&open));
            running(async move {
                let _permit = open.acquire().await.unwrap();
                drop(alive);
                done()
            })
        }
    });
    let _working = bed.work(registry, settings::Worker { concurrency: 400, ..settings() });
    holds("all permits are in use", || gauge.now() == 400).await;
    open.add_permits(1000);
    assert!(bed.all_ended(&tasks).await.iter().all(|task| task.status == Status::Succeeded && task.attempts == 1));
    assert_eq!(gauge.most(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_kind_leaves_room_for_the_others_and_gets_it_back() {
    let bed = Bed::new().await;
    let (gauge, open) = (Gauge::default(), Arc::new(Semaphore::new(0)));
    let slow = bed.accept_many(1000, replacement::KIND, "{}").await;
    let registry = replacing({
        let (gauge, open) = (gauge.clone(), Arc::clone(&open));
        move |_| {
            let (alive, open) = (gauge.enter(), Arc::clone(&open));
            running(async move {
                open.acquire().await.unwrap().forget();
                drop(alive);
                done()
            })
        }
    });
    let _working = bed.work(registry, settings::Worker { concurrency: 40, ..settings() });
    holds("it has what it may have", || gauge.now() == 40).await;
    // All of these go through while not one of the slow ones ends.
    let sums = bed.accept_many(500, add::KIND, ADD).await;
    bed.all_ended(&sums).await;
    assert_eq!((gauge.now(), gauge.most()), (40, 40));
    // What becomes free is taken at once, although the worker waits for other kinds.
    open.add_permits(1000);
    assert!(bed.all_ended(&slow).await.iter().all(|task| task.attempts == 1));
    assert_eq!(gauge.most(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_never_ends_does_not_hold_up_its_neighbours() {
    let bed = Bed::new().await;
    let stuck = bed.accept(replacement::KIND, "{}").await;
    let sums = bed.accept_many(200, add::KIND, ADD).await;
    let registry = replacing(|_| running(std::future::pending()));
    let _working = bed.work(registry, settings::Worker { concurrency: 2, ..settings() });
    assert!(bed.all_ended(&sums).await.iter().all(|task| task.status == Status::Succeeded));
    assert_eq!(bed.task(stuck).await.status, Status::Running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_a_failed_attempt_and_gives_its_permit_back() {
    let bed = Bed::new().await;
    let early = bed.accept(replacement::KIND, r#""early""#).await;
    let late = bed.accept(replacement::KIND, r#""late""#).await;
    let registry = replacing(|claim| {
        assert!(claim.payload.get() != r#""early""#, "the step panics before it waits");
        running(async {
            tokio::task::yield_now().await;
            panic!("the step panics while it waits")
        })
    });
    let _working = bed.work(registry, settings::Worker { concurrency: 1, ..settings() });
    for task in [early, late] {
        let task = bed.ended(task).await;
        assert_eq!((task.status, task.attempts), (Status::Dead, 3));
        assert_eq!(task.error.unwrap().code, "step-panicked");
    }
    let sum = bed.accept(add::KIND, ADD).await;
    assert_eq!(bed.ended(sum).await.status, Status::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_read_is_a_dead_letter_at_once() {
    let bed = Bed::new().await;
    let mut tasks = Vec::new();
    for payload in ["{}", "null", r#"{"x":1,"y":"two"}"#, r#"{"x":1,"y":2,"z":3}"#, r#"{"x":1e400,"y":2}"#] {
        tasks.push(bed.accept(add::KIND, payload).await);
    }
    let sum = bed.accept(add::KIND, ADD).await;
    let _working = bed.work(replacing(|_| unreachable!()), settings());
    for task in bed.all_ended(&tasks).await {
        let error = task.error.unwrap();
        assert_eq!((task.status, task.attempts, error.code.as_str()), (Status::Dead, 1, "invalid-payload"));
        assert!(!error.message.contains("two"), "{error}");
    }
    assert_eq!(bed.ended(sum).await.status, Status::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_attempt_is_tried_again_until_the_last() {
    let bed = Bed::new().await;
    let stubborn = bed.accept(replacement::KIND, "3").await;
    let hopeless = bed.accept(replacement::KIND, "9").await;
    let registry = replacing(|claim| {
        let needed: u32 = claim.payload.get().parse().unwrap();
        Begun::Done(if claim.attempt < needed { failed() } else { done() })
    });
    let _working = bed.work(registry, settings());
    let stubborn = bed.ended(stubborn).await;
    assert_eq!((stubborn.status, stubborn.attempts), (Status::Succeeded, 3));
    let hopeless = bed.ended(hopeless).await;
    assert_eq!((hopeless.status, hopeless.attempts), (Status::Dead, 3));
    assert_eq!(hopeless.error.unwrap().code, "some-error");
    let attempts = bed.store.engine.attempts(hopeless.id).await.unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_the_work_and_do_nothing_twice() {
    let bed = Bed::new().await;
    let registry = replacing(|_| unreachable!());
    let working = [bed.work(registry.clone(), settings()), bed.work(registry, settings())];
    let sums = bed.accept_many(2000, add::KIND, ADD).await;
    assert!(bed.all_ended(&sums).await.iter().all(|task| task.attempts == 1));
    for worker in working {
        assert!(worker.stop().await.drained);
    }
}
