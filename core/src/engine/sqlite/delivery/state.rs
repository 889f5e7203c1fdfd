//! What the delivery remembers, and the small steps that keep it consistent.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Instant as Clock;

use super::{LATER_LIMIT, LOOK_AHEAD, READY_LOW};
use crate::engine::ClaimRequest;
pub(in super::super) use crate::engine::identity::Ready;
use crate::ids::WorkerId;
use crate::tasks::{Kind, Priority};
use crate::time::Instant;

#[derive(Debug)]
pub(super) struct Held {
    pub(super) token: u64,
    pub(super) worker: WorkerId,
    pub(super) expires: Clock,
    pub(super) attempt: u32,
    pub(super) started_at: Instant,
}

#[derive(Debug)]
pub(super) struct Seen {
    pub(super) host: String,
    pub(super) at: Instant,
    pub(super) clock: Clock,
    pub(super) inflight: u64,
}

/// Why a task is due later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Later {
    /// An attempt ended, or could not be made.
    Retry,
    /// It was asked for.
    Scheduled,
}

/// A task that falls due later.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Postponed {
    pub(in super::super) row: i64,
    pub(in super::super) due: Instant,
    pub(in super::super) kind: Kind,
    pub(in super::super) why: Later,
}

/// What falls due later: the next of it, and how much there is.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    next: BTreeSet<(Instant, i64)>,
    rows: HashMap<i64, Postponed>,
    /// How many of each are here ...
    here: BTreeMap<(Kind, Later), u64>,
    /// ... and how many in the ledger alone, about.
    beyond: BTreeMap<(Kind, Later), u64>,
    /// All that is due before is here; none if that is all.
    horizon: Option<Instant>,
    looked: Option<Clock>,
    /// While the ledger is read: what was let go of meanwhile.
    gone: Option<HashSet<i64>>,
}

impl Agenda {
    /// Nothing is known: the ledger is to be read.
    #[cfg(test)]
    pub(super) fn unread() -> Self {
        Self { horizon: Some(Instant::from_micros(0)), ..Self::default() }
    }

    pub(super) fn add(&mut self, postponed: Postponed) {
        self.forget(postponed.row);
        if self.horizon.is_some_and(|horizon| postponed.due >= horizon) {
            *self.beyond.entry((postponed.kind, postponed.why)).or_default() += 1;
            return;
        }
        self.next.insert((postponed.due, postponed.row));
        self.rows.insert(postponed.row, postponed);
        *self.here.entry((postponed.kind, postponed.why)).or_default() += 1;
        if self.next.len() > LATER_LIMIT
            && let Some((due, row)) = self.next.last().copied()
            && let Some(last) = self.forget(row)
        {
            self.horizon = Some(due);
            *self.beyond.entry((last.kind, last.why)).or_default() += 1;
        }
    }

    pub(super) fn remove(&mut self, row: i64) {
        self.forget(row);
        if let Some(gone) = &mut self.gone {
            gone.insert(row);
        }
    }

    fn forget(&mut self, row: i64) -> Option<Postponed> {
        // As it is nearly always, and each task that ends asks.
        if self.rows.is_empty() {
            return None;
        }
        let known = self.rows.remove(&row)?;
        self.next.remove(&(known.due, row));
        if let Some(count) = self.here.get_mut(&(known.kind, known.why)) {
            *count = count.saturating_sub(1);
        }
        Some(known)
    }

    /// Drops what is due by now; whether there was any.
    pub(super) fn pass(&mut self, now: Instant) -> bool {
        let mut passed = false;
        while let Some((due, row)) = self.next.first().copied()
            && due <= now
        {
            self.forget(row);
            passed = true;
        }
        passed
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.next.first().map(|(due, _)| *due)
    }

    /// Whether it is time to read from the ledger what falls due next.
    pub(super) fn wants_more(&self, now: Clock) -> bool {
        let stale = self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK_AHEAD);
        self.horizon.is_some() && (self.next.is_empty() || stale)
    }

    /// The ledger is about to be read: what comes meanwhile is kept here.
    pub(super) fn begin_look(&mut self) {
        (self.horizon, self.gone) = (None, Some(HashSet::new()));
        self.beyond.clear();
    }

    /// What the ledger has; nothing, if it could not be read: then all that is here is all that is known.
    pub(super) fn end_look(&mut self, ahead: Ahead, now: Clock) {
        let gone = self.gone.take().unwrap_or_default();
        for postponed in ahead.next {
            if !gone.contains(&postponed.row) && !self.rows.contains_key(&postponed.row) {
                self.add(postponed);
            }
        }
        self.horizon = [self.horizon, ahead.horizon].into_iter().flatten().min();
        for (of, count) in ahead.beyond {
            *self.beyond.entry(of).or_default() += count;
        }
        self.looked = Some(now);
    }

    /// How many there are, by kind and why.
    pub(super) fn counts(&self) -> BTreeMap<(Kind, Later), u64> {
        let mut counts = self.here.clone();
        for (of, count) in &self.beyond {
            *counts.entry(*of).or_default() += count;
        }
        counts
    }
}

/// What a look into the ledger found of what falls due later.
#[derive(Debug, Default)]
pub(in super::super) struct Ahead {
    /// The next of it.
    pub(in super::super) next: Vec<Postponed>,
    /// There is more, due from then on.
    pub(in super::super) horizon: Option<Instant>,
    /// How much more.
    pub(in super::super) beyond: BTreeMap<(Kind, Later), u64>,
}

/// The ready tasks of one kind and priority.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) ready: VecDeque<Ready>,
    /// Offers that found no room. Anything above what the last complete sweep saw means: there is more in the ledger.
    pub(super) missed: u64,
    pub(super) swept: u64,
}

impl Queue {
    pub(super) fn is_behind(&self) -> bool {
        self.missed > self.swept
    }

    pub(super) fn wants_more(&self) -> bool {
        self.is_behind() && self.ready.len() < READY_LOW
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Every kind that the ledger knows has one for each priority.
    pub(super) queues: BTreeMap<(Kind, Priority), Queue>,
    /// Tasks in a queue or `held`, by row.
    pub(super) known: HashSet<i64>,
    /// Tasks in a queue that became final meanwhile: skipped when their turn comes.
    pub(super) obsolete: HashSet<i64>,
    pub(super) held: HashMap<i64, Held>,
    pub(super) later: Agenda,
    pub(super) workers: HashMap<WorkerId, Seen>,
    pub(super) next_token: u64,
    /// Counts what was handed out, for the priorities' shares.
    pub(super) turn: usize,
    pub(super) paused: bool,
    pub(super) closed: bool,
}

impl State {
    /// Adds a task, unless it is there already: the sweep may have found it before its offer came.
    pub(super) fn push(&mut self, ready: Ready) {
        if self.known.insert(ready.identity.seq) {
            self.queue((ready.identity.kind.kind, ready.identity.priority)).ready.push_back(ready);
        }
    }

    pub(super) fn queue(&mut self, of: (Kind, Priority)) -> &mut Queue {
        self.queues.entry(of).or_default()
    }

    /// There may be more in the ledger, of any kind.
    pub(super) fn suspect(&mut self) {
        for queue in self.queues.values_mut() {
            queue.missed += 1;
        }
    }

    fn pop(&mut self, kinds: &[(Kind, usize)]) -> Option<(usize, Ready)> {
        let oldest = |priority| {
            let wanted = kinds.iter().enumerate().filter(|(_, (_, left))| *left > 0);
            wanted
                .filter_map(|(at, (kind, _))| {
                    let ready = self.queues.get(&(*kind, priority))?.ready.front()?;
                    Some((ready.due_at, (*kind, priority), at))
                })
                .min()
        };
        let (_, of, at) = Priority::order(self.turn).into_iter().find_map(oldest)?;
        let ready = self.queues.get_mut(&of)?.ready.pop_front()?;
        Some((at, ready))
    }

    /// The oldest task of some kinds, each with how many of it there may be yet, of the priority whose turn it is.
    pub(super) fn pop_live(&mut self, kinds: &mut [(Kind, usize)]) -> Option<Ready> {
        loop {
            let (at, ready) = self.pop(kinds)?;
            if !self.obsolete.remove(&ready.identity.seq) {
                kinds[at].1 -= 1;
                self.turn = self.turn.wrapping_add(1);
                return Some(ready);
            }
            self.known.remove(&ready.identity.seq);
        }
    }

    pub(super) fn release(&mut self, row: i64) {
        self.later.remove(row);
        if let Some(held) = self.held.remove(&row) {
            self.known.remove(&row);
            if let Some(seen) = self.workers.get_mut(&held.worker) {
                seen.inflight = seen.inflight.saturating_sub(1);
            }
        } else if self.known.contains(&row) {
            self.obsolete.insert(row);
        }
    }

    pub(super) fn see(&mut self, request: &ClaimRequest, at: Instant, clock: Clock) {
        let seen = self.workers.entry(request.worker).or_insert_with(|| Seen {
            host: request.host.clone(),
            at,
            clock,
            inflight: 0,
        });
        (seen.at, seen.clock) = (at, clock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: Kind = Kind::new("add");

    fn at(second: i64) -> Instant {
        Instant::from_micros(second * 1_000_000)
    }

    fn postponed(row: i64) -> Postponed {
        Postponed { row, due: at(row), kind: ADD, why: Later::Scheduled }
    }

    fn count(agenda: &Agenda) -> u64 {
        agenda.counts().values().sum()
    }

    #[test]
    fn what_is_too_much_to_remember_is_counted_and_read_again_when_its_turn_comes() {
        let all = LATER_LIMIT as i64 + 10;
        let mut agenda = Agenda::default();
        // The last first, so that the next ones push out what is far away.
        for row in (1..=all).rev() {
            agenda.add(postponed(row));
        }
        let clock = Clock::now();
        assert_eq!((count(&agenda), agenda.first()), (all as u64, Some(at(1))));
        // More than is remembered is looked at now and then anyway, and once there is nothing left.
        agenda.looked = Some(clock);
        assert!(!agenda.wants_more(clock) && agenda.wants_more(clock + LOOK_AHEAD));
        assert!(agenda.pass(at(LATER_LIMIT as i64)));
        assert_eq!((count(&agenda), agenda.first()), (10, None));
        assert!(agenda.wants_more(clock));

        // While the ledger is read one comes, and one of those that it has goes.
        agenda.begin_look();
        agenda.add(postponed(all + 1));
        agenda.remove(all);
        let next = (LATER_LIMIT as i64 + 1..=all).map(postponed).collect();
        agenda.end_look(Ahead { next, ..Ahead::default() }, clock);
        assert_eq!((count(&agenda), agenda.first()), (10, Some(at(LATER_LIMIT as i64 + 1))));
        assert!(!agenda.wants_more(clock + LOOK_AHEAD), "all of it is here");
        assert!(agenda.pass(at(all)) && agenda.pass(at(all + 1)) && !agenda.pass(at(all + 2)));
        assert_eq!(count(&agenda), 0);
    }

    #[test]
    fn a_ledger_that_can_not_be_read_is_read_again() {
        let mut agenda = Agenda::unread();
        agenda.begin_look();
        let clock = Clock::now();
        agenda.end_look(Ahead { horizon: Some(at(0)), ..Ahead::default() }, clock);
        assert!(agenda.wants_more(clock));
    }
}
