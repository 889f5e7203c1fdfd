//! The follower against a scripted log: what the real engine does only under unlucky timing.

use std::sync::Mutex;

use async_trait::async_trait;
use card_core::engine::hub::{Change, Hub};
use card_core::engine::{EffectChanges, EventPage};
use card_core::ids::UserId;
use card_core::tasks::{Priority, Status};
use card_core::time::Instant;
use card_kinds::add;

use super::*;

/// Events that a read of these tests takes at most.
const PAGE: usize = 32;

/// A log in memory. `floor` is what retention has removed.
#[derive(Default)]
struct Scripted {
    events: Mutex<Vec<Task>>,
    floor: EventSeq,
    hub: Arc<Hub>,
}

impl Scripted {
    fn commit(&self, task: &Task) {
        self.events.lock().unwrap().push(task.clone());
        self.hub.announce(&Change { task: task.id, run: task.run.clone(), owner: task.owner });
    }

    fn run(&self, task: &Task, attempt: u32) {
        self.hub.announce_transient(&Arc::new(state(task, Status::Running, attempt)));
    }

    fn follow(self: &Arc<Self>, filter: EventFilter) -> Follower {
        Follower::subscribe(Arc::clone(self) as Arc<dyn Log>, filter)
    }
}

fn task(run: Option<&str>, owner: Option<UserId>) -> Task {
    Task {
        id: TaskId::new(),
        kind: add::KIND,
        owner,
        run: run.map(|run| run.parse().unwrap()),
        status: Status::Queued,
        attempts: 0,
        priority: Priority::Normal,
        accepted_at: Instant::now(),
        due_at: None,
        started_at: None,
        settled_at: None,
        result: None,
        error: None,
    }
}

fn state(task: &Task, status: Status, attempts: u32) -> Task {
    Task { status, attempts, ..task.clone() }
}

/// What one read tells, as (place, status), with resets as (where, none).
async fn read(follower: &mut Follower) -> Vec<(Option<EventSeq>, Option<Status>)> {
    let told = follower.read(PAGE).await.unwrap();
    told.into_iter()
        .map(|told| match told {
            Told::State(event) => (event.seq, Some(event.task.status)),
            Told::Reset(from) => (Some(from), None),
        })
        .collect()
}

#[tokio::test]
async fn running_that_was_overtaken_is_not_told() {
    let log = Arc::new(Scripted::default());
    let mut follower = log.follow(EventFilter::default());
    let task = task(None, None);
    log.commit(&task);
    log.run(&task, 1);
    log.commit(&state(&task, Status::Succeeded, 1));
    assert_eq!(read(&mut follower).await, [(Some(1), Some(Status::Queued)), (Some(2), Some(Status::Succeeded))]);
    assert_eq!(read(&mut follower).await, []);
}

#[tokio::test]
async fn running_that_comes_after_its_end_is_not_told() {
    let log = Arc::new(Scripted::default());
    let mut follower = log.follow(EventFilter::default());
    let task = task(None, None);
    log.commit(&task);
    log.commit(&state(&task, Status::Succeeded, 1));
    assert_eq!(read(&mut follower).await.len(), 2);
    log.run(&task, 1);
    assert_eq!(read(&mut follower).await, []);
    assert_eq!(read(&mut follower).await, []);
}

#[tokio::test]
async fn what_is_remembered_of_the_past_is_bounded() {
    let log = Arc::new(Scripted::default());
    let mut follower = log.follow(EventFilter::default());
    for _ in 0..REMEMBERED * 4 {
        log.commit(&state(&task(None, None), Status::Succeeded, 1));
    }
    while !read(&mut follower).await.is_empty() {}
    assert!(follower.shown.newer.len() + follower.shown.older.len() < 2 * (REMEMBERED + PAGE));
}

#[tokio::test]
async fn running_is_told_after_queued_and_before_the_end() {
    let log = Arc::new(Scripted::default());
    let mut follower = log.follow(EventFilter::default());
    let task = task(None, None);
    log.commit(&task);
    log.run(&task, 1);
    assert_eq!(read(&mut follower).await, [(Some(1), Some(Status::Queued)), (None, Some(Status::Running))]);
    log.commit(&state(&task, Status::Retrying, 1));
    log.run(&task, 2);
    assert_eq!(read(&mut follower).await, [(Some(2), Some(Status::Retrying)), (None, Some(Status::Running))]);
}

#[tokio::test]
async fn while_behind_running_waits_until_its_task_was_told() {
    let log = Arc::new(Scripted::default());
    let mut follower = log.follow(EventFilter::default());
    let tasks: Vec<Task> = (0..PAGE + 5).map(|_| task(None, None)).collect();
    tasks.iter().for_each(|task| log.commit(task));
    log.run(&tasks[PAGE + 4], 1);
    let first = read(&mut follower).await;
    assert!(first.len() == PAGE && first.iter().all(|(seq, _)| seq.is_some()));
    assert!(!follower.caught_up());
    let second = read(&mut follower).await;
    assert_eq!((second.len(), second.last()), (6, Some(&(None, Some(Status::Running)))));
    assert!(follower.caught_up());
}

#[tokio::test]
async fn what_is_gone_is_told_once_and_the_rest_follows() {
    let log = Arc::new(Scripted { floor: 2, ..Scripted::default() });
    (0..3).for_each(|_| log.commit(&task(None, None)));
    let mut follower = log.follow(EventFilter::default());
    follower.start_at(1);
    assert_eq!(read(&mut follower).await, [(Some(2), None), (Some(3), Some(Status::Queued))]);
    assert_eq!(read(&mut follower).await, []);
}

#[tokio::test]
async fn nothing_of_others_is_told_not_even_what_is_not_durable() {
    let log = Arc::new(Scripted::default());
    let (me, other) = (UserId::new(), UserId::new());
    let (mine, theirs) = (task(Some("run"), Some(me)), task(Some("run"), Some(other)));
    let elsewhere = task(None, Some(me));
    for filter in [
        EventFilter { run: Some("run".parse().unwrap()), owner: Some(me), tasks: Vec::new() },
        EventFilter {
            run: Some("run".parse().unwrap()),
            owner: Some(me),
            tasks: vec![mine.id, theirs.id, elsewhere.id],
        },
    ] {
        let mut follower = log.follow(filter);
        follower.start_now().await.unwrap();
        for task in [&theirs, &elsewhere, &mine] {
            log.commit(task);
            log.run(task, 1);
        }
        let told = follower.read(PAGE).await.unwrap();
        let ids = told.iter().map(|told| match told {
            Told::State(event) => event.task.id,
            Told::Reset(_) => panic!("{told:?}"),
        });
        assert_eq!(ids.collect::<Vec<_>>(), [mine.id, mine.id]);
    }
}

#[tokio::test]
async fn a_wait_ends_when_something_happens_or_in_time() {
    let log = Arc::new(Scripted::default());
    let mut follower = log.follow(EventFilter::default());
    assert_eq!(read(&mut follower).await, []);
    follower.wait(Duration::from_millis(1)).await;
    assert_eq!(read(&mut follower).await, []);
    let task = task(None, None);
    let happen = async { log.commit(&task) };
    tokio::time::timeout(Duration::from_secs(10), futures::future::join(follower.wait(Duration::MAX), happen))
        .await
        .unwrap();
    assert_eq!(read(&mut follower).await, [(Some(1), Some(Status::Queued))]);
}

#[async_trait]
impl Log for Scripted {
    async fn events_after(
        &self,
        filter: &EventFilter,
        after: EventSeq,
        limit: usize,
    ) -> Result<EventPage, EngineError> {
        let events = self.events.lock().unwrap();
        let from = after.max(self.floor);
        let found = (1..).zip(events.iter()).filter(|(seq, task)| *seq > from && lets_through(filter, task));
        let found: Vec<_> =
            found.map(|(seq, task)| TaskEvent { seq: Some(seq), task: task.clone() }).take(limit).collect();
        let cursor = if found.len() == limit { found[limit - 1].seq.unwrap() } else { events.len() as u64 };
        Ok(EventPage { events: found, cursor, reset: after < self.floor })
    }

    async fn effects_after(&self, after: EventSeq, _: usize) -> Result<EffectChanges, EngineError> {
        Ok(EffectChanges { cursor: after, ..EffectChanges::default() })
    }

    async fn last_event(&self) -> Result<EventSeq, EngineError> {
        Ok(self.events.lock().unwrap().len() as u64)
    }

    fn wakeups(&self, filter: &EventFilter) -> Subscription {
        self.hub.subscribe(filter)
    }
}
