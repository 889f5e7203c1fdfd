//! Following the log of events for one reader: nothing durable is missed or told twice (P6), and what is not durable
//! (`running`) is told while it is news.
//!
//! Everything durable is read from the log by cursor; wake-ups only say when to look. A transient state rides along
//! with the wake-up. It was announced after the event that its task was queued with, and before the one that ended the
//! attempt, so two rules keep the order without remembering tasks:
//!
//! - A transient state is told only after a read that began later than it was heard and that reached the end of the
//!   log: by then the event before it has been told.
//! - After each read all transient states that wait are taken in, and those whose task that read has shown at the same
//!   attempt or beyond are dropped: the event that ends an attempt finds its `running` waiting, and removes it.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use card_core::engine::{Engine, EngineError, EventFilter, EventSeq, Signal, Subscription, TaskEvent};
use card_core::ids::TaskId;
use card_core::tasks::Task;
use tokio::time::timeout;

/// Transient states kept for a reader; the oldest go first, as they are the least news.
const PENDING: usize = 256;

/// One thing to tell.
#[derive(Debug)]
pub(crate) enum Told {
    /// A change, durable if it has a `seq`.
    State(TaskEvent),
    /// What was asked for is gone; everything from here on is told.
    Reset(EventSeq),
}

/// A reader's place in the log and its wake-ups.
pub(crate) struct Follower {
    engine: Arc<dyn Engine>,
    /// What the reader means.
    filter: EventFilter,
    /// What the engine is asked for: one condition, so that a page that is not full means that there is no more.
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
}

impl Follower {
    /// Subscribes first; `cursor` is set by [`Follower::start_at`] or [`Follower::start_now`] before the first read.
    pub(crate) fn subscribe(engine: Arc<dyn Engine>, filter: EventFilter) -> Self {
        let asked = narrowest(&filter);
        let wakeups = engine.wakeups(&asked);
        Self { engine, filter, asked, wakeups, cursor: 0, behind: false, nudged: true, pending: Vec::new() }
    }

    /// Begins right after an event.
    pub(crate) fn start_at(&mut self, cursor: EventSeq) {
        self.cursor = cursor;
    }

    /// Begins after all that happened so far.
    pub(crate) async fn start_now(&mut self) -> Result<(), EngineError> {
        self.cursor = self.engine.last_event().await?;
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
        let page = match self.engine.events_after(&self.asked, self.cursor, limit).await {
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
        let seen: HashMap<TaskId, u32> = page.events.iter().map(|event| (event.task.id, event.task.attempts)).collect();
        let is_news = |task: &Arc<Task>| seen.get(&task.id).is_none_or(|attempts| task.attempts > *attempts);
        self.pending.retain(is_news);
        let heard_before = heard_before.into_iter().filter(is_news);

        let mut told = Vec::with_capacity(page.events.len() + usize::from(page.reset));
        if page.reset {
            told.push(Told::Reset(page.events.first().and_then(|event| event.seq).map_or(page.cursor, |seq| seq - 1)));
        }
        let meant = page.events.into_iter().filter(|event| lets_through(&self.filter, &event.task));
        told.extend(meant.map(Told::State));
        if self.behind {
            self.pending.splice(0..0, heard_before);
        } else {
            told.extend(heard_before.map(|task| Told::State(TaskEvent { seq: None, task: Task::clone(&task) })));
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
