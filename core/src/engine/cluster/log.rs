//! Reading the log of events.

use uuid::Uuid;

use super::kinds::learn;
use super::reads::read;
use super::rows::{EventRow, kind_of, unreadable, unsigned};
use super::shared::Shared;
use crate::engine::{EffectChanges, EngineError, EventFilter, EventPage, EventSeq, TaskEvent};
use crate::ids::{RunId, UserId};

/// A row of the log beside the state of the books in the same snapshot: with them, "nothing more" is a place.
#[derive(Debug)]
struct LogRow {
    last_seq: i64,
    events_floor: i64,
    seq: Option<i64>,
    at: Option<i64>,
    task: Option<Uuid>,
    kind: Option<i16>,
    owner: Option<Uuid>,
    run: Option<String>,
    accepted_at: Option<i64>,
    accepted_seq: Option<i64>,
    status: Option<i16>,
    attempts: Option<i32>,
    started_at: Option<i64>,
    result: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
    not_before: Option<i64>,
    priority: Option<i16>,
}

macro_rules! log_rows {
    ($pool:expr, $place:literal, $condition:literal, $($parameter:expr),*) => {
        sqlx::query_as!(
            LogRow,
            r#"SELECT b.last_seq AS "last_seq!", b.events_floor AS "events_floor!", e.seq AS "seq?", e.at AS "at?",
                      e.task AS "task?", e.kind AS "kind?", e.owner AS "owner?", e.run AS "run?",
                      e.accepted_at AS "accepted_at?", e.accepted_seq AS "accepted_seq?", e.status AS "status?",
                      e.attempts AS "attempts?", e.started_at AS "started_at?", e.result AS "result?",
                      e.error_code AS "error_code?", e.error_message AS "error_message?",
                      o.not_before AS "not_before?", o.priority AS "priority?"
               FROM (SELECT last_seq, events_floor FROM books ORDER BY page DESC LIMIT 1) b
               LEFT JOIN LATERAL (
                   SELECT * FROM events WHERE "# + $place + r#" > greatest($1, b.events_floor) AND "# + $condition + r#"
                   ORDER BY "# + $place + r#" LIMIT $2
               ) e ON true LEFT JOIN LATERAL (
                   SELECT not_before, priority FROM task_options WHERE task = e.task LIMIT 1
               ) o ON true ORDER BY e.seq"#,
            $($parameter),*
        )
        .fetch_all($pool)
        .await
    };
}

/// Events of a filter after a place in the log, at most `limit`.
pub(super) async fn events_after(
    shared: &Shared,
    filter: &EventFilter,
    after: EventSeq,
    limit: usize,
) -> Result<EventPage, EngineError> {
    let from = i64::try_from(after).unwrap_or(i64::MAX);
    let count = i64::try_from(limit).unwrap_or(i64::MAX);
    let tasks: Vec<Uuid> = filter.tasks.iter().map(|task| task.uuid()).collect();
    let pool = &shared.pool;
    let rows = read(|| async {
        if !tasks.is_empty() {
            // By the tasks, which have a handful of events each: a sum has no index. In the order of the log Postgres
            // would read all of it.
            log_rows!(pool, "seq + 0", "task = ANY ($3)", from, count, &tasks)
        } else if let Some(run) = &filter.run {
            log_rows!(pool, "seq", "run = $3", from, count, run.as_str())
        } else if let Some(owner) = filter.owner {
            log_rows!(pool, "seq", "owner = $3", from, count, owner.uuid())
        } else {
            log_rows!(pool, "seq", "true", from, count)
        }
    })
    .await?;
    let Some(books) = rows.first() else { return Err(unreadable("page of the counters")) };
    let (last, floor) = (books.last_seq, books.events_floor);
    // A reader from before the floor may have missed something: it goes on from there, and is told.
    let (from, reset) = (from.max(floor), from < floor);
    learn(shared, rows.iter().filter_map(|row| row.kind)).await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows.into_iter().filter_map(event_of) {
        events.push(TaskEvent { seq: u64::try_from(row.seq).ok(), task: row.task(&shared.kinds)? });
    }
    let latest = events.last().and_then(|event| event.seq);
    let cursor = match latest {
        // What was cut off comes after the last one kept.
        Some(latest) if events.len() == limit => latest,
        latest => latest.unwrap_or(0).max(unsigned(last)).max(unsigned(from)),
    };
    events.retain(|event| {
        filter.run.as_ref().is_none_or(|run: &RunId| event.task.run.as_ref() == Some(run))
            && filter.owner.is_none_or(|owner| event.task.owner == Some(owner))
    });
    Ok(EventPage { events, cursor, reset })
}

/// Whose effects events after a place in the log have changed, at most `limit`.
pub(super) async fn effects_after(
    shared: &Shared,
    after: EventSeq,
    limit: usize,
) -> Result<EffectChanges, EngineError> {
    let from = i64::try_from(after).unwrap_or(i64::MAX);
    let rows = read(|| {
        sqlx::query!(
            r#"SELECT b.last_seq AS "last_seq!", b.events_floor AS "events_floor!", e.seq AS "seq?", e.owner,
                      e.kind AS "kind?"
               FROM (SELECT last_seq, events_floor FROM books ORDER BY page DESC LIMIT 1) b
               LEFT JOIN LATERAL (
                   SELECT v.seq, v.owner, v.kind FROM events v
                   WHERE v.seq > greatest($1, b.events_floor) AND v.status = 4 AND v.owner IS NOT NULL
                     AND v.kind IN (SELECT code FROM kinds WHERE has_effect)
                   ORDER BY v.seq LIMIT $2
               ) e ON true ORDER BY e.seq"#,
            from,
            i64::try_from(limit).unwrap_or(i64::MAX)
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    let Some(books) = rows.first() else { return Err(unreadable("page of the counters")) };
    let (last, floor) = (books.last_seq, books.events_floor);
    learn(shared, rows.iter().filter_map(|row| row.kind)).await?;
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        let (Some(seq), Some(owner), Some(kind)) = (row.seq, row.owner, row.kind) else { continue };
        changes.push((UserId::from_uuid(owner), kind_of(kind, &shared.kinds)?.kind, unsigned(seq)));
    }
    let cursor = match changes.last() {
        Some((_, _, seq)) if changes.len() == limit => *seq,
        _ => unsigned(last).max(after),
    };
    Ok(EffectChanges { changes, cursor, reset: from < floor, read: true })
}

fn event_of(row: LogRow) -> Option<EventRow> {
    Some(EventRow {
        seq: row.seq?,
        at: row.at?,
        task: row.task?,
        kind: row.kind?,
        owner: row.owner,
        run: row.run,
        accepted_at: row.accepted_at?,
        accepted_seq: row.accepted_seq?,
        status: row.status?,
        attempts: row.attempts?,
        started_at: row.started_at,
        result: row.result,
        error_code: row.error_code,
        error_message: row.error_message,
        not_before: row.not_before,
        priority: row.priority,
    })
}
