//! What the rows of both engines have in common: the numbers they hold, and how a task is put together and picked for a
//! page.

use super::identity::Identity;
use super::{EngineError, ErrorKind};
use crate::tasks::{History, HistoryPage, Priority, Status, StoredEffect, Task, TaskError, TaskFilter};
use crate::time::Instant;

/// Status as a row has it. Never changed: ledgers hold them. Below 4 is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StatusCode(pub(super) i64);

impl StatusCode {
    pub(super) const QUEUED: Self = Self(2);
    pub(super) const RETRYING: Self = Self(3);
    pub(super) const SUCCEEDED: Self = Self(4);
    pub(super) const DECLINED: Self = Self(5);
    pub(super) const DEAD: Self = Self(6);
    /// Dead, and taken off the list of dead letters.
    pub(super) const DISCARDED: Self = Self(7);
    pub(super) const CANCELLED: Self = Self(8);

    /// One more than the largest code.
    pub(super) const COUNT: usize = 9;

    pub(super) const fn is_open(self) -> bool {
        self.0 < Self::SUCCEEDED.0
    }

    pub(super) fn status(self) -> Status {
        match self {
            Self::QUEUED => Status::Queued,
            Self::RETRYING => Status::Retrying,
            Self::SUCCEEDED => Status::Succeeded,
            Self::DECLINED => Status::Declined,
            Self::CANCELLED => Status::Cancelled,
            _ => Status::Dead,
        }
    }

    /// Which codes tasks with a status can have; whether an open one runs is known to the delivery alone.
    pub(super) const fn of(status: Status) -> (Self, Self) {
        match status {
            Status::Queued | Status::Running | Status::Retrying => (Self::QUEUED, Self::RETRYING),
            Status::Succeeded => (Self::SUCCEEDED, Self::SUCCEEDED),
            Status::Declined => (Self::DECLINED, Self::DECLINED),
            Status::Dead => (Self::DEAD, Self::DEAD),
            Status::Cancelled => (Self::CANCELLED, Self::CANCELLED),
        }
    }
}

/// Priority as a row has it. Never changed.
pub(super) const fn priority_code(priority: Priority) -> u8 {
    match priority {
        Priority::Normal => 0,
        Priority::High => 1,
        Priority::Low => 2,
    }
}

/// The priority with a code; one of a newer program is like most.
pub(super) const fn priority_of(code: i64) -> Priority {
    match code {
        1 => Priority::High,
        2 => Priority::Low,
        _ => Priority::Normal,
    }
}

/// A place in a history, whose effects stand by time and then by their place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HistoryPlace {
    pub(super) at: i64,
    pub(super) seq: i64,
}

impl HistoryPlace {
    /// Where a page begins: right after the last item of the page before, or with the newest.
    pub(super) fn of_cursor(cursor: Option<&str>) -> Result<Self, EngineError> {
        let Some(cursor) = cursor else { return Ok(Self { at: i64::MAX, seq: i64::MAX }) };
        let place =
            cursor.split_once('.').and_then(|(at, seq)| Some(Self { at: at.parse().ok()?, seq: seq.parse().ok()? }));
        place.ok_or_else(|| EngineError::new(ErrorKind::Invalid, "the cursor was not made by this ledger"))
    }

    /// Not beyond the end of what is asked for.
    pub(super) fn bounded(self, to: Option<Instant>) -> Self {
        match to {
            Some(to) if to.micros() < self.at => Self { at: to.micros(), seq: i64::MIN },
            _ => self,
        }
    }

    /// A page of what was read: `found` has one more than `limit` if there is more.
    pub(super) fn page(mut found: Vec<StoredEffect>, limit: usize, version: i64) -> HistoryPage {
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| format!("{}.{}", last.at.micros(), last.seq));
        HistoryPage { items: found, next, version }
    }
}

impl History {
    /// The first time that is meant, in microseconds.
    pub(super) fn first(&self) -> i64 {
        self.from.map_or(i64::MIN, Instant::micros)
    }

    /// The first time after all that are meant.
    pub(super) fn end(&self) -> i64 {
        self.to.map_or(i64::MAX, Instant::micros)
    }
}

/// Where a task stands, as rows have it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) status: StatusCode,
    pub(super) attempts: u32,
    /// When that began.
    pub(super) at: Option<i64>,
    /// When the latest attempt began.
    pub(super) started_at: Option<i64>,
    pub(super) result: Option<Box<serde_json::value::RawValue>>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
}

impl Identity {
    /// The task in a state.
    pub(super) fn task(&self, state: State) -> Task {
        let status = state.status.status();
        let message = state.error_message.unwrap_or_default();
        Task {
            status,
            attempts: state.attempts,
            started_at: state.started_at.map(Instant::from_micros),
            settled_at: state.at.filter(|_| status.is_final()).map(Instant::from_micros),
            result: state.result,
            error: state.error_code.map(|code| TaskError { code, message }),
            ..self.queued()
        }
    }
}

/// A cursor is the row of the last item of the page before.
pub(super) fn cursor(text: Option<&str>, first: i64) -> Result<i64, EngineError> {
    text.map_or(Ok(first), |text| {
        let row = text.parse::<i64>().ok().filter(|row| *row >= 0);
        row.ok_or_else(|| EngineError::new(ErrorKind::Invalid, "the cursor is not one of this list"))
    })
}

/// Rows that one page may look at; a page that finds little in so many is short and has a `next` all the same.
const SCAN_LIMIT: usize = 50_000;

/// A page in the making: what a filter lets through of the tasks that are offered, newest first.
pub(super) struct Picked<'a> {
    filter: &'a TaskFilter,
    limit: usize,
    found: Vec<(i64, Task)>,
    scanned: usize,
    last: i64,
}

/// Tasks with their rows, and where the next page begins, if there is one.
pub(super) type Listed = (Vec<(i64, Task)>, Option<i64>);

impl<'a> Picked<'a> {
    /// Of tasks before a row.
    pub(super) const fn new(filter: &'a TaskFilter, before: i64, limit: usize) -> Self {
        Self { filter, limit, found: Vec::new(), scanned: 0, last: before }
    }

    /// Whether another task finds no room.
    pub(super) const fn is_full(&self) -> bool {
        self.found.len() == self.limit || self.scanned >= SCAN_LIMIT
    }

    /// The row to go on from.
    pub(super) const fn last(&self) -> i64 {
        self.last
    }

    /// Takes a task if the filter lets it through.
    pub(super) fn offer(&mut self, row: i64, task: Task) {
        (self.scanned, self.last) = (self.scanned + 1, row);
        let TaskFilter { status, since, error, .. } = self.filter;
        let matches = status.is_none_or(|wanted| wanted == task.status)
            && since.is_none_or(|since| task.settled_at.is_some_and(|at| at >= since))
            && error
                .as_ref()
                .is_none_or(|pattern| task.error.as_ref().is_some_and(|error| pattern.is_match(&error.to_string())));
        if matches {
            self.found.push((row, task));
        }
    }

    /// The page; `complete`: there are no more tasks.
    pub(super) fn page(self, complete: bool) -> Listed {
        (self.found, (!complete).then_some(self.last))
    }
}
