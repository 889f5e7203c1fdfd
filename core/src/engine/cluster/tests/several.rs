//! Several processes on one ledger.

use std::collections::HashSet;

use tokio::time::timeout;

use super::*;
use crate::accounts::{Accounts, Admission, SignInAttempt, SignInLimits, User};
use crate::engine::Signal;
use crate::engine::conformance::{accepted, add, add_in, claim_nothing, claim_one, replacement};
use crate::ids::{SessionId, UserId};
use crate::tasks::Idempotency;
use crate::testing::{Proxy, Redis};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_beside_three_processes_at_work_sees_each_event_once_and_in_order() {
    const EACH: usize = 400;
    let bed = Bed::new().await;
    let run = RunId::new();
    let engines = [Arc::clone(&bed.engine), bed.beside().await, bed.beside().await];
    let tally = Tally::default();
    let mut accepts = tokio::task::JoinSet::new();
    let mut workers = tokio::task::JoinSet::new();
    for engine in &engines {
        let (accepting, tasks) = (Arc::clone(engine), (0..EACH).map(|_| add_in(&run)).collect());
        accepts.spawn(async move { accept_all(&accepting, tasks).await });
        workers.spawn(work(Arc::clone(engine), tally.clone(), 3 * EACH));
    }
    let reader = bed.beside().await;
    let wakeups = reader.wakeups(&EventFilter::default());
    let (mut after, mut seen) = (0, Vec::new());
    let reading = async {
        while seen.len() < 2 * 3 * EACH {
            let page = reader.events_after(&EventFilter::default(), after, 37).await.unwrap();
            assert!(!page.reset);
            if page.events.is_empty() {
                let _ = timeout(Duration::from_millis(500), wakeups.signal()).await;
            }
            after = page.cursor;
            seen.extend(page.events);
        }
    };
    timeout(PATIENCE, reading).await.expect("all events come");
    let places: Vec<_> = seen.iter().map(|event| event.seq.unwrap()).collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "in order");
    let accepted: HashSet<TaskId> = accepts.join_all().await.into_iter().flatten().collect();
    let by_status = |status| {
        let of = seen.iter().filter(|event| event.task.status == status).map(|event| event.task.id);
        of.collect::<HashSet<_>>()
    };
    assert_eq!(by_status(Status::Queued), accepted);
    assert_eq!(by_status(Status::Succeeded), accepted);
    let handed = workers.join_all().await;
    assert_eq!(handed.iter().flatten().collect::<HashSet<_>>().len(), 3 * EACH);
    // There is nothing more, and nothing late.
    let page = reader.events_after(&EventFilter::default(), after, 1000).await.unwrap();
    assert_eq!((page.events.len(), page.cursor), (0, reader.last_event().await.unwrap()));
}

/// As when three workers are scaled down to one: who has stopped is not counted until it would be forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_a_process_that_has_stopped_are_not_alive() {
    let bed = Bed::new().await;
    let others = [bed.beside().await, bed.beside().await];
    for engine in [&bed.engine, &others[0], &others[1]] {
        accepted(&**engine, add()).await;
        claim_and_settle(engine).await;
    }
    let alive = async || bed.engine.stats().await.unwrap().workers.len();
    assert_eq!(alive().await, 3);
    for (engine, left) in others.into_iter().zip([2, 1]) {
        engine.close().await;
        assert_eq!(alive().await, left);
    }
}

async fn claim_and_settle(engine: &ClusterEngine) {
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::Settle(crate::engine::conformance::done())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wake_ups_cross_processes_and_name_their_tasks() {
    let bed = Bed::new().await;
    let other = bed.beside().await;
    bed.hearing(2).await;
    let run = RunId::new();
    let mine = bed.engine.wakeups(&EventFilter { run: Some(run.clone()), ..EventFilter::default() });
    let others = bed.engine.wakeups(&EventFilter { run: Some(RunId::new()), ..EventFilter::default() });
    // The look at the ledger each second wakes everybody; a message only those whom it names.
    let mut by_name = 0;
    for _ in 0..10 {
        accepted(&*other, add_in(&run)).await;
        let claim = claim_one(&*other).await;
        other.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
        let signal = timeout(PATIENCE, mine.signal()).await.unwrap();
        assert!(matches!(signal, Signal::Durable | Signal::Transient(_)));
        by_name += u32::from(others.try_signal().is_none());
    }
    assert!(by_name >= 5, "{by_name} of 10");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_runs_in_one_process_is_shown_and_announced_in_the_others() {
    let bed = Bed::new().await;
    let worker = bed.beside().await;
    bed.hearing(2).await;
    let task = accepted(&*bed.engine, add()).await;
    let wakeups = bed.engine.wakeups(&EventFilter { tasks: vec![task.id], ..EventFilter::default() });
    let claim = claim_one(&*worker).await;
    let hearing = async {
        loop {
            if let Signal::Transient(task) = wakeups.signal().await {
                break task;
            }
        }
    };
    let heard = timeout(PATIENCE, hearing).await.unwrap();
    assert_eq!((heard.id, heard.status, heard.attempts), (task.id, Status::Running, 1));
    assert_eq!(heard.started_at, Some(claim.started_at));
    let shown = bed.engine.get(task.id).await.unwrap().unwrap();
    assert_eq!((shown.status, shown.started_at), (Status::Running, Some(claim.started_at)));
    let workers = bed.engine.stats().await.unwrap().workers;
    assert_eq!(workers.iter().map(|seen| (seen.id, seen.inflight)).collect::<Vec<_>>(), [(claim.lease.worker, 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_in_one_process_stops_the_others() {
    let bed = Bed::new().await;
    let other = bed.beside().await;
    bed.engine.set_paused(true).await.unwrap();
    eventually("the other process has heard of the pause", async || {
        other.shared.delivery.paused.load(Ordering::Acquire)
    })
    .await;
    let task = accepted(&*other, add()).await;
    claim_nothing(&*other, Duration::from_millis(400)).await;
    claim_nothing(&*bed.engine, Duration::from_millis(100)).await;
    assert!(other.stats().await.unwrap().queue.paused);
    other.set_paused(false).await.unwrap();
    assert_eq!(claim_one(&*bed.engine).await.lease.task, task.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_revokes_every_process_refuses_from_the_answer_on() {
    let database = Database::create();
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address());
    let bed = start_with(database, Redis::url_at(proxy.address()), |_| {}).await;
    let others = [bed.beside().await, bed.beside().await];
    // No message helps: nothing that must hold may rest on Redis.
    proxy.refuse(true);
    proxy.cut_all();
    for name in ["anna", "bert", "carl"] {
        let user = User { id: UserId::new(), username: name.into(), created_at: Instant::now() };
        bed.store.accounts.register(user.clone(), "hash".into()).await.unwrap();
        let (left, closed) = (SessionId::new(), SessionId::new());
        for other in &others {
            assert_eq!(other.user(user.id).await.unwrap().unwrap().username, name);
            assert!(!other.is_revoked(user.id, closed).await.unwrap());
        }
        bed.store.accounts.close_session(closed).await.unwrap();
        for other in &others {
            assert!(other.is_revoked(user.id, closed).await.unwrap());
            assert!(!other.is_revoked(user.id, left).await.unwrap());
        }
        assert!(bed.store.accounts.delete_user(user.id).await.unwrap());
        for other in &others {
            assert!(other.is_revoked(user.id, left).await.unwrap());
        }
    }
    let later = bed.beside().await;
    let deleted = bed.store.accounts.credentials("anna").await.unwrap();
    assert!(deleted.is_none());
    assert!(later.shared.revoked.revocations.len() >= 6, "who opens later knows at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_do_not_double_a_budget() {
    let bed = Bed::new().await;
    let engines = [Arc::clone(&bed.engine), bed.beside().await];
    let limits = SignInLimits { pair: 5, account: 5, network: 5 };
    let attempt = SignInAttempt { name: "ada".into(), user: None, network: "192.0.2.1".into() };
    let attempts = (0..40).map(|number: usize| engines[number % 2].admit_sign_in(attempt.clone(), limits));
    let admissions = join_all(attempts).await;
    let admitted = admissions.into_iter().filter(|one| matches!(one, Ok(Admission::Admitted(_)))).count();
    assert_eq!(admitted, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_exclusive_accepts_in_three_processes_one_wins() {
    let bed = Bed::new().await;
    let engines = [Arc::clone(&bed.engine), bed.beside().await, bed.beside().await];
    let owner = UserId::new();
    let accepts = (0..60).map(|number: usize| engines[number % 3].accept(replacement(owner)));
    let answers: Vec<_> = join_all(accepts).await.into_iter().map(Result::unwrap).collect();
    let won: Vec<_> = answers
        .iter()
        .filter_map(|answer| if let Accepted::New(task, _) = answer { Some(task.id) } else { None })
        .collect();
    assert_eq!(won.len(), 1);
    let named = |answer: &Accepted| matches!(answer, Accepted::Exclusive { open } if *open == won[0]);
    assert_eq!(answers.iter().filter(|answer| named(answer)).count(), 59);
}

fn with_key(key: &str, new: NewTask) -> NewTask {
    NewTask { idempotency: Some(Idempotency { key: key.into(), fingerprint: [7; 32] }), ..new }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_in_three_processes_makes_one_task() {
    let bed = Bed::new().await;
    let engines = [Arc::clone(&bed.engine), bed.beside().await, bed.beside().await];
    let accepts = (0..60).map(|number: usize| engines[number % 3].accept(with_key("one", add())));
    let answers: Vec<_> = join_all(accepts).await.into_iter().map(Result::unwrap).collect();
    let ids: HashSet<_> = answers
        .iter()
        .map(|answer| match answer {
            Accepted::New(task, _) | Accepted::Replay(task) => task.id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Accepted::New(..))).count(), 1);
    assert_eq!(bed.engine.stats().await.unwrap().accepted_total, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_refused_has_not_used_its_key_for_those_beside_it() {
    let bed = Bed::new().await;
    let owner = UserId::new();
    let open = accepted(&*bed.engine, replacement(owner)).await.id;
    // One batch has several of them.
    let accepts = (0..32).map(|_| bed.engine.accept(with_key("mine", replacement(owner))));
    for answer in join_all(accepts).await {
        let answer = answer.unwrap();
        assert!(matches!(answer, Accepted::Exclusive { open: named } if named == open), "{answer:?}");
    }
    let claim = claim_one(&*bed.engine).await;
    bed.engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    let answer = bed.engine.accept(with_key("mine", replacement(owner))).await.unwrap();
    assert!(matches!(answer, Accepted::New(..)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_no_message_reaches_hears_of_others_tasks_by_looking() {
    let database = Database::create();
    let redis = Redis::start();
    let proxy = Proxy::start(redis.address());
    let bed = start_with(database, Redis::url_at(proxy.address()), |_| {}).await;
    let direct = Address { redis: redis.url(), ..bed.address.clone() };
    let other = open_engine(&direct, &bed.settings, &KINDS).await.unwrap();
    let listens = || bed.engine.shared.listens.load(Ordering::Acquire);
    eventually("messages reach it", async || listens()).await;
    proxy.refuse(true);
    proxy.cut_all();
    eventually("no message reaches it", async || !listens()).await;
    for _ in 0..3 {
        let run = RunId::new();
        let wakeups = bed.engine.wakeups(&EventFilter { run: Some(run.clone()), ..EventFilter::default() });
        accepted(&other, add_in(&run)).await;
        // A place of its own behind the other's must not hide that.
        accepted(&*bed.engine, add()).await;
        timeout(PATIENCE, wakeups.signal()).await.unwrap();
    }
    proxy.refuse(false);
    eventually("messages reach it again", async || listens()).await;
}
