//! Reading tasks: one, a page, its attempts, the effects of a run. The log has it all: a task's latest event is its
//! present state.
//!
//! A read that meets a broken connection is made again on another: after a restart of Postgres every connection of the
//! pool is a broken one, and no reader should hear of it.

use std::time::Duration;

use sqlx::PgPool;

use super::failure::{Cause, cause, classify};
use super::kinds::{learn, learn_all};
use super::overlay::show_running;
use super::rows::{EventRow, kind_of, status_of, unreadable};
use super::shared::Shared;
use crate::engine::rows::{Listed, Picked};
use crate::engine::{EffectCount, EffectPage, EngineError};
use crate::ids::{RunId, TaskId};
use crate::tasks::{Attempt, Kind, Status, Task, TaskError, TaskFilter};
use crate::time::Instant;

/// How long a read looks for a connection that works.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// Reads until a connection carries the statement out.
pub(super) async fn read<T, F>(mut statement: impl FnMut() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match statement().await {
            Ok(found) => return Ok(found),
            // Neither gets better by waiting.
            Err(error) if matches!(cause(&error), Cause::Statement | Cause::Refused) => return Err(classify(error)),
            Err(_) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(classify(error)),
        }
    }
}

pub(super) async fn get(shared: &Shared, id: TaskId) -> Result<Option<(i64, Task)>, EngineError> {
    let pool = &shared.pool;
    let row = read(|| {
        sqlx::query_as!(
            EventRow,
            "SELECT e.*, o.not_before, o.priority FROM (SELECT * FROM events WHERE task = $1 ORDER BY seq DESC LIMIT 1) e
             LEFT JOIN LATERAL (SELECT not_before, priority FROM task_options WHERE task = e.task LIMIT 1) o ON true",
            id.uuid()
        )
        .fetch_optional(pool)
    })
    .await?;
    if let Some(row) = row {
        return one(shared, row).await.map(Some);
    }
    // Its events are beyond retention; it is open or dead all the same.
    let row = read(|| {
        sqlx::query_as!(
            EventRow,
            r#"SELECT seq, coalesce(ended_at, accepted_at) AS "at!", id AS task, kind, owner, run, accepted_at,
                      seq AS accepted_seq, status, attempts, started_at, NULL::text AS result, error_code, error_message,
                      not_before, priority
               FROM tasks WHERE id = $1"#,
            id.uuid()
        )
        .fetch_optional(pool)
    })
    .await?;
    match row {
        Some(row) => one(shared, row).await.map(Some),
        None => Ok(None),
    }
}

async fn one(shared: &Shared, row: EventRow) -> Result<(i64, Task), EngineError> {
    learn(shared, [row.kind]).await?;
    Ok((row.accepted_seq, row.task(&shared.kinds)?))
}

/// Read from Postgres in one go.
const CHUNK: i64 = 1_000;

/// Tasks that a filter lets through, newest first. Those of a status that Redis has a say in are shown as it says; the
/// others by their durable state.
pub(super) async fn list(
    shared: &Shared,
    filter: &TaskFilter,
    before: i64,
    limit: usize,
) -> Result<Listed, EngineError> {
    let mut picked = Picked::new(filter, before, limit);
    loop {
        let rows = chunk(shared, filter, picked.last()).await?;
        learn(shared, rows.iter().map(|row| row.kind)).await?;
        let complete = i64::try_from(rows.len()).unwrap_or(i64::MAX) < CHUNK;
        let mut tasks = rows
            .into_iter()
            .map(|row| Ok((row.accepted_seq, row.task(&shared.kinds)?)))
            .collect::<Result<Vec<_>, EngineError>>()?;
        if matches!(filter.status, Some(Status::Queued | Status::Running | Status::Retrying)) {
            show_running(shared, &mut tasks).await;
        }
        for (seq, task) in tasks {
            if picked.is_full() {
                return Ok(picked.page(false));
            }
            picked.offer(seq, task);
        }
        if complete {
            return Ok(picked.page(true));
        }
    }
}

/// The code of a kind; none if the ledger has never heard of it, and so has no tasks of it.
pub(super) async fn code(shared: &Shared, kind: Kind) -> Result<Option<i16>, EngineError> {
    if shared.kinds.code(kind).is_none() {
        // Others may have brought it since.
        learn_all(shared).await?;
    }
    Ok(shared.kinds.code(kind).map(i16::from))
}

/// The present states of tasks accepted before a place, newest first.
async fn chunk(shared: &Shared, filter: &TaskFilter, before: i64) -> Result<Vec<EventRow>, EngineError> {
    let pool = &shared.pool;
    let kind = match filter.kind {
        Some(kind) => Some(code(shared, kind).await?.unwrap_or(-1)),
        None => None,
    };
    let owner = filter.owner.map(|owner| owner.uuid());
    let run = filter.run.as_ref().map(RunId::as_str);
    match (filter.status, &filter.run, filter.owner) {
        // The hot table knows the dead, whatever the log still has.
        (Some(Status::Dead), _, _) => {
            read(|| {
                sqlx::query_as!(
                    EventRow,
                    r#"SELECT seq, coalesce(ended_at, accepted_at) AS "at!", id AS task, kind, owner, run, accepted_at,
                              seq AS accepted_seq, status, attempts, started_at, NULL::text AS result, error_code,
                              error_message, not_before, priority
                       FROM tasks
                       WHERE status = 6 AND seq < $1 AND ($2::smallint IS NULL OR kind = $2)
                         AND ($3::uuid IS NULL OR owner = $3) AND ($4::text IS NULL OR run = $4)
                       ORDER BY seq DESC LIMIT $5"#,
                    before,
                    kind,
                    owner,
                    run,
                    CHUNK
                )
                .fetch_all(pool)
            })
            .await
        }
        (_, Some(run), _) => {
            read(|| {
                sqlx::query_as!(
                    EventRow,
                    r#"SELECT l.*, o.not_before, o.priority FROM (
                           SELECT e.seq, e.task FROM events e
                           WHERE e.run = $1 AND e.seq < $2 AND e.seq = e.accepted_seq
                             AND ($3::smallint IS NULL OR e.kind = $3) AND ($4::uuid IS NULL OR e.owner = $4)
                           ORDER BY e.seq DESC LIMIT $5
                       ) a CROSS JOIN LATERAL (
                           SELECT * FROM events e WHERE e.task = a.task ORDER BY e.seq DESC LIMIT 1
                       ) l LEFT JOIN LATERAL (
                           SELECT not_before, priority FROM task_options WHERE task = a.task LIMIT 1
                       ) o ON true ORDER BY l.accepted_seq DESC"#,
                    run.as_str(),
                    before,
                    kind,
                    owner,
                    CHUNK
                )
                .fetch_all(pool)
            })
            .await
        }
        (_, None, Some(owner)) => {
            read(|| {
                sqlx::query_as!(
                    EventRow,
                    r#"SELECT l.*, o.not_before, o.priority FROM (
                           SELECT e.seq, e.task FROM events e
                           WHERE e.owner = $1 AND e.seq < $2 AND e.seq = e.accepted_seq
                             AND ($3::smallint IS NULL OR e.kind = $3)
                           ORDER BY e.seq DESC LIMIT $4
                       ) a CROSS JOIN LATERAL (
                           SELECT * FROM events e WHERE e.task = a.task ORDER BY e.seq DESC LIMIT 1
                       ) l LEFT JOIN LATERAL (
                           SELECT not_before, priority FROM task_options WHERE task = a.task LIMIT 1
                       ) o ON true ORDER BY l.accepted_seq DESC"#,
                    owner.uuid(),
                    before,
                    kind,
                    CHUNK
                )
                .fetch_all(pool)
            })
            .await
        }
        _ => {
            read(|| {
                sqlx::query_as!(
                    EventRow,
                    r#"SELECT l.*, o.not_before, o.priority FROM (
                           SELECT e.seq, e.task FROM events e
                           WHERE e.seq < $1 AND e.seq = e.accepted_seq AND ($2::smallint IS NULL OR e.kind = $2)
                           ORDER BY e.seq DESC LIMIT $3
                       ) a CROSS JOIN LATERAL (
                           SELECT * FROM events e WHERE e.task = a.task ORDER BY e.seq DESC LIMIT 1
                       ) l LEFT JOIN LATERAL (
                           SELECT not_before, priority FROM task_options WHERE task = a.task LIMIT 1
                       ) o ON true ORDER BY l.accepted_seq DESC"#,
                    before,
                    kind,
                    CHUNK
                )
                .fetch_all(pool)
            })
            .await
        }
    }
}

pub(super) async fn attempts(pool: &PgPool, id: TaskId) -> Result<Vec<Attempt>, EngineError> {
    // "queued" is an accept or an operator's retry, and a cancelled task ends no attempt.
    let rows = read(|| {
        sqlx::query!(
            "SELECT started_at, at, status, error_code, error_message FROM events
             WHERE task = $1 AND status NOT IN (2, 8) ORDER BY seq",
            id.uuid()
        )
        .fetch_all(pool)
    })
    .await?;
    let attempts = rows.into_iter().zip(1..).map(|(row, number)| Attempt {
        number,
        started_at: row.started_at.map(Instant::from_micros),
        ended_at: Instant::from_micros(row.at),
        status: status_of(row.status),
        error: row.error_code.map(|code| TaskError { code, message: row.error_message.unwrap_or_default() }),
    });
    Ok(attempts.collect())
}

pub(super) async fn effects(shared: &Shared, run: &RunId, after: i64, limit: usize) -> Result<EffectPage, EngineError> {
    let page = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = read(|| {
        sqlx::query!(
            r#"SELECT a.seq AS "seq!", a.task AS "task!", a.kind AS "kind!", l.status AS "status!",
                      l.finals AS "finals!",
                      CASE WHEN (SELECT k.has_effect FROM kinds k WHERE k.code = a.kind)
                           THEN (SELECT count(*) FROM effects f WHERE f.task = a.task)
                           ELSE l.results END AS "effects!"
               FROM (
                   SELECT e.seq, e.task, e.kind FROM events e
                   WHERE e.run = $1 AND e.seq > $2 AND e.seq = e.accepted_seq ORDER BY e.seq LIMIT $3
               ) a CROSS JOIN LATERAL (
                   SELECT (array_agg(e.status ORDER BY e.seq DESC))[1] AS status,
                          count(e.result) AS results,
                          count(*) FILTER (WHERE e.status >= 4)
                            - count(*) FILTER (WHERE e.status = 2 AND e.seq <> e.accepted_seq) AS finals
                   FROM events e WHERE e.task = a.task
               ) l ORDER BY a.seq"#,
            run.as_str(),
            after,
            page
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    learn(shared, rows.iter().map(|row| row.kind)).await?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.seq.to_string())).flatten();
    let items = rows
        .into_iter()
        .map(|row| {
            Ok(EffectCount {
                task: TaskId::from_uuid(row.task),
                kind: kind_of(row.kind, &shared.kinds)?.kind,
                status: status_of(row.status),
                effects: u32::try_from(row.effects).map_err(|_| unreadable("count"))?,
                finals: u32::try_from(row.finals).unwrap_or(0),
            })
        })
        .collect::<Result<_, EngineError>>()?;
    Ok(EffectPage { items, next })
}
