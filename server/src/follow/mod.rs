//! Following the log of events for one reader: nothing durable is missed or told twice (P6), and what is not durable
//! (`running`) is told while it is news.
//!
//! Everything durable is read from the log by cursor; wake-ups only say when to look. A transient state rides along
//! with the wake-up. It was announced after the event that its task was queued with, and before the one that ended the
//! attempt, so two rules keep the order without asking the log again:
//!
//! - A transient state is told only after a read that began later than it was heard and that reached the end of the
//!   log: by then the event before it has been told.
//! - After each read all transient states that wait are taken in, and those whose task that read has shown at the same
//!   attempt or beyond are dropped: the event that ends an attempt finds its `running` waiting, and removes it.
//!
//! From another process a transient state can come later than that: its message was on its way while the log was read,
//! or a worker was handed a task that had ended. So the latest tasks that were told are remembered, a few hundred.
//! Beyond these a late `running` is told; its attempt says that it is old.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use card_core::engine::{EngineError, EventFilter, EventSeq, Log, Signal, Subscription, TaskEvent};
use card_core::ids::TaskId;
use card_core::tasks::Task;
use tokio::time::timeout;

/// Transient states kept for a reader; the oldest go first, as they are the least news.
const PENDING: usize = 256;

/// Tasks remembered, and as many again.
const REMEMBERED: usize = 128;

/// One thing to tell.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them are changes: a box would be one more allocation for each"
)]
pub(crate) enum Told {
    /// A change, durable if it has a `seq`.
    State(TaskEvent),
    /// What was asked for is gone; everything from here on is told.
    Reset(EventSeq),
}

/// A reader's place in the log and its wake-ups.
pub(crate) struct Follower {
    log: Arc<dyn Log>,
    /// What the reader means.
    filter: EventFilter,
    /// What the log is asked for: one condition, so that a page that is not full means that there is no more.
    /// The others are checked here.
    asked: EventFilter,
    wakeups: Subscription,
    cursor: EventSeq,
    /// The last read filled its page: there is more.
    behind: bool,
    /// Something durable may have happened since the last read began.
    nudged: bool,
    /// Heard before the next read begins.
    pending: Vec<Arc<Task>>,
    shown: Shown,
}

/// The latest attempts that the log has shown. Two generations: when the newer is full, the older goes.
#[derive(Default)]
struct Shown {
    newer: HashMap<TaskId, u32>,
    older: HashMap<TaskId, u32>,
}

impl Shown {
    fn take_in(&mut self, events: &[TaskEvent]) {
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
        }
        // However long a page is, all of it counts for the states that wait.
        self.newer.extend(events.iter().map(|event| (event.task.id, event.task.attempts)));
    }

    /// Whether an attempt is beyond what the log has shown of its task.
    fn is_news(&self, task: &Task) -> bool {
        let shown = self.newer.get(&task.id).or_else(|| self.older.get(&task.id));
        shown.is_none_or(|attempts| task.attempts > *attempts)
    }
}

impl Follower {
    /// Subscribes first; `cursor` is set by [`Follower::start_at`] or [`Follower::start_now`] before the first read.
    pub(crate) fn subscribe(log: Arc<dyn Log>, filter: EventFilter) -> Self {
        let asked = narrowest(&filter);
        let wakeups = log.wakeups(&asked);
        Self {
            log,
            filter,
            asked,
            wakeups,
            cursor: 0,
            behind: false,
            nudged: true,
            pending: Vec::new(),
            shown: Shown::default(),
        }
    }

    /// Begins right after an event.
    pub(crate) fn start_at(&mut self, cursor: EventSeq) {
        self.cursor = cursor;
    }

    /// Begins after all that happened so far.
    pub(crate) async fn start_now(&mut self) -> Result<(), EngineError> {
        self.cursor = self.log.last_event().await?;
        Ok(())
    }

    /// Everything up to here has been told.
    pub(crate) fn cursor(&self) -> EventSeq {
        self.cursor
    }

    /// Whether the last read reached the end of the log.
    pub(crate) fn caught_up(&self) -> bool {
        !self.behind
    }

    /// Waits for something to look at, at most so long. Returns at once while behind.
    pub(crate) async fn wait(&mut self, at_most: Duration) {
        if self.behind || self.nudged || !self.pending.is_empty() {
            return;
        }
        match timeout(at_most, self.wakeups.signal()).await {
            Ok(signal) => self.take(signal),
            // Wake-ups may be lost: look all the same.
            Err(_) => self.nudged = true,
        }
    }

    /// Reads on, at most so many events, and says what to tell, in order.
    pub(crate) async fn read(&mut self, limit: usize) -> Result<Vec<Told>, EngineError> {
        self.hear();
        self.nudged = false;
        let heard_before = std::mem::take(&mut self.pending);
        let page = match self.log.events_after(&self.asked, self.cursor, limit).await {
            Ok(page) => page,
            Err(error) => {
                self.pending = heard_before;
                self.nudged = true;
                return Err(error);
            }
        };
        self.cursor = page.cursor;
        self.behind = page.events.len() >= limit;
        // Now: what the events just read have made obsolete waits at the latest by now.
        self.hear();
        self.shown.take_in(&page.events);
        self.pending.retain(|task| self.shown.is_news(task));
        let heard_before: Vec<_> = heard_before.into_iter().filter(|task| self.shown.is_news(task)).collect();

        let mut told = Vec::with_capacity(page.events.len() + usize::from(page.reset));
        if page.reset {
            told.push(Told::Reset(page.events.first().and_then(|event| event.seq).map_or(page.cursor, |seq| seq - 1)));
        }
        let meant = page.events.into_iter().filter(|event| lets_through(&self.filter, &event.task));
        told.extend(meant.map(Told::State));
        if self.behind {
            self.pending.splice(0..0, heard_before);
        } else {
            told.extend(
                heard_before.into_iter().map(|task| Told::State(TaskEvent { seq: None, task: Task::clone(&task) })),
            );
        }
        let over = self.pending.len().saturating_sub(PENDING);
        self.pending.drain(..over);
        Ok(told)
    }

    fn hear(&mut self) {
        while let Some(signal) = self.wakeups.try_signal() {
            self.take(signal);
        }
    }

    fn take(&mut self, signal: Signal) {
        match signal {
            Signal::Durable => self.nudged = true,
            // A wake-up may be for more than was asked.
            Signal::Transient(task) if lets_through(&self.filter, &task) => self.pending.push(task),
            Signal::Transient(_) => {}
        }
    }
}

fn narrowest(filter: &EventFilter) -> EventFilter {
    if !filter.tasks.is_empty() {
        EventFilter { tasks: filter.tasks.clone(), ..EventFilter::default() }
    } else if filter.owner.is_some() {
        EventFilter { owner: filter.owner, ..EventFilter::default() }
    } else {
        EventFilter { run: filter.run.clone(), ..EventFilter::default() }
    }
}

fn lets_through(filter: &EventFilter, task: &Task) -> bool {
    filter.run.as_ref().is_none_or(|run| task.run.as_ref() == Some(run))
        && filter.owner.is_none_or(|owner| task.owner == Some(owner))
        && (filter.tasks.is_empty() || filter.tasks.contains(&task.id))
}
