//! Whether a run that nobody declared complete still grows.

use std::collections::BTreeSet;
use std::time::Duration;

use card_core::time::Instant as Timestamp;

/// A run whose tasks came at once is over this long after the last of them.
const QUIET: Duration = Duration::from_secs(3);
/// One whose tasks came slowly is over after so many times the longest wait between two.
const TIMES: u32 = 3;
/// The longest wait that counts: a run that rested for an hour is not waited for three.
const LONGEST: Duration = Duration::from_secs(20);

/// When the tasks of a run came.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// By the platform's clock; in order, though lists come newest first.
    accepted: BTreeSet<Timestamp>,
    /// By this machine's, as the newest was seen here.
    seen: Option<Timestamp>,
}

impl Arrivals {
    /// Notes a task that was not known before: when it was accepted, and that this is heard of now.
    pub(super) fn note(&mut self, accepted: Timestamp, now: Timestamp) {
        self.accepted.insert(accepted);
        // What was accepted long ago is no news. The two clocks may differ: what seems to come from the future came now.
        let heard = if accepted < now { accepted } else { now };
        self.seen = self.seen.max(Some(heard));
    }

    /// Whether nothing has come for so long that nothing is likely to come.
    pub(super) fn have_ended(&self, now: Timestamp) -> bool {
        self.seen.is_some_and(|seen| now.since(seen) >= self.quiet())
    }

    fn quiet(&self) -> Duration {
        let waits = self.accepted.iter().zip(self.accepted.iter().skip(1)).map(|(one, next)| next.since(*one));
        let longest = waits.max().unwrap_or_default().min(LONGEST);
        QUIET.max(longest * TIMES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_micros(milliseconds * 1000)
    }

    #[test]
    fn a_run_is_over_when_nothing_came_for_longer_than_its_tasks_kept_each_other_waiting() {
        let mut slow = Arrivals::default();
        assert!(!slow.have_ended(at(1_000_000)), "nothing has come yet");
        for second in [0, 4, 2, 8] {
            slow.note(at(second * 1000), at(second * 1000));
        }
        assert!(!slow.have_ended(at(8_000 + 11_900)), "four seconds between two");
        assert!(slow.have_ended(at(8_000 + 12_000)));
        let mut quick = Arrivals::default();
        (0..100).for_each(|n| quick.note(at(n), at(n)));
        assert!(!quick.have_ended(at(99 + 2_999)) && quick.have_ended(at(99 + 3_000)));
    }

    #[test]
    fn one_that_ended_long_ago_is_not_waited_for_and_clocks_may_differ() {
        let mut old = Arrivals::default();
        old.note(at(0), at(60_000));
        assert!(old.have_ended(at(60_000)));
        let mut ahead = Arrivals::default();
        ahead.note(at(3_600_000), at(1_000));
        assert!(!ahead.have_ended(at(3_999)) && ahead.have_ended(at(4_000)));
        let mut rested = Arrivals::default();
        rested.note(at(0), at(0));
        rested.note(at(3_600_000), at(3_600_000));
        assert!(rested.have_ended(at(3_660_000)));
    }
}
