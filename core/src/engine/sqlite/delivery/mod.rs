//! The delivery in memory: which tasks are ready, who holds which, and when the next falls due.
//!
//! Bounded, and may forget: what does not fit is found again in the ledger by the sweep, oldest first.

mod state;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Clock};

use tokio::sync::Notify;

pub(super) use self::state::{Ahead, Later, Postponed, Ready};
use self::state::{Held, Queue, State};
use super::rows::Identity;
use crate::engine::{Claim, ClaimRequest, Lease, LeaseRow};
use crate::tasks::{Kind, Priority, WorkerStats};
use crate::time::Instant;

/// Tasks of one kind and priority kept ready in memory; some 400 bytes each. For each apart: a kind that nobody claims (its
/// outside help is down) must not keep the others out.
pub(super) const READY_LIMIT: usize = 16_384;
/// Below this the sweep fetches more, if there are more.
pub(super) const READY_LOW: usize = READY_LIMIT / 4;
/// Tasks whose due time is remembered, the next ones; the others are looked up in the ledger when it is their turn.
pub(super) const LATER_LIMIT: usize = 100_000;
/// Between two looks into the ledger for what falls due next, while there is more of it than is remembered.
const LOOK_AHEAD: Duration = Duration::from_secs(60);
/// A worker not heard of for this long is not counted any more.
const WORKER_FORGOTTEN: Duration = Duration::from_secs(15);

/// What the sweep has to do.
#[derive(Debug)]
pub(super) struct Due {
    /// What to look for in the ledger, each with what it had missed by now.
    pub(super) scan: Vec<((Kind, Priority), u64)>,
    /// Whether to look up in the ledger what falls due next.
    pub(super) look_ahead: bool,
    pub(super) expired: usize,
    pub(super) next_due: Option<Instant>,
    pub(super) held: usize,
}

/// For `stats`.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) running: u64,
    pub(super) later: BTreeMap<(Kind, Later), u64>,
    /// Since when the oldest task that is ready is due.
    pub(super) oldest: BTreeMap<Kind, Instant>,
    pub(super) workers: Vec<WorkerStats>,
}

#[derive(Debug, Default)]
pub(super) struct Delivery {
    state: Mutex<State>,
    /// Notified when a claim may find something.
    pub(super) wake_up: Notify,
    /// Notified when the sweep may have something to do.
    pub(super) sweep: Notify,
}

impl Delivery {
    /// For tasks of some kinds.
    pub(super) fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let of = |kind| Priority::ALL.map(|priority| ((kind, priority), Queue::default()));
        let queues = kinds.into_iter().flat_map(of).collect();
        Self { state: Mutex::new(State { queues, ..State::default() }), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under this lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a task that was just committed.
    pub(super) fn offer(&self, ready: Ready) {
        let mut state = self.lock();
        let queue = state.queue((ready.identity.kind.kind, ready.identity.priority));
        if queue.is_behind() || queue.ready.len() >= READY_LIMIT {
            // Behind others that did not fit: the sweep keeps the order.
            queue.missed += 1;
            return;
        }
        state.push(ready);
        drop(state);
        // All of them: one alone may be a worker that does not take this kind.
        self.wake_up.notify_waiters();
    }

    /// Takes up to `request.max` ready tasks.
    pub(super) fn claim(&self, request: &ClaimRequest) -> Vec<(Claim, Identity)> {
        let now = Instant::now();
        let clock = Clock::now();
        let mut state = self.lock();
        state.see(request, now, clock);
        if state.paused || state.closed {
            return Vec::new();
        }
        let mut claims = Vec::new();
        let mut kinds: Vec<_> = request.kinds.iter().map(|kind| (*kind, request.most(*kind))).collect();
        while claims.len() < request.max {
            let Some(ready) = state.pop_live(&mut kinds) else { break };
            state.next_token += 1;
            let lease = Lease {
                task: ready.identity.id,
                row: LeaseRow(ready.identity.seq),
                token: state.next_token,
                worker: request.worker,
            };
            let attempt = ready.attempts + 1;
            let expires = clock + request.lease;
            state.held.insert(
                lease.row.0,
                Held { token: lease.token, worker: lease.worker, expires, attempt, started_at: now },
            );
            if let Some(seen) = state.workers.get_mut(&request.worker) {
                seen.inflight += 1;
            }
            let identity = ready.identity.clone();
            claims.push((ready.claim(lease, now), identity));
        }
        let low = request
            .kinds
            .iter()
            .any(|kind| Priority::ALL.into_iter().any(|priority| state.queue((*kind, priority)).wants_more()));
        drop(state);
        if low {
            self.sweep.notify_one();
        }
        claims
    }

    /// Renews leases; returns those that are lost.
    pub(super) fn extend(&self, leases: &[Lease], duration: Duration) -> Vec<Lease> {
        let expires = Clock::now() + duration;
        let mut state = self.lock();
        if let Some(lease) = leases.first() {
            let now = Instant::now();
            if let Some(seen) = state.workers.get_mut(&lease.worker) {
                (seen.at, seen.clock) = (now, Clock::now());
            }
        }
        let mut lost = Vec::new();
        for lease in leases {
            match state.held.get_mut(&lease.row.0) {
                Some(held) if held.token == lease.token => held.expires = expires,
                _ => lost.push(*lease),
            }
        }
        lost
    }

    /// Whether another worker holds the task of this lease now.
    pub(super) fn is_taken(&self, lease: &Lease) -> bool {
        self.lock().held.get(&lease.row.0).is_some_and(|held| held.token != lease.token)
    }

    /// Whether the task is another worker's now, or waits to be. A task that the delivery has forgotten is not.
    pub(super) fn is_lost(&self, lease: &Lease) -> bool {
        let state = self.lock();
        state
            .held
            .get(&lease.row.0)
            .map_or_else(|| state.known.contains(&lease.row.0), |held| held.token != lease.token)
    }

    /// The attempt under way, if the task is held.
    pub(super) fn running(&self, row: i64) -> Option<(u32, Instant)> {
        self.lock().held.get(&row).map(|held| (held.attempt, held.started_at))
    }

    /// The attempts under way, by row.
    pub(super) fn all_running(&self) -> HashMap<i64, (u32, Instant)> {
        self.lock().held.iter().map(|(row, held)| (*row, (held.attempt, held.started_at))).collect()
    }

    /// The task is final or gone.
    pub(super) fn release(&self, row: i64) {
        self.lock().release(row);
    }

    /// The task falls due later.
    pub(super) fn postpone(&self, postponed: Postponed) {
        let mut state = self.lock();
        state.release(postponed.row);
        state.later.add(postponed);
        drop(state);
        self.sweep.notify_one();
    }

    /// The ledger is about to be read for what falls due next: [`Delivery::look_ahead`] follows.
    pub(super) fn begin_look_ahead(&self) {
        self.lock().later.begin_look();
    }

    /// Takes in what falls due next.
    pub(super) fn look_ahead(&self, ahead: Ahead) {
        let mut state = self.lock();
        state.later.end_look(ahead, Clock::now());
        // What fell due meanwhile.
        state.suspect();
        drop(state);
        self.sweep.notify_one();
    }

    /// Takes back what workers let expire, and says what the sweep has to do now.
    pub(super) fn due_work(&self, now: Instant) -> Due {
        let clock = Clock::now();
        let mut state = self.lock();
        let expired: Vec<i64> =
            state.held.iter().filter(|(_, held)| held.expires <= clock).map(|(row, _)| *row).collect();
        for row in &expired {
            state.release(*row);
        }
        let due = state.later.pass(now) | !expired.is_empty();
        state.workers.retain(|_, seen| seen.inflight > 0 || clock.duration_since(seen.clock) < WORKER_FORGOTTEN);
        if due {
            state.suspect();
        }
        let scan = state.queues.iter().filter_map(|(of, queue)| queue.wants_more().then_some((*of, queue.missed)));
        let next_due = state.later.first();
        Due {
            scan: scan.collect(),
            look_ahead: state.later.wants_more(clock),
            expired: expired.len(),
            next_due,
            held: state.held.len(),
        }
    }

    /// Rows that are ready or held already.
    pub(super) fn known_rows(&self) -> HashSet<i64> {
        self.lock().known.clone()
    }

    /// Adds what the sweep found of a kind and priority. `complete`: nothing else was due when they had missed `missed`.
    pub(super) fn refill(&self, of: (Kind, Priority), found: Vec<Ready>, complete: bool, missed: u64) {
        let mut state = self.lock();
        let mut complete = complete;
        for ready in found {
            if state.queue(of).ready.len() >= READY_LIMIT {
                complete = false;
                break;
            }
            state.push(ready);
        }
        let queue = state.queue(of);
        if complete {
            queue.swept = queue.swept.max(missed);
        }
        drop(state);
        self.wake_up.notify_waiters();
    }

    /// Makes the next sweep read the ledger.
    pub(super) fn suspect(&self) {
        self.lock().suspect();
        self.sweep.notify_one();
    }

    /// For tests of the sweep: forgets everything, as a restart or a wiped Redis would.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        // The counts go on: a look into the ledger that is under way must not pass for one that begins after this.
        state.queues.values_mut().for_each(|queue| queue.ready.clear());
        state.held.clear();
        state.known.clear();
        state.obsolete.clear();
        state.later = state::Agenda::unread();
        state.suspect();
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.lock().paused = paused;
        self.wake_up.notify_waiters();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake_up.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn figures(&self) -> Figures {
        let state = self.lock();
        let mut oldest = BTreeMap::<Kind, Instant>::new();
        for ((kind, _), queue) in &state.queues {
            if let Some(ready) = queue.ready.front() {
                let due = oldest.entry(*kind).or_insert(ready.due_at);
                *due = ready.due_at.min(*due);
            }
        }
        let mut workers: Vec<WorkerStats> = state
            .workers
            .iter()
            .map(|(id, seen)| WorkerStats {
                id: *id,
                host: seen.host.clone(),
                inflight: seen.inflight,
                last_seen: seen.at,
            })
            .collect();
        workers.sort_by_key(|worker| worker.id);
        Figures { running: state.held.len() as u64, later: state.later.counts(), oldest, workers }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::engine::KnownKind;
    use crate::ids::{TaskId, WorkerId};

    const ADD: Kind = Kind::new("add");
    const KNOWN: KnownKind = KnownKind { code: 1, kind: ADD, has_effect: false };

    fn ready(seq: i64) -> Ready {
        let now = Instant::now();
        let identity = Identity {
            seq,
            id: TaskId::new(),
            kind: KNOWN,
            owner: None,
            run: None,
            accepted_at: now,
            priority: Priority::Normal,
            due_at: None,
        };
        Ready { identity, payload: RawValue::from_string("{}".into()).unwrap(), attempts: 0, due_at: now }
    }

    fn claim(delivery: &Delivery) -> usize {
        let request = ClaimRequest {
            worker: WorkerId::new(),
            host: String::new(),
            kinds: vec![ADD],
            max: 10,
            lease: Duration::from_secs(10),
            wait: Duration::ZERO,
            most: std::collections::BTreeMap::new(),
            enough: None,
        };
        delivery.claim(&request).len()
    }

    #[test]
    fn an_offer_of_what_the_sweep_has_found_adds_nothing() {
        let delivery = Delivery::new([ADD]);
        delivery.refill((ADD, Priority::Normal), vec![ready(1)], true, 0);
        delivery.offer(ready(1));
        assert_eq!(claim(&delivery), 1);
        delivery.offer(ready(1));
        assert_eq!(claim(&delivery), 0, "somebody holds it");
    }
}
