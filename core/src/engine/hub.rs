//! Wake-ups inside one process: who wants to hear of which tasks, and a nudge when something happened.
//!
//! A nudge for a durable event carries nothing: the subscriber reads the log, so a nudge that is lost or
//! coalesced only delays. What is not durable (`running`) can't be read anywhere and rides along, bounded;
//! when a subscriber is too slow for that, the oldest are dropped.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::EventFilter;
use crate::ids::{RunId, TaskId, UserId};
use crate::tasks::Task;

/// What a subscriber hears.
#[derive(Debug, Clone)]
pub enum Signal {
    /// Something durable happened: read the log.
    Durable,
    /// A state that is not in the log.
    Transient(Arc<Task>),
}

const TRANSIENT_LIMIT: usize = 256;
const SHARDS: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Topic {
    Everything,
    Run(RunId),
    Task(TaskId),
    Owner(UserId),
}

#[derive(Debug, Default)]
struct Inbox {
    durable: AtomicBool,
    transient: Mutex<VecDeque<Arc<Task>>>,
    wake_up: Notify,
}

type Topics = HashMap<Topic, Vec<Arc<Inbox>>>;

/// The registry of subscribers.
#[derive(Debug)]
pub struct Hub {
    shards: Vec<Mutex<Topics>>,
    hasher: RandomState,
    subscriptions: AtomicUsize,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            subscriptions: AtomicUsize::new(0),
        }
    }
}

/// The few facts of a change that decide who hears of it.
#[derive(Debug, Clone)]
pub struct Change {
    pub task: TaskId,
    pub run: Option<RunId>,
    pub owner: Option<UserId>,
}

impl Hub {
    /// Whether anybody listens: lets a busy engine skip the work.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.subscriptions.load(Ordering::Acquire) == 0
    }

    /// Registers a subscriber for what the filter can let through. It may hear of more than the filter means.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, filter: &EventFilter) -> Subscription {
        let topics = if !filter.tasks.is_empty() {
            filter.tasks.iter().copied().map(Topic::Task).collect()
        } else if let Some(run) = &filter.run {
            vec![Topic::Run(run.clone())]
        } else if let Some(owner) = filter.owner {
            vec![Topic::Owner(owner)]
        } else {
            vec![Topic::Everything]
        };
        let inbox = Arc::new(Inbox::default());
        for topic in &topics {
            self.shard(topic).entry(topic.clone()).or_default().push(Arc::clone(&inbox));
        }
        self.subscriptions.fetch_add(1, Ordering::AcqRel);
        Subscription { hub: Arc::clone(self), topics, inbox }
    }

    /// Nudges everybody who may want to hear of a durable change.
    pub fn announce(&self, change: &Change) {
        self.each(change, |inbox| {
            // One nudge is as good as many until the subscriber has looked.
            if !inbox.durable.swap(true, Ordering::AcqRel) {
                inbox.wake_up.notify_one();
            }
        });
    }

    /// Hands a state that is not durable to everybody who may want it.
    pub fn announce_transient(&self, task: &Arc<Task>) {
        let change = Change { task: task.id, run: task.run.clone(), owner: task.owner };
        self.each(&change, |inbox| {
            let mut waiting = lock(&inbox.transient);
            if waiting.len() == TRANSIENT_LIMIT {
                waiting.pop_front();
            }
            waiting.push_back(Arc::clone(task));
            drop(waiting);
            inbox.wake_up.notify_one();
        });
    }

    /// Nudges everybody: something may have happened (a reconnect, the engine closes).
    pub fn announce_all(&self) {
        for shard in &self.shards {
            for inbox in lock(shard).values().flatten() {
                inbox.durable.store(true, Ordering::Release);
                inbox.wake_up.notify_one();
            }
        }
    }

    fn each(&self, change: &Change, nudge: impl Fn(&Inbox)) {
        if self.is_idle() {
            return;
        }
        let topics = [
            Some(Topic::Everything),
            Some(Topic::Task(change.task)),
            change.run.clone().map(Topic::Run),
            change.owner.map(Topic::Owner),
        ];
        for topic in topics.into_iter().flatten() {
            if let Some(inboxes) = self.shard(&topic).get(&topic) {
                inboxes.iter().for_each(|inbox| nudge(inbox));
            }
        }
    }

    fn shard(&self, topic: &Topic) -> MutexGuard<'_, Topics> {
        lock(&self.shards[self.hasher.hash_one(topic) as usize % SHARDS])
    }
}

/// A subscriber's end. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    topics: Vec<Topic>,
    inbox: Arc<Inbox>,
}

impl Subscription {
    /// The next signal; waits for one. Cancel safe.
    pub async fn signal(&self) -> Signal {
        loop {
            let wake_up = self.inbox.wake_up.notified();
            if let Some(signal) = self.try_signal() {
                return signal;
            }
            wake_up.await;
        }
    }

    /// The next signal, if one waits. What is durable comes first: it may make a transient state obsolete.
    #[must_use]
    pub fn try_signal(&self) -> Option<Signal> {
        if self.inbox.durable.swap(false, Ordering::AcqRel) {
            return Some(Signal::Durable);
        }
        lock(&self.inbox.transient).pop_front().map(Signal::Transient)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        for topic in &self.topics {
            let mut shard = self.hub.shard(topic);
            if let Some(inboxes) = shard.get_mut(topic) {
                inboxes.retain(|inbox| !Arc::ptr_eq(inbox, &self.inbox));
                if inboxes.is_empty() {
                    shard.remove(topic);
                }
            }
        }
        self.hub.subscriptions.fetch_sub(1, Ordering::AcqRel);
    }
}

// Nothing that runs under these locks can panic half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(task: TaskId) -> Change {
        Change { task, run: None, owner: None }
    }

    #[tokio::test]
    async fn a_nudge_before_the_wait_is_not_lost() {
        let hub = Arc::new(Hub::default());
        let task = TaskId::new();
        let subscription = hub.subscribe(&EventFilter { tasks: vec![task], ..EventFilter::default() });
        hub.announce(&change(task));
        hub.announce(&change(task));
        assert!(matches!(subscription.signal().await, Signal::Durable));
        assert!(subscription.try_signal().is_none(), "two nudges that nobody looked at are one");
    }

    #[tokio::test]
    async fn a_dropped_subscription_leaves_nothing_behind() {
        let hub = Arc::new(Hub::default());
        let filter = EventFilter { tasks: vec![TaskId::new(), TaskId::new()], ..EventFilter::default() };
        drop(hub.subscribe(&filter));
        assert!(hub.is_idle());
        assert!(hub.shards.iter().all(|shard| lock(shard).is_empty()));
    }

    #[tokio::test]
    async fn others_tasks_do_not_wake_a_subscriber() {
        let hub = Arc::new(Hub::default());
        let subscription = hub.subscribe(&EventFilter { tasks: vec![TaskId::new()], ..EventFilter::default() });
        hub.announce(&change(TaskId::new()));
        assert!(subscription.try_signal().is_none());
    }
}
