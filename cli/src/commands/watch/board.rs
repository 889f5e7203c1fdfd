//! What is known of the tasks that are followed: their rows, in the order in which they changed, and the counts.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use card_core::ids::{TaskId, UserId};
use card_core::tasks::{Kind, Status, Task};
use card_core::time::Instant;

/// A task as the board shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub task: TaskId,
    pub user: Option<UserId>,
    /// What it does.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// Attempts begun.
    pub attempts: u32,
    /// Why it is retrying, declined, dead or cancelled.
    pub error: Option<String>,
    /// Not to be begun before.
    pub due_at: Option<Instant>,
    /// From the order to the final status, as this process saw it.
    pub end_to_end: Option<Duration>,
    changed: u64,
}

/// Tasks by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All that are followed.
    pub tasks: u64,
    /// Ended well.
    pub succeeded: u64,
    /// The issuer said no.
    pub declined: u64,
    /// Given up.
    pub dead: u64,
    /// Called off.
    pub cancelled: u64,
    /// Not final.
    pub pending: u64,
    /// Of the pending: under way now.
    pub running: u64,
    /// Of the pending: an attempt failed, another is due.
    pub retrying: u64,
}

impl Counts {
    /// Ended, and not well.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.declined + self.dead + self.cancelled
    }
}

#[derive(Debug, Default)]
pub struct Board {
    rows: HashMap<TaskId, Row>,
    /// By the number of the latest change, so that the latest are found without a sort.
    order: BTreeMap<u64, TaskId>,
    changes: u64,
    counts: Counts,
}

impl Board {
    /// Takes a state; says whether it is a change worth a line.
    pub fn update(&mut self, task: &Task) -> bool {
        let attempts = task.attempts;
        let before = self.rows.get(&task.id);
        if before.is_some_and(|row| row.status == task.status && row.attempts == attempts) {
            return false;
        }
        // `running` is no event of the log and may come late: what is known to have ended does not begin again.
        if task.status == Status::Running && before.is_some_and(|row| row.attempts >= attempts) {
            return false;
        }
        let end_to_end = before.and_then(|row| row.end_to_end);
        self.changes += 1;
        let row = Row {
            task: task.id,
            user: task.owner,
            kind: task.kind,
            status: task.status,
            attempts,
            error: task.error.as_ref().map(ToString::to_string),
            due_at: task.due_at,
            end_to_end,
            changed: self.changes,
        };
        self.order.insert(self.changes, task.id);
        self.count(task.status, true);
        if let Some(before) = self.rows.insert(task.id, row) {
            self.order.remove(&before.changed);
            self.count(before.status, false);
        }
        true
    }

    /// Notes how long a task took from the order to its end.
    pub fn took(&mut self, task: TaskId, end_to_end: Duration) {
        if let Some(row) = self.rows.get_mut(&task) {
            row.end_to_end.get_or_insert(end_to_end);
        }
    }

    /// The row of a task.
    #[must_use]
    pub fn get(&self, task: TaskId) -> Option<&Row> {
        self.rows.get(&task)
    }

    /// Tasks by status.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The rows that changed last, at most `limit`, the latest first.
    pub fn latest(&self, limit: usize) -> impl Iterator<Item = &Row> {
        self.order.values().rev().take(limit).filter_map(|task| self.rows.get(task))
    }

    /// Every row, by id: in the order in which the tasks were accepted.
    #[must_use]
    pub fn rows(&self) -> Vec<&Row> {
        let mut rows: Vec<_> = self.rows.values().collect();
        rows.sort_unstable_by_key(|row| row.task);
        rows
    }

    /// Every row, what needs a look before the rest: a table that is cut at the screen's height shows that.
    #[must_use]
    pub fn gravest_first(&self) -> Vec<&Row> {
        let mut rows = self.rows();
        rows.sort_by_key(|row| match row.status {
            Status::Dead => 0,
            Status::Declined => 1,
            Status::Cancelled => 2,
            Status::Retrying => 3,
            Status::Queued | Status::Running => 4,
            Status::Succeeded => 5,
        });
        rows
    }

    fn count(&mut self, status: Status, more: bool) {
        let counts = &mut self.counts;
        let change = |count: &mut u64| *count = if more { *count + 1 } else { *count - 1 };
        change(&mut counts.tasks);
        match status {
            Status::Succeeded => change(&mut counts.succeeded),
            Status::Declined => change(&mut counts.declined),
            Status::Dead => change(&mut counts.dead),
            Status::Cancelled => change(&mut counts.cancelled),
            Status::Queued => change(&mut counts.pending),
            Status::Running => {
                change(&mut counts.pending);
                change(&mut counts.running);
            }
            Status::Retrying => {
                change(&mut counts.pending);
                change(&mut counts.retrying);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use card_core::tasks::Priority;
    use card_kinds::replacement;
    use proptest::prelude::*;

    use super::*;

    fn task(id: TaskId, status: Status, attempts: u32) -> Task {
        Task {
            id,
            kind: replacement::KIND,
            owner: None,
            run: None,
            status,
            attempts,
            priority: Priority::Normal,
            accepted_at: Instant::from_micros(0),
            due_at: None,
            started_at: None,
            settled_at: None,
            result: None,
            error: None,
        }
    }

    #[test]
    fn a_repetition_is_no_change_and_another_attempt_is() {
        let (mut board, id) = (Board::default(), TaskId::new());
        assert!(board.update(&task(id, Status::Running, 1)));
        assert!(!board.update(&task(id, Status::Running, 1)));
        assert!(board.update(&task(id, Status::Retrying, 1)));
        assert!(board.update(&task(id, Status::Running, 2)));
        assert_eq!(board.get(id).map(|row| row.attempts), Some(2));
    }

    #[test]
    fn an_attempt_that_has_ended_does_not_run_again() {
        let (mut board, id) = (Board::default(), TaskId::new());
        for (status, attempts, is_change) in [
            (Status::Succeeded, 1, true),
            (Status::Running, 1, false),
            // An operator's retry counts from the beginning.
            (Status::Queued, 0, true),
            (Status::Running, 1, true),
            (Status::Dead, 1, true),
            (Status::Running, 1, false),
        ] {
            assert_eq!(board.update(&task(id, status, attempts)), is_change, "{status} {attempts}");
        }
        assert_eq!((board.counts().dead, board.counts().pending), (1, 0));
    }

    proptest! {
        #[test]
        fn the_counts_are_those_of_the_rows(changes in proptest::collection::vec((0_usize..8, 0_usize..Status::ALL.len(), 0_u32..3), 0..80)) {
            let ids: Vec<_> = (0..8).map(|_| TaskId::new()).collect();
            let mut board = Board::default();
            for (id, status, attempts) in changes {
                board.update(&task(ids[id], Status::ALL[status], attempts));
                let rows = board.rows();
                let of = |status| rows.iter().filter(|row| row.status == status).count() as u64;
                let counts = board.counts();
                prop_assert_eq!(counts.tasks, rows.len() as u64);
                prop_assert_eq!(counts.succeeded, of(Status::Succeeded));
                prop_assert_eq!(counts.succeeded + counts.failed() + counts.pending, counts.tasks);
                prop_assert_eq!(board.latest(100).count(), rows.len());
            }
        }
    }
}
