//! Reading the log of events: accepts stand in the tasks' rows, what followed in rows of its own; both by one sequence.

use rusqlite::{Connection, Statement, params};
use uuid::Uuid;

use super::rows::{Identity, identity_columns, kind_of, read_task, task_columns, uuid};
use crate::engine::kinds::Kinds;
use crate::engine::{EffectChanges, EventFilter, EventPage, EventSeq, TaskEvent};
use crate::ids::{RunId, UserId};

macro_rules! accepted {
    ($condition:literal) => {
        concat!("SELECT ", identity_columns!(""), " FROM tasks WHERE ", $condition, " ORDER BY seq LIMIT ?2")
    };
}

macro_rules! followed {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            task_columns!(),
            "e.status, e.attempts, NULL, e.seq FROM events e JOIN tasks t ON t.seq = e.task WHERE ",
            $condition,
            " ORDER BY e.seq LIMIT ?2"
        )
    };
}

const ACCEPTED: &str = accepted!("seq > ?1");
const ACCEPTED_RUN: &str = accepted!("run = ?3 AND seq > ?1");
const ACCEPTED_OWNER: &str = accepted!("owner = ?3 AND seq > ?1");
const ACCEPTED_TASK: &str = accepted!("id = ?3 AND seq > ?1");
const FOLLOWED: &str = followed!("e.seq > ?1");
const FOLLOWED_RUN: &str = followed!("e.run = ?3 AND e.seq > ?1");
const FOLLOWED_OWNER: &str = followed!("t.owner = ?3 AND e.seq > ?1");
const FOLLOWED_TASK: &str = followed!("e.task = (SELECT seq FROM tasks WHERE id = ?3) AND e.seq > ?1");

enum Key<'a> {
    None,
    Run(&'a RunId),
    Id(Uuid),
}

/// Events of a filter after a place in the log, at most `limit`.
pub(super) fn read(
    connection: &Connection,
    filter: &EventFilter,
    after: EventSeq,
    limit: usize,
    kinds: &Kinds,
) -> rusqlite::Result<EventPage> {
    // One snapshot for all statements: otherwise a commit between two of them could be skipped.
    let transaction = connection.unchecked_transaction()?;
    let (next, floor): (i64, i64) = transaction
        .prepare_cached("SELECT next_seq, events_floor FROM books WHERE id = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    // A reader from before the floor may have missed something: it goes on from there, and is told.
    let reset = after < floor;
    let from = after.max(floor);
    let mut reading = Reading { connection: &transaction, kinds, after: from, limit, events: Vec::new(), cut: false };
    if !filter.tasks.is_empty() {
        for task in &filter.tasks {
            reading.both(ACCEPTED_TASK, FOLLOWED_TASK, &Key::Id(task.uuid()))?;
        }
    } else if let Some(run) = &filter.run {
        reading.both(ACCEPTED_RUN, FOLLOWED_RUN, &Key::Run(run))?;
    } else if let Some(owner) = filter.owner {
        reading.both(ACCEPTED_OWNER, FOLLOWED_OWNER, &Key::Id(owner.uuid()))?;
    } else {
        reading.both(ACCEPTED, FOLLOWED, &Key::None)?;
    }
    let Reading { mut events, cut, .. } = reading;
    events.sort_unstable_by_key(|event| event.seq);
    let more = events.len() > limit || cut;
    events.truncate(limit);
    let end = if more {
        // What was cut off comes after the last one kept.
        events.last().and_then(|event| event.seq).unwrap_or(0)
    } else {
        u64::try_from((next - 1).max(from)).unwrap_or(0)
    };
    events.retain(|event| {
        filter.run.as_ref().is_none_or(|run| event.task.run.as_ref() == Some(run))
            && filter.owner.is_none_or(|owner| event.task.owner == Some(owner))
    });
    Ok(EventPage { events, cursor: end, reset })
}

const EFFECTS_AFTER: &str = "
    SELECT e.seq, t.owner, t.kind FROM events e JOIN tasks t ON t.seq = e.task
    WHERE e.seq > ?1 AND e.status = 4 AND t.owner IS NOT NULL AND t.kind IN (SELECT code FROM kinds WHERE has_effect)
    ORDER BY e.seq LIMIT ?2";

/// Whose effects events after a place in the log have changed, at most `limit`.
pub(super) fn effects_after(
    connection: &Connection,
    after: EventSeq,
    limit: usize,
    kinds: &Kinds,
) -> rusqlite::Result<EffectChanges> {
    // One snapshot for both statements.
    let transaction = connection.unchecked_transaction()?;
    let (next, floor): (i64, i64) = transaction
        .prepare_cached("SELECT next_seq, events_floor FROM books WHERE id = 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut statement = transaction.prepare_cached(EFFECTS_AFTER)?;
    let changes = statement.query_map(params![after.max(floor), limit as i64], |row| {
        let owner = UserId::from_uuid(uuid(row, 1)?);
        Ok((owner, kind_of(row.get(2)?, kinds)?.kind, u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0)))
    })?;
    let changes: Vec<_> = changes.collect::<rusqlite::Result<_>>()?;
    let cursor = match changes.last() {
        Some((_, _, seq)) if changes.len() == limit => *seq,
        _ => u64::try_from((next - 1).max(after)).unwrap_or(0),
    };
    Ok(EffectChanges { changes, cursor, reset: after < floor, read: true })
}

struct Reading<'a> {
    connection: &'a Connection,
    kinds: &'a Kinds,
    after: i64,
    limit: usize,
    events: Vec<TaskEvent>,
    /// Some statement gave as many as it may: there can be more behind.
    cut: bool,
}

impl Reading<'_> {
    fn both(&mut self, accepted: &str, followed: &str, key: &Key<'_>) -> rusqlite::Result<()> {
        let mut first = self.connection.prepare_cached(accepted)?;
        let kinds = self.kinds;
        self.one(&mut first, key, |row| {
            let identity = Identity::read(row, kinds)?;
            Ok((identity.seq, identity.queued()))
        })?;
        let mut second = self.connection.prepare_cached(followed)?;
        self.one(&mut second, key, |row| Ok((row.get(16)?, read_task(row, kinds)?.2)))
    }

    fn one(
        &mut self,
        statement: &mut Statement<'_>,
        key: &Key<'_>,
        read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<(i64, crate::tasks::Task)>,
    ) -> rusqlite::Result<()> {
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX);
        let mut rows = match key {
            Key::None => statement.query(params![self.after, limit])?,
            Key::Run(run) => statement.query(params![self.after, limit, run.as_str()])?,
            Key::Id(id) => statement.query(params![self.after, limit, id.as_bytes()])?,
        };
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let (seq, task) = read(row)?;
            count += 1;
            self.events.push(TaskEvent { seq: u64::try_from(seq).ok(), task });
        }
        self.cut |= count == self.limit;
        Ok(())
    }
}
