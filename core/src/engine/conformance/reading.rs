//! Events, wake-ups, lists: watching misses nothing.

use super::*;
use crate::engine::{ErrorKind, Signal};
use crate::tasks::{Status, TaskFilter};

async fn settle_next(engine: &dyn Engine) -> TaskId {
    let claim = claim_one(engine).await;
    engine.end(&claim.lease, claim.started_at, End::Settle(done())).await.unwrap();
    claim.lease.task
}

pub(crate) async fn events_come_in_commit_order_without_gaps(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let run = RunId::new();
    let task = accepted(engine, add_in(&run)).await;
    let claim = claim_one(engine).await;
    let now = crate::time::Instant::now();
    engine.end(&claim.lease, claim.started_at, End::RetryAt { due: now, error: failed(), counts: true }).await.unwrap();
    settle_next(engine).await;
    let filter = EventFilter { run: Some(run), ..EventFilter::default() };
    let events = all_events(engine, &filter, 0, 100).await;
    let shown: Vec<_> = events.iter().map(|event| (event.task.id, event.task.status, event.task.attempts)).collect();
    let id = task.id;
    assert_eq!(shown, [(id, Status::Queued, 0), (id, Status::Retrying, 1), (id, Status::Succeeded, 2)]);
    assert!(events.windows(2).all(|pair| pair[0].seq.unwrap() < pair[1].seq.unwrap()));
    assert_eq!(events[1].task.error, Some(failed()));
    assert!(events[2].task.result.is_some() && events[2].task.settled_at.is_some());
}

pub(crate) async fn a_reader_that_resumes_misses_nothing(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let run = RunId::new();
    for _ in 0..30 {
        accepted(engine, add_in(&run)).await;
    }
    for _ in 0..30 {
        settle_next(engine).await;
    }
    let filter = EventFilter { run: Some(run), ..EventFilter::default() };
    let whole = all_events(engine, &filter, 0, 1000).await;
    assert_eq!(whole.len(), 60);
    let seqs = |events: &[TaskEvent]| events.iter().map(|event| event.seq.unwrap()).collect::<Vec<_>>();
    for page in [1, 7, 59, 60] {
        assert_eq!(seqs(&all_events(engine, &filter, 0, page).await), seqs(&whole));
    }
    for cut in [0, 1, 17, 59] {
        let from = whole[cut].seq.unwrap();
        assert_eq!(seqs(&all_events(engine, &filter, from, 10).await), seqs(&whole[cut + 1..]));
    }
}

pub(crate) async fn filters_let_through_what_they_mean(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let (run, owner) = (RunId::new(), UserId::new());
    let in_run = accepted(engine, add_in(&run)).await.id;
    let owned = accepted(engine, NewTask { owner: Some(owner), ..add() }).await.id;
    let both = accepted(engine, NewTask { owner: Some(owner), ..add_in(&run) }).await.id;
    for _ in 0..3 {
        settle_next(engine).await;
    }
    let ids = |events: Vec<TaskEvent>| events.into_iter().map(|event| event.task.id).collect::<Vec<_>>();
    let filter =
        |run: Option<&RunId>, tasks: &[TaskId], owner| EventFilter { run: run.cloned(), tasks: tasks.to_vec(), owner };
    let read = |filter| async move { ids(all_events(engine, &filter, 0, 100).await) };
    assert_eq!(read(filter(None, &[], None)).await, [in_run, owned, both, in_run, owned, both]);
    assert_eq!(read(filter(Some(&run), &[], None)).await, [in_run, both, in_run, both]);
    assert_eq!(read(filter(None, &[], Some(owner))).await, [owned, both, owned, both]);
    assert_eq!(read(filter(Some(&run), &[], Some(owner))).await, [both, both]);
    assert_eq!(read(filter(None, &[in_run, owned], None)).await, [in_run, owned, in_run, owned]);
    assert_eq!(read(filter(None, &[in_run, owned], Some(owner))).await, [owned, owned]);
    assert_eq!(read(filter(None, &[TaskId::new()], None)).await, []);
}

pub(crate) async fn a_reader_beside_writers_never_skips(bed: impl Testbed) {
    const TASKS: usize = 2_000;
    let run = RunId::new();
    let filter = EventFilter { run: Some(run.clone()), ..EventFilter::default() };
    let engine = bed.store().engine.clone();
    let writers = (0..8).map(|_| {
        let (engine, run) = (engine.clone(), run.clone());
        tokio::spawn(async move {
            for _ in 0..TASKS / 8 {
                accepted(&*engine, add_in(&run)).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let wakeups = engine.wakeups(&filter);
    let (mut after, mut seen) = (0, Vec::new());
    while seen.len() < TASKS {
        let page = engine.events_after(&filter, after, 100).await.unwrap();
        if page.events.is_empty() {
            // A lost wake-up only delays.
            let _ = tokio::time::timeout(Duration::from_millis(200), wakeups.signal()).await;
        }
        after = page.cursor;
        seen.extend(page.events.into_iter().map(|event| event.seq.unwrap()));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(seen.len(), TASKS);
}

pub(crate) async fn wake_ups_come_for_what_was_subscribed(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let new = add();
    let filter = EventFilter { tasks: vec![new.id], ..EventFilter::default() };
    let wakeups = engine.wakeups(&filter);
    accepted(engine, new).await;
    let woken = tokio::time::timeout(Duration::from_secs(5), wakeups.signal()).await.unwrap();
    assert!(matches!(woken, Signal::Durable));
}

pub(crate) async fn a_running_task_is_announced_and_shown(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let run = RunId::new();
    let wakeups = engine.wakeups(&EventFilter { run: Some(run.clone()), ..EventFilter::default() });
    let task = accepted(engine, add_in(&run)).await;
    let claim = claim_one(engine).await;
    let shown = engine.get(task.id).await.unwrap().unwrap();
    assert_eq!((shown.status, shown.attempts), (Status::Running, 1));
    let announced = loop {
        let signal = tokio::time::timeout(Duration::from_secs(5), wakeups.signal()).await.unwrap();
        if let Signal::Transient(task) = signal {
            break task;
        }
    };
    assert_eq!((announced.id, announced.status), (task.id, Status::Running));
    assert_eq!(announced.started_at, Some(claim.started_at));
}

pub(crate) async fn lists_page_newest_first(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let mut ids = Vec::new();
    for _ in 0..25 {
        ids.push(accepted(engine, add()).await.id);
    }
    ids.reverse();
    let (mut listed, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = engine.list(&TaskFilter::default(), cursor.as_deref(), 10).await.unwrap();
        assert!(page.items.len() <= 10);
        listed.extend(page.items.into_iter().map(|task| task.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids);
}

pub(crate) async fn lists_filter(bed: impl Testbed) {
    let engine = &*bed.store().engine;
    let (run, owner) = (RunId::new(), UserId::new());
    let settled = accepted(engine, add_in(&run)).await.id;
    settle_next(engine).await;
    let owned = accepted(engine, replacement(owner)).await.id;
    let dead = claim_one(engine).await;
    engine.end(&dead.lease, dead.started_at, End::GiveUp(failed())).await.unwrap();
    let running = accepted(engine, add()).await.id;
    claim_one(engine).await;
    let queued = accepted(engine, add()).await.id;
    let ids = |filter: TaskFilter| async move {
        let page = engine.list(&filter, None, 100).await.unwrap();
        page.items.into_iter().map(|task| task.id).collect::<Vec<_>>()
    };
    let all = TaskFilter::default;
    assert_eq!(ids(all()).await, [queued, running, owned, settled]);
    assert_eq!(ids(TaskFilter { run: Some(run), ..all() }).await, [settled]);
    assert_eq!(ids(TaskFilter { owner: Some(owner), ..all() }).await, [owned]);
    assert_eq!(ids(TaskFilter { kind: Some(REPLACEMENT), ..all() }).await, [owned]);
    assert_eq!(ids(TaskFilter { status: Some(Status::Succeeded), ..all() }).await, [settled]);
    assert_eq!(ids(TaskFilter { status: Some(Status::Running), ..all() }).await, [running]);
    assert_eq!(ids(TaskFilter { status: Some(Status::Queued), ..all() }).await, [queued]);
    let error = |pattern: &str| Some(regex::Regex::new(pattern).unwrap());
    assert_eq!(ids(TaskFilter { error: error("^issuer-.*503"), ..all() }).await, [owned]);
    assert_eq!(ids(TaskFilter { error: error("other"), ..all() }).await, []);
    let later = crate::time::Instant::now().plus(Duration::from_secs(60));
    assert_eq!(ids(TaskFilter { since: Some(later), ..all() }).await, []);
}

pub(crate) async fn a_foreign_cursor_is_refused(bed: impl Testbed) {
    let error = bed.store().engine.list(&TaskFilter::default(), Some("; DROP TABLE"), 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(!error.is_retryable());
}
