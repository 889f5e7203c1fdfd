//! The leases that this worker holds, and the steps that can be cut off under them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use card_core::engine::Lease;
use tokio::sync::oneshot;

/// Why a step is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Another worker has the task now, or it was cancelled.
    LostLease,
    /// The worker stops and the drain is over.
    Stopping,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    held: Mutex<Held>,
}

/// What cuts the step off; none once it is over: then its outcome counts, whatever became of the lease.
type Held = HashMap<Lease, Option<oneshot::Sender<Cut>>>;

impl InFlight {
    /// Holds a lease under which a step runs. The receiver tells the step that it is cut off.
    pub(super) fn enter(self: &Arc<Self>, lease: Lease) -> (Entry, oneshot::Receiver<Cut>) {
        let (cut, is_cut) = oneshot::channel();
        self.lock().insert(lease, Some(cut));
        (Entry { held: Arc::clone(self), lease }, is_cut)
    }

    /// Holds leases whose steps are over and only have to be settled.
    pub(super) fn enter_over(self: &Arc<Self>, leases: impl Iterator<Item = Lease>) -> Vec<Entry> {
        let mut held = self.lock();
        leases
            .map(|lease| {
                held.insert(lease, None);
                Entry { held: Arc::clone(self), lease }
            })
            .collect()
    }

    /// All leases.
    pub(super) fn leases(&self) -> Vec<Lease> {
        self.lock().keys().copied().collect()
    }

    /// Cuts off the steps under these leases, if they still run.
    pub(super) fn lost(&self, leases: &[Lease]) {
        let mut held = self.lock();
        for lease in leases {
            if let Some(cut) = held.get_mut(lease).and_then(Option::take) {
                // A step that has just ended does not listen any more.
                let _ = cut.send(Cut::LostLease);
            }
        }
    }

    /// Cuts off every step that still runs; says how many.
    pub(super) fn cut_all(&self) -> usize {
        let cuts: Vec<_> = self.lock().values_mut().filter_map(Option::take).collect();
        cuts.into_iter().filter_map(|cut| cut.send(Cut::Stopping).ok()).count()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing under this lock can panic half-way through a change.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lease that is held until this is dropped, so that a panic does not keep it for ever.
#[derive(Debug)]
pub(super) struct Entry {
    held: Arc<InFlight>,
    lease: Lease,
}

impl Entry {
    /// From now on the step can't be cut off.
    pub(super) fn step_is_over(&mut self) {
        if let Some(cut) = self.held.lock().get_mut(&self.lease) {
            *cut = None;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.held.lock().remove(&self.lease);
    }
}

#[cfg(test)]
mod tests {
    use card_core::engine::LeaseRow;
    use card_core::ids::{TaskId, WorkerId};

    use super::*;

    fn lease(token: u64) -> Lease {
        Lease { task: TaskId::new(), row: LeaseRow::default(), token, worker: WorkerId::new() }
    }

    #[test]
    fn a_lost_lease_cuts_its_step_off_and_no_other() {
        let held = Arc::new(InFlight::default());
        let (one, other) = (lease(1), lease(2));
        let (_one, mut one_cut) = held.enter(one);
        let (_other, mut other_cut) = held.enter(other);
        held.lost(&[one]);
        assert_eq!(one_cut.try_recv(), Ok(Cut::LostLease));
        assert_eq!(other_cut.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }

    #[test]
    fn a_step_that_is_over_is_not_cut_off_and_its_lease_is_kept() {
        let held = Arc::new(InFlight::default());
        let lease = lease(1);
        let (mut entry, _cut) = held.enter(lease);
        entry.step_is_over();
        assert_eq!(held.cut_all(), 0);
        assert_eq!(held.leases(), [lease]);
        drop(entry);
        assert!(held.leases().is_empty());
    }
}
