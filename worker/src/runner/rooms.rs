//! How many tasks of each kind may be under way, so that a slow kind leaves room for the others.
//!
//! A kind may have three times as many as are left for all others. Alone it takes three quarters of the permits, which is what
//! the setting is for one kind; the next one three quarters of the rest, and so on. Who has nothing under way gets one as
//! long as there is one. A process that knows one kind gives it all.
//!
//! A step that is over gives its room back before its outcome is on disk: what waits there waits for a commit, which takes
//! as long for many as for one. Four times as many as steps may; then each keeps its room until it is through, so that an
//! engine that takes nothing in bounds what a worker claims.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use card_core::tasks::Kind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// See the module.
#[derive(Debug)]
pub(super) struct Rooms {
    state: Mutex<State>,
    kinds: usize,
    /// For outcomes under way to the engine without a room of their own.
    outcomes: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<Kind, usize>,
    /// Ends a claim that waits without the kinds that were full.
    waiting: Option<CancellationToken>,
}

/// How many permits there are, for `concurrency` steps of one kind.
pub(super) const fn permits(concurrency: usize, kinds: usize) -> usize {
    if kinds < 2 { concurrency } else { concurrency.saturating_mul(4).div_ceil(3) }
}

impl Rooms {
    /// For so many kinds, and as many steps of one.
    pub(super) fn new(concurrency: usize, kinds: usize) -> Self {
        let outcomes = concurrency.saturating_mul(4).clamp(1, Semaphore::MAX_PERMITS);
        Self { state: Mutex::default(), kinds, outcomes: Arc::new(Semaphore::new(outcomes)) }
    }

    /// How many of each kind may begin, of `free` permits. Kinds that are full are left out; then the token ends the wait
    /// for the others as soon as something ends.
    pub(super) fn share_out(&self, kinds: &[Kind], free: usize) -> (BTreeMap<Kind, usize>, Option<CancellationToken>) {
        let mut state = self.lock();
        let room = |kind: &Kind| (*kind, room(state.held.get(kind).copied().unwrap_or(0), free, self.kinds));
        let rooms: BTreeMap<_, _> = kinds.iter().map(room).filter(|(_, room)| *room > 0).collect();
        let freed = (rooms.len() < kinds.len()).then(CancellationToken::new);
        state.waiting.clone_from(&freed);
        (rooms, freed)
    }

    /// A task begins.
    pub(super) fn enter(self: &Arc<Self>, kind: Kind, permit: OwnedSemaphorePermit) -> Seat {
        *self.lock().held.entry(kind).or_default() += 1;
        Seat { rooms: Arc::clone(self), kind, _permit: permit }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many more a kind that has `held` may begin.
fn room(held: usize, free: usize, kinds: usize) -> usize {
    if kinds < 2 {
        return free;
    }
    // The most n for which held + n is at most three times what is left then.
    let room = (3 * free).saturating_sub(held) / 4;
    if held == 0 { room.max(free.min(1)) } else { room }
}

/// The room of one task: given back when it is dropped, by a panic as well.
#[derive(Debug)]
pub(super) struct Seat {
    rooms: Arc<Rooms>,
    kind: Kind,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    /// The step is over; its outcome is to be told.
    pub(super) fn step_is_over(self) -> Outgoing {
        match Arc::clone(&self.rooms.outcomes).try_acquire_owned() {
            Ok(permit) => Outgoing { _permit: Some(permit), _seat: None },
            Err(_) => Outgoing { _permit: None, _seat: Some(self) },
        }
    }
}

/// An outcome that is being told: dropped when it is through.
#[derive(Debug)]
pub(super) struct Outgoing {
    _permit: Option<OwnedSemaphorePermit>,
    _seat: Option<Seat>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.rooms.lock();
        if let Some(held) = state.held.get_mut(&self.kind) {
            *held = held.saturating_sub(1);
        }
        if let Some(waiting) = state.waiting.take() {
            waiting.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_kind_takes_three_quarters_and_the_next_three_quarters_of_the_rest() {
        let (mut free, mut held) = (256, Vec::new());
        for _ in 0..4 {
            let mine = room(0, free, 5);
            free -= mine;
            assert_eq!(room(mine, free, 5), 0, "that is all it gets");
            held.push(mine);
        }
        assert_eq!((held, free), (vec![192, 48, 12, 3], 1));
        assert_eq!(room(0, free, 5), 1, "even the fifth gets one");
        assert_eq!(room(0, 256, 1), 256, "nobody is there to leave room for");
    }

    proptest! {
        #[test]
        fn a_kind_alone_has_as_many_as_the_setting_says(concurrency in 1_usize..10_000, kinds in 2_usize..9) {
            let permits = permits(concurrency, kinds);
            prop_assert_eq!(room(0, permits, kinds), concurrency);
            prop_assert_eq!(room(concurrency, permits - concurrency, kinds), 0);
            prop_assert!(room(0, permits - concurrency, kinds) > 0, "and leaves something");
        }

        #[test]
        fn whoever_has_nothing_gets_something(free in 1_usize..2000, kinds in 1_usize..9) {
            prop_assert!((1..=free).contains(&room(0, free, kinds)));
        }

        #[test]
        fn nobody_begins_more_than_there_is(held in 0_usize..2000, free in 0_usize..2000) {
            let more = room(held, free, 2);
            prop_assert!(more <= free);
            prop_assert!(held == 0 || held + more <= 3 * (free - more) || more == 0);
        }
    }
}
