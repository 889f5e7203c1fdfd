//! An engine of its own for each test, workers on it, and waiting for what becomes of tasks.

use std::sync::Arc;
use std::time::Duration;

use card_core::engine::{Accepted, Engine, EventFilter, Store, Work};
use card_core::ids::{RunId, TaskId, UserId, WorkerId};
use card_core::retry::RetryPolicy;
use card_core::settings::{self, Settings};
use card_core::tasks::{Kind, NewTask, Priority, Task};
use card_core::testing::TestLedger;
use card_core::time::Instant;
use card_worker::{Handlers, Stopped, Worker};
use serde_json::value::RawValue;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Bed {
    pub(crate) store: Store,
    pub(crate) run: RunId,
    _ledger: TestLedger,
}

/// A worker at work. Dropped without [`Working::stop`] it is told to stop and not waited for.
pub(crate) struct Working {
    stop: CancellationToken,
    ended: Option<JoinHandle<Stopped>>,
}

/// Quick retries, a lease of a second, few attempts.
pub(crate) fn settings() -> settings::Worker {
    let retry = RetryPolicy { max_attempts: 3, base: Duration::from_millis(5), cap: Duration::from_millis(20) };
    settings::Worker { lease: Duration::from_secs(1), retry, ..Settings::default().worker }
}

impl Bed {
    pub(crate) async fn new() -> Self {
        let ledger = TestLedger::create();
        let store = ledger.open(&Settings::default(), &card_kinds::Registry::default().known()).await;
        Self { store, run: RunId::new(), _ledger: ledger }
    }

    pub(crate) fn engine(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.store.engine)
    }

    pub(crate) async fn accept(&self, kind: Kind, payload: &str) -> TaskId {
        self.accept_due(kind, payload, None).await
    }

    /// Not to be begun before.
    pub(crate) async fn accept_for(&self, kind: Kind, payload: &str, due_at: Instant) -> TaskId {
        self.accept_due(kind, payload, Some(due_at)).await
    }

    async fn accept_due(&self, kind: Kind, payload: &str, due_at: Option<Instant>) -> TaskId {
        let id = TaskId::new();
        let new = NewTask {
            id,
            kind,
            owner: Some(UserId::new()),
            run: Some(self.run.clone()),
            payload: RawValue::from_string(payload.to_owned()).unwrap(),
            exclusive: None,
            idempotency: None,
            priority: Priority::default(),
            due_at,
        };
        assert!(matches!(self.store.engine.accept(new).await.unwrap(), Accepted::New(..)));
        id
    }

    pub(crate) async fn accept_many(&self, count: usize, kind: Kind, payload: &str) -> Vec<TaskId> {
        futures::future::join_all((0..count).map(|_| self.accept(kind, payload))).await
    }

    pub(crate) fn work(&self, registry: Handlers, settings: settings::Worker) -> Working {
        self.work_on(self.engine(), registry, settings)
    }

    pub(crate) fn work_on(&self, engine: Arc<dyn Work>, registry: Handlers, settings: settings::Worker) -> Working {
        Working::start(Worker::new(engine, registry, settings, WorkerId::new(), "here"))
    }

    pub(crate) async fn task(&self, id: TaskId) -> Task {
        self.store.engine.get(id).await.unwrap().unwrap()
    }

    /// Waits until the task is final.
    pub(crate) async fn ended(&self, id: TaskId) -> Task {
        self.until(id, |task| task.status.is_final()).await
    }

    pub(crate) async fn all_ended(&self, ids: &[TaskId]) -> Vec<Task> {
        let mut ended = Vec::new();
        for id in ids {
            ended.push(self.ended(*id).await);
        }
        ended
    }

    pub(crate) async fn until(&self, id: TaskId, is_so: impl Fn(&Task) -> bool) -> Task {
        let wakeups = self.store.engine.wakeups(&EventFilter { tasks: vec![id], ..EventFilter::default() });
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let task = self.task(id).await;
                if is_so(&task) {
                    return task;
                }
                // What is not announced (a hand-back) is found by looking again.
                let _ = tokio::time::timeout(Duration::from_millis(50), wakeups.signal()).await;
            }
        });
        match found.await {
            Ok(task) => task,
            Err(_) => panic!("still waiting for {:?}", self.task(id).await),
        }
    }
}

impl Working {
    pub(crate) fn start(worker: Worker) -> Self {
        let stop = CancellationToken::new();
        Self { ended: Some(tokio::spawn(worker.run(stop.clone()))), stop }
    }

    /// Tells it to stop.
    pub(crate) fn tell(&self) {
        self.stop.cancel();
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> Stopped {
        self.stop.cancel();
        let ended = self.ended.take().unwrap();
        tokio::time::timeout(PATIENCE, ended).await.expect("a stop ends").unwrap()
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Polls until something holds.
pub(crate) async fn holds(what: &str, is_so: impl Fn() -> bool) {
    let polled = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(polled.await.is_ok(), "never: {what}");
}
