//! Who saw what become final: one event stream for any number of waiting senders.
//!
//! The stream is open before the first order is sent, so no change can be missed; a final state that arrives before
//! the answer to its order is kept until somebody asks for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use card_core::engine::EventSeq;
use card_core::ids::{RunId, TaskId};
use card_core::tasks::{Status, Task};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::events::{Events, Follower, Notice, Scissors, Scope, StreamLost};
use crate::{Client, TaskQuery};

/// A task's end, as the stream told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Final {
    /// How it ended.
    pub status: Status,
    /// The event's place in the log; none if the end was not told but read as the present state.
    pub sequence: Option<EventSeq>,
    /// When this process heard of it.
    pub at: Instant,
    /// Accepted until the last attempt began, by the platform's clock; zero if no attempt did.
    pub queue_wait: Duration,
    /// From there to the end, by the platform's clock.
    pub work: Duration,
}

impl Final {
    fn of(task: &Task, sequence: Option<EventSeq>) -> Self {
        let queue_wait = task.started_at.map_or(Duration::ZERO, |started| started.since(task.accepted_at));
        let work =
            task.started_at.zip(task.settled_at).map_or(Duration::ZERO, |(started, settled)| settled.since(started));
        Self { status: task.status, sequence, at: Instant::now(), queue_wait, work }
    }
}

type Hear = Box<dyn FnOnce(&Final) + Send>;

enum Slot {
    Final {
        end: Final,
        /// By the stream, and not only read as the present state.
        told: bool,
        /// Whoever waited for it knows.
        heard: bool,
    },
    Awaited(Hear),
}

#[derive(Default)]
struct Shared {
    slots: Mutex<HashMap<TaskId, Slot>>,
    finals: AtomicU64,
    last_end: Mutex<Option<Instant>>,
    repeated: Mutex<HashMap<TaskId, u32>>,
    gaps: AtomicU64,
    reconnects: AtomicU64,
    cursor: AtomicU64,
    lost: OnceLock<StreamLost>,
    changed: Notify,
}

/// The one follower of a run's events. Dropping it ends the stream.
pub struct Observer {
    shared: Arc<Shared>,
    scissors: Scissors,
    _stop: DropGuard,
}

impl Observer {
    /// Follows a run from now on. `seen` hears of every state and its place in the log, on the follower's own task: it
    /// must not block.
    ///
    /// # Errors
    /// The stream can't be opened within `patience`.
    pub async fn start(
        client: &Client,
        run: &RunId,
        patience: Duration,
        seen: impl FnMut(&Task, Option<EventSeq>) + Send + 'static,
    ) -> Result<Self, StreamLost> {
        Self::follow(client, run, Scope::Run(run.clone()), patience, seen).await
    }

    /// Follows the final states of a run from now on, and no others: a third of the work for both sides.
    ///
    /// # Errors
    /// The stream can't be opened within `patience`.
    pub async fn of_ends(client: &Client, run: &RunId, patience: Duration) -> Result<Self, StreamLost> {
        Self::follow(client, run, Scope::Ends(run.clone()), patience, |_, _| {}).await
    }

    async fn follow(
        client: &Client,
        run: &RunId,
        scope: Scope,
        patience: Duration,
        seen: impl FnMut(&Task, Option<EventSeq>) + Send + 'static,
    ) -> Result<Self, StreamLost> {
        // From now on: no task of interest exists yet, and a run that is joined may have a long past.
        let events = Events::open(client, scope, Follower::Operator, None, patience).await?;
        let shared = Arc::new(Shared::default());
        let stop = CancellationToken::new();
        let scissors = events.scissors();
        let follow = follow(events, client.clone(), run.clone(), Arc::clone(&shared), seen);
        tokio::spawn(stop.clone().run_until_cancelled_owned(follow));
        Ok(Self { shared, scissors, _stop: stop.drop_guard() })
    }

    /// Has `hear` called at the end of a task: at once if that is known, else on the follower's own task: it must not
    /// block. One a task; a later one takes the place of an earlier one.
    pub fn when_final(&self, task: TaskId, hear: impl FnOnce(&Final) + Send + 'static) {
        let known = {
            let mut slots = self.shared.slots();
            match slots.entry(task) {
                Entry::Occupied(mut entry) => match entry.get() {
                    Slot::Final { end, .. } => *end,
                    Slot::Awaited(_) => {
                        entry.insert(Slot::Awaited(Box::new(hear)));
                        return;
                    }
                },
                Entry::Vacant(entry) => {
                    entry.insert(Slot::Awaited(Box::new(hear)));
                    return;
                }
            }
        };
        hear(&known);
    }

    /// Waits for the end of a task; none when the stream is lost for good. May be asked for once per task.
    pub async fn final_of(&self, task: TaskId) -> Option<Final> {
        let (sender, receiver) = oneshot::channel();
        self.when_final(task, move |end| {
            // Who waited may have stopped waiting.
            let _ = sender.send(*end);
        });
        tokio::select! {
            end = receiver => end.ok(),
            () = self.until(|shared| shared.lost.get().is_some()) => None,
        }
    }

    /// Waits until every one of `tasks` is final, the stream is lost, or `bound` is over; returns how many are final.
    pub async fn drained(&self, tasks: &[TaskId], bound: Duration) -> usize {
        let mut pending: Vec<TaskId> = tasks.to_vec();
        let drained = async {
            loop {
                let seen = self.final_count();
                {
                    let slots = self.shared.slots();
                    pending.retain(|task| !matches!(slots.get(task), Some(Slot::Final { heard: true, .. })));
                }
                if pending.is_empty() || self.shared.lost.get().is_some() {
                    return;
                }
                // A look costs a pass over what is pending, and can't find it empty before so many more have ended.
                let enough = seen + pending.len() as u64;
                self.until(|shared| shared.finals.load(Ordering::Relaxed) >= enough || shared.lost.get().is_some())
                    .await;
            }
        };
        let _ = tokio::time::timeout(bound, drained).await;
        tasks.len() - pending.len()
    }

    /// When each task became final, as far as the stream told.
    #[must_use]
    pub fn finals(&self) -> HashMap<TaskId, Final> {
        let slots = self.shared.slots();
        let finals = slots.iter().filter_map(|(task, slot)| match slot {
            Slot::Final { end, .. } => Some((*task, *end)),
            Slot::Awaited(_) => None,
        });
        finals.collect()
    }

    /// How a task ended, as far as the stream told.
    #[must_use]
    pub fn status_of(&self, task: TaskId) -> Option<Status> {
        match self.shared.slots().get(&task) {
            Some(Slot::Final { end, .. }) => Some(end.status),
            _ => None,
        }
    }

    /// When the stream last told of an end.
    #[must_use]
    pub fn last_end(&self) -> Option<Instant> {
        *self.shared.last_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often more than once the stream told of the end of a task that can end only once.
    #[must_use]
    pub fn repeated(&self) -> HashMap<TaskId, u32> {
        self.shared.repeated.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many ends the stream told of.
    #[must_use]
    pub fn final_count(&self) -> u64 {
        self.shared.finals.load(Ordering::Relaxed)
    }

    /// How often the past was gone. After each, the present state was read instead.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.shared.gaps.load(Ordering::Relaxed)
    }

    /// How often the connection was lost and came back.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.shared.reconnects.load(Ordering::Relaxed)
    }

    /// The last durable event that was seen: where another follower can go on.
    #[must_use]
    pub fn cursor(&self) -> EventSeq {
        self.shared.cursor.load(Ordering::Relaxed)
    }

    /// Why the stream is lost for good, if it is.
    #[must_use]
    pub fn lost(&self) -> Option<StreamLost> {
        self.shared.lost.get().cloned()
    }

    /// What cuts the stream's connection on purpose.
    #[must_use]
    pub fn scissors(&self) -> Scissors {
        self.scissors.clone()
    }

    async fn until(&self, condition: impl Fn(&Shared) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if condition(&self.shared) {
                return;
            }
            changed.await;
        }
    }
}

impl Shared {
    // Nothing that runs under this lock can panic half-way through a change.
    fn slots(&self) -> MutexGuard<'_, HashMap<TaskId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// With its place in the log; a look at the present state has none.
    fn take(&self, task: &Task, sequence: Option<EventSeq>) {
        if !task.status.is_final() {
            return;
        }
        let (end, told) = (Final::of(task, sequence), sequence.is_some());
        *self.last_end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end.at);
        let mut slots = self.slots();
        // What was read after a gap is told once more: the stream goes on from before the reading.
        let was_told = matches!(slots.get(&task.id), Some(Slot::Final { told: true, .. }));
        let awaited = matches!(slots.get(&task.id), Some(Slot::Awaited(_)));
        let before = slots.insert(task.id, Slot::Final { end, told: told || was_told, heard: !awaited });
        drop(slots);
        match before {
            // A dead task that was retried ends again: the later end counts. The other ends are for good.
            Some(Slot::Final { end: before, .. }) => {
                if told && was_told && before.status != Status::Dead {
                    let mut repeated = self.repeated.lock().unwrap_or_else(PoisonError::into_inner);
                    *repeated.entry(task.id).or_insert(0) += 1;
                }
                return;
            }
            Some(Slot::Awaited(hear)) => {
                hear(&end);
                // Only now: who waits for all ends reads next what was measured of them.
                if let Some(Slot::Final { heard, .. }) = self.slots().get_mut(&task.id) {
                    *heard = true;
                }
            }
            None => {}
        }
        self.finals.fetch_add(1, Ordering::Relaxed);
    }
}

async fn follow(
    mut events: Events,
    client: Client,
    run: RunId,
    shared: Arc<Shared>,
    mut seen: impl FnMut(&Task, Option<EventSeq>) + Send,
) {
    loop {
        match events.next().await {
            Ok(Notice::State { task, seq }) => {
                if let Some(seq) = seq {
                    shared.cursor.store(seq, Ordering::Relaxed);
                }
                shared.take(&task, seq);
                seen(&task, seq);
            }
            Ok(Notice::Reconnected) => drop(shared.reconnects.fetch_add(1, Ordering::Relaxed)),
            Ok(Notice::Gap) => {
                shared.gaps.fetch_add(1, Ordering::Relaxed);
                for task in present(&client, &run).await {
                    shared.take(&task, None);
                    seen(&task, None);
                }
            }
            Err(lost) => {
                let _ = shared.lost.set(lost);
                shared.changed.notify_waiters();
                return;
            }
        }
        shared.changed.notify_waiters();
    }
}

/// The present state of a run's tasks. What can't be read now is found by the audit.
async fn present(client: &Client, run: &RunId) -> Vec<Task> {
    let query = TaskQuery { run: Some(run.clone()), limit: Some(1000), ..TaskQuery::default() };
    let mut tasks = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        match client.tasks(&query, cursor.as_deref()).await {
            Ok(page) => {
                tasks.extend(page.items);
                cursor = page.next;
                if cursor.is_none() {
                    return tasks;
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "the present state after a gap can't be read");
                return tasks;
            }
        }
    }
}
