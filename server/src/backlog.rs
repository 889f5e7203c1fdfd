//! How much waits, known without asking: the last sample and what was accepted since (P5). And how much of it is whose.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use card_serve::shares::{Full, Holder, is_within_share, reserve};

use crate::http::gate::code;
use crate::problem::Refusal;

/// An estimate that is never too low for long and that costs an atomic addition.
#[derive(Debug)]
pub(crate) struct Backlog {
    limit: u64,
    estimate: AtomicU64,
    accepted: AtomicU64,
    recent: Mutex<Recent>,
}

/// Who had what accepted here since the backlog was short: that share of what waits now is taken to be theirs. The ledger
/// knows better and would have to be asked each time; other servers see about the same mixture.
#[derive(Debug, Default)]
struct Recent {
    total: u64,
    by_holder: HashMap<Holder, u64>,
}

/// Holders that are remembered; then those with the least are forgotten.
const REMEMBERED: usize = 65_536;

impl Recent {
    fn add(&mut self, holders: &[Holder]) {
        self.total += 1;
        for holder in holders {
            *self.by_holder.entry(*holder).or_default() += 1;
        }
        if self.by_holder.len() > REMEMBERED {
            self.fade();
        }
    }

    /// What was accepted long ago counts less; who had little is forgotten.
    fn fade(&mut self) {
        self.total /= 2;
        self.by_holder.retain(|_, count| {
            *count /= 2;
            *count > 0
        });
    }

    /// Of what waits.
    fn held(&self, holder: Holder, waiting: u64) -> u64 {
        let count = self.by_holder.get(&holder).copied().unwrap_or_default();
        let held = u128::from(waiting) * u128::from(count) / u128::from(self.total.max(1));
        u64::try_from(held).unwrap_or(u64::MAX)
    }
}

impl Backlog {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, estimate: AtomicU64::new(0), accepted: AtomicU64::new(0), recent: Mutex::default() }
    }

    /// Refuses what would come on top of a full backlog, or of what these holders have in it.
    pub(crate) fn admit(&self, holders: &[Holder]) -> Result<(), Refusal> {
        self.room(holders).map_err(|full| {
            let detail = match full {
                Full::User => {
                    "This user has as many tasks waiting as there is room left for all others. This one was not \
                     accepted; try again when some are done."
                }
                Full::Address => {
                    "Tasks from this address have their share of the room, and the rest is for others. This one was not \
                     accepted; try again when some are done."
                }
                Full::All => "Too many tasks wait. This one was not accepted; try again.",
            };
            Refusal::new(code(full), detail).retry_after(5)
        })
    }

    fn room(&self, holders: &[Holder]) -> Result<(), Full> {
        let waiting = self.estimate.load(Ordering::Relaxed);
        let limit = size(self.limit);
        let left = limit.saturating_sub(size(waiting));
        let free = if holders.contains(&Holder::Operator) { left } else { left.saturating_sub(reserve(limit)) };
        if free == 0 {
            return Err(Full::All);
        }
        // Nobody has more than there is, so as long as it is less than what is left there is nothing to look up.
        if size(waiting) < free {
            return Ok(());
        }
        let recent = self.lock();
        let over = |holder: &&Holder| !is_within_share(**holder, size(recent.held(**holder, waiting)), 1, free);
        holders.iter().find(over).map_or(Ok(()), |holder| Err(holder.full()))
    }

    /// One more was accepted.
    pub(crate) fn accepted(&self, holders: &[Holder]) {
        self.estimate.fetch_add(1, Ordering::Relaxed);
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.lock().add(holders);
    }

    /// Accepted since the process began: whether there is something to do.
    pub(crate) fn accepted_total(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// What waits, as the engine counted it.
    pub(crate) fn sampled(&self, backlog: u64) {
        self.estimate.store(backlog, Ordering::Relaxed);
        let mut recent = self.lock();
        if backlog < self.limit / 8 {
            // Whose it is will matter when much more has come.
            *recent = Recent { total: backlog, by_holder: HashMap::new() };
        } else if recent.total > backlog.saturating_mul(4) {
            recent.fade();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        // Nothing that runs under this lock can panic half-way through a change.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use card_core::ids::UserId;
    use card_core::problem::Code;

    use super::*;

    fn user() -> [Holder; 2] {
        [Holder::User(UserId::new()), Holder::address([192, 0, 2, 1].into())]
    }

    fn fill(backlog: &Backlog, holders: &[Holder]) -> (usize, Code) {
        let mut accepted = 0;
        loop {
            match backlog.admit(holders) {
                Ok(()) => backlog.accepted(holders),
                Err(refusal) => return (accepted, refusal.code()),
            }
            accepted += 1;
        }
    }

    #[test]
    fn a_full_backlog_refuses_until_a_sample_says_otherwise() {
        let backlog = Backlog::new(2);
        backlog.sampled(1);
        assert!(backlog.admit(&[Holder::Operator]).is_ok());
        backlog.accepted(&[Holder::Operator]);
        assert_eq!(backlog.admit(&[Holder::Operator]).unwrap_err().code(), Code::Overloaded);
        backlog.sampled(1);
        assert!(backlog.admit(&[Holder::Operator]).is_ok());
    }

    #[test]
    fn one_user_fills_half_and_the_operator_is_always_heard() {
        let backlog = Backlog::new(100);
        let (one, why) = fill(&backlog, &user());
        assert!((40..50).contains(&one), "{one}");
        assert_eq!(why, Code::UserShareUsed);
        let (another, _) = fill(&backlog, &user());
        assert!(another >= 15, "{another}");
        while fill(&backlog, &user()).0 > 0 {}
        let (operator, why) = fill(&backlog, &[Holder::Operator]);
        assert!(operator >= 12, "{operator}");
        assert_eq!(why, Code::Overloaded);
    }

    #[test]
    fn users_of_one_address_leave_room_for_those_of_others() {
        let backlog = Backlog::new(1000);
        while fill(&backlog, &user()).0 > 0 {}
        let elsewhere = [Holder::User(UserId::new()), Holder::address([192, 0, 2, 2].into())];
        assert!(backlog.admit(&elsewhere).is_ok());
    }

    #[test]
    fn what_was_done_long_ago_and_what_waited_before_count_for_nobody() {
        let backlog = Backlog::new(100);
        let one = user();
        fill(&backlog, &one);
        backlog.sampled(0);
        assert!(fill(&backlog, &one).0 >= 40);
        let started_again = Backlog::new(100);
        started_again.sampled(60);
        assert!(started_again.admit(&user()).is_ok());
    }
}
