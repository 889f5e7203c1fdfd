//! What the delivery remembers, and the small steps that keep it consistent.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::time::Instant as Clock;

use serde_json::value::RawValue;

use super::super::rows::Identity;
use super::READY_LOW;
use crate::engine::ClaimRequest;
use crate::ids::WorkerId;
use crate::tasks::Kind;
use crate::time::Instant;

/// What a claim needs of a task, so that it reads nothing.
#[derive(Debug, Clone)]
pub(in super::super) struct Ready {
    pub(in super::super) identity: Identity,
    pub(in super::super) payload: Box<RawValue>,
    pub(in super::super) attempts: u32,
    pub(in super::super) due_at: Instant,
}

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

/// The ready tasks of one kind.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) ready: VecDeque<Ready>,
    /// Rings that found no room. Anything above what the last complete sweep saw means: there is more in the ledger.
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
    /// Every kind that the ledger knows has one.
    pub(super) queues: HashMap<Kind, Queue>,
    /// Tasks in a queue or `held`, by row.
    pub(super) known: HashSet<i64>,
    /// Tasks in a queue that became final meanwhile: skipped when their turn comes.
    pub(super) obsolete: HashSet<i64>,
    pub(super) held: HashMap<i64, Held>,
    pub(super) later: BinaryHeap<Reverse<(Instant, i64)>>,
    pub(super) workers: HashMap<WorkerId, Seen>,
    pub(super) next_token: u64,
    pub(super) paused: bool,
    pub(super) closed: bool,
}

impl State {
    /// Adds a task, unless it is there already: the sweep may have found it before its ring came.
    pub(super) fn push(&mut self, ready: Ready) {
        if self.known.insert(ready.identity.seq) {
            self.queue(ready.identity.kind.kind).ready.push_back(ready);
        }
    }

    pub(super) fn queue(&mut self, kind: Kind) -> &mut Queue {
        self.queues.entry(kind).or_default()
    }

    /// There may be more in the ledger, of any kind.
    pub(super) fn suspect(&mut self) {
        for queue in self.queues.values_mut() {
            queue.missed += 1;
        }
    }

    fn pop(&mut self, kinds: &[(Kind, usize)]) -> Option<(usize, Ready)> {
        let oldest = kinds
            .iter()
            .enumerate()
            .filter(|(_, (_, left))| *left > 0)
            .filter_map(|(at, (kind, _))| {
                let ready = self.queues.get(kind)?.ready.front()?;
                Some((ready.due_at, *kind, at))
            })
            .min()?;
        let ready = self.queues.get_mut(&oldest.1)?.ready.pop_front()?;
        Some((oldest.2, ready))
    }

    /// The oldest task of some kinds, each with how many of it there may be yet.
    pub(super) fn pop_live(&mut self, kinds: &mut [(Kind, usize)]) -> Option<Ready> {
        loop {
            let (at, ready) = self.pop(kinds)?;
            if !self.obsolete.remove(&ready.identity.seq) {
                kinds[at].1 -= 1;
                return Some(ready);
            }
            self.known.remove(&ready.identity.seq);
        }
    }

    pub(super) fn release(&mut self, row: i64) {
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
