//! Reading tasks: one, a page, its attempts, the effects of a run.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{
    Identity, StatusCode, identity_columns, json, kind_of, optional_uuid, read_task, task_columns, uuid,
};
use crate::engine::kinds::Kinds;
use crate::engine::rows::{HistoryPlace, Listed, Picked};
use crate::engine::{EffectCount, EffectPage};
use crate::ids::{RunId, TaskId, UserId};
use crate::tasks::{Attempt, History, HistorySummary, Status, StoredEffect, Task, TaskError, TaskFilter};
use crate::time::Instant;

macro_rules! select_tasks {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            task_columns!(),
            "t.status, t.attempts, t.discard_reason FROM tasks t LEFT JOIN events e ON e.seq = t.last_seq ",
            $rest
        )
    };
}

pub(super) fn get(connection: &Connection, id: TaskId, kinds: &Kinds) -> rusqlite::Result<Option<(i64, Task)>> {
    let mut statement = connection.prepare_cached(select_tasks!("WHERE t.id = ?1"))?;
    let found = statement.query_row([id.uuid().as_bytes()], |row| read_task(row, kinds)).optional()?;
    Ok(found.map(|(seq, _, task)| (seq, task)))
}

/// Without a run or an owner to go by.
const LIST: &str = select_tasks!(
    "WHERE t.seq < ?1 AND t.status BETWEEN ?2 AND ?3 AND (?4 IS NULL OR t.kind = ?4)
       AND (?5 IS NULL OR t.run = ?5) AND (?6 IS NULL OR t.owner = ?6) ORDER BY t.seq DESC"
);
const LIST_RUN: &str = select_tasks!(
    "WHERE t.run = ?5 AND t.seq < ?1 AND t.status BETWEEN ?2 AND ?3 AND (?4 IS NULL OR t.kind = ?4)
       AND (?6 IS NULL OR t.owner = ?6) ORDER BY t.seq DESC"
);
const LIST_OWNER: &str = select_tasks!(
    "WHERE t.owner = ?6 AND t.seq < ?1 AND t.status BETWEEN ?2 AND ?3 AND (?4 IS NULL OR t.kind = ?4)
       AND (?5 IS NULL OR t.run = ?5) ORDER BY t.seq DESC"
);
const LIST_DEAD: &str = select_tasks!(
    "WHERE t.status = 6 AND t.seq < ?1 AND t.status BETWEEN ?2 AND ?3 AND (?4 IS NULL OR t.kind = ?4)
       AND (?5 IS NULL OR t.run = ?5) AND (?6 IS NULL OR t.owner = ?6) ORDER BY t.seq DESC"
);

/// Tasks that a filter lets through, newest first; `overlay` shows what only the delivery knows of each.
pub(super) fn list(
    connection: &Connection,
    filter: &TaskFilter,
    before: i64,
    limit: usize,
    kinds: &Kinds,
    overlay: impl Fn(i64, &mut Task),
) -> rusqlite::Result<Listed> {
    let (low, high) = match filter.status {
        None => (0, StatusCode::COUNT as i64),
        Some(status) => {
            let (low, high) = StatusCode::of(status);
            (low.0, high.0)
        }
    };
    let sql = if filter.run.is_some() {
        LIST_RUN
    } else if filter.owner.is_some() {
        LIST_OWNER
    } else if filter.status == Some(Status::Dead) {
        LIST_DEAD
    } else {
        LIST
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![
        before,
        low,
        high,
        // A kind that this ledger has never heard of has no tasks.
        filter.kind.map(|kind| kinds.code(kind).map_or(-1, i64::from)),
        filter.run.as_ref().map(RunId::as_str),
        filter.owner.map(|owner| owner.uuid().into_bytes()),
    ])?;
    let mut picked = Picked::new(filter, before, limit);
    while let Some(row) = rows.next()? {
        if picked.is_full() {
            return Ok(picked.page(false));
        }
        let (seq, _, mut task) = read_task(row, kinds)?;
        overlay(seq, &mut task);
        picked.offer(seq, task);
    }
    Ok(picked.page(true))
}

pub(super) fn attempts(connection: &Connection, id: TaskId) -> rusqlite::Result<Vec<Attempt>> {
    // An operator's retry leaves a "queued" event, and a cancelled task is no attempt either.
    let mut statement = connection.prepare_cached(
        "SELECT e.started_at, e.at, e.status, e.error_code, e.error_message
         FROM tasks t JOIN events e ON e.task = t.seq WHERE t.id = ?1 AND e.status NOT IN (2, 8) ORDER BY e.seq",
    )?;
    let rows = statement.query_map([id.uuid().as_bytes()], |row| {
        let (code, message): (Option<String>, Option<String>) = (row.get(3)?, row.get(4)?);
        Ok(Attempt {
            number: 0,
            started_at: row.get::<_, Option<i64>>(0)?.map(Instant::from_micros),
            ended_at: Instant::from_micros(row.get(1)?),
            status: StatusCode(row.get(2)?).status(),
            error: code.map(|code| TaskError { code, message: message.unwrap_or_default() }),
        })
    })?;
    rows.zip(1..).map(|(attempt, number)| attempt.map(|attempt| Attempt { number, ..attempt })).collect()
}

const EFFECTS: &str = concat!(
    "SELECT ",
    identity_columns!("t."),
    ", t.status,
           CASE WHEN (SELECT k.has_effect FROM kinds k WHERE k.code = t.kind)
                THEN (SELECT count(*) FROM effects f WHERE f.task = t.seq)
                ELSE (SELECT count(*) FROM events e WHERE e.task = t.seq AND e.result IS NOT NULL) END,
           (SELECT count(*) FROM events e WHERE e.task = t.seq AND e.status >= 4)
             - (SELECT count(*) FROM events e WHERE e.task = t.seq AND e.status = 2)
    FROM tasks t WHERE t.run = ?1 AND t.seq > ?2 ORDER BY t.seq LIMIT ?3"
);

pub(super) fn effects(
    connection: &Connection,
    run: &RunId,
    after: i64,
    limit: usize,
    kinds: &Kinds,
) -> rusqlite::Result<EffectPage> {
    let mut statement = connection.prepare_cached(EFFECTS)?;
    let mut rows = statement.query(params![run.as_str(), after, limit as i64 + 1])?;
    let mut items = Vec::new();
    let mut last = after;
    while let Some(row) = rows.next()? {
        if items.len() == limit {
            return Ok(EffectPage { items, next: Some(last.to_string()) });
        }
        let identity = Identity::read(row, kinds)?;
        last = identity.seq;
        items.push(EffectCount {
            task: identity.id,
            kind: identity.kind.kind,
            status: StatusCode(row.get(8)?).status(),
            effects: row.get(9)?,
            finals: row.get(10)?,
        });
    }
    Ok(EffectPage { items, next: None })
}

macro_rules! select_effects {
    ($rest:literal) => {
        concat!(
            "SELECT f.id, t.id, f.kind, f.owner, f.slot, f.data, f.active, f.at, f.replaces, f.seq
             FROM effects f JOIN tasks t ON t.seq = f.task ",
            $rest
        )
    };
}

fn read_effect(row: &rusqlite::Row<'_>, kinds: &Kinds) -> rusqlite::Result<StoredEffect> {
    Ok(StoredEffect {
        id: uuid(row, 0)?,
        task: TaskId::from_uuid(uuid(row, 1)?),
        kind: kind_of(row.get(2)?, kinds)?.kind,
        owner: optional_uuid(row, 3)?.map(UserId::from_uuid),
        slot: row.get(4)?,
        data: json(row, 5)?.unwrap_or_default(),
        is_active: row.get(6)?,
        at: Instant::from_micros(row.get(7)?),
        replaces: optional_uuid(row, 8)?,
        seq: row.get(9)?,
    })
}

pub(super) fn effects_of(
    connection: &Connection,
    owner: UserId,
    code: u8,
    kinds: &Kinds,
) -> rusqlite::Result<Vec<StoredEffect>> {
    let mut statement = connection
        .prepare_cached(select_effects!("WHERE f.owner = ?1 AND f.kind = ?2 ORDER BY f.at DESC, f.seq DESC"))?;
    let effects = statement.query_map(params![owner.uuid().as_bytes(), code], |row| read_effect(row, kinds))?;
    effects.collect()
}

pub(super) fn effect(connection: &Connection, task: TaskId, kinds: &Kinds) -> rusqlite::Result<Option<StoredEffect>> {
    let mut statement = connection.prepare_cached(select_effects!("WHERE t.id = ?1"))?;
    statement.query_row([task.uuid().as_bytes()], |row| read_effect(row, kinds)).optional()
}

pub(super) fn history_version(connection: &Connection, owner: UserId, code: u8) -> rusqlite::Result<i64> {
    // Times follow the order of commits, so the newest is the last by either.
    let mut statement = connection
        .prepare_cached("SELECT seq FROM effects WHERE owner = ?1 AND kind = ?2 ORDER BY at DESC, seq DESC LIMIT 1")?;
    Ok(statement.query_row(params![owner.uuid().as_bytes(), code], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Effects of a history before a place in it, newest first, one more than asked for if there is one, and the version.
pub(super) fn history(
    connection: &Connection,
    history: &History,
    code: u8,
    before: HistoryPlace,
    limit: usize,
    kinds: &Kinds,
) -> rusqlite::Result<(Vec<StoredEffect>, i64)> {
    // One snapshot for both statements.
    let transaction = connection.unchecked_transaction()?;
    let version = history_version(&transaction, history.owner, code)?;
    let mut statement = transaction.prepare_cached(select_effects!(
        "WHERE f.owner = ?1 AND f.kind = ?2 AND f.at >= ?3 AND (f.at, f.seq) < (?4, ?5)
         ORDER BY f.at DESC, f.seq DESC LIMIT ?6"
    ))?;
    let (from, before) = (history.first(), before.bounded(history.to));
    let effects = statement.query_map(
        params![history.owner.uuid().as_bytes(), code, from, before.at, before.seq, limit as i64 + 1],
        |row| read_effect(row, kinds),
    )?;
    Ok((effects.collect::<rusqlite::Result<_>>()?, version))
}

pub(super) fn history_summary(
    connection: &Connection,
    history: &History,
    code: u8,
) -> rusqlite::Result<HistorySummary> {
    // One snapshot for both statements.
    let transaction = connection.unchecked_transaction()?;
    let version = history_version(&transaction, history.owner, code)?;
    // The sum in two parts: the largest amounts, a thousand million of them, fit into both.
    let mut statement = transaction.prepare_cached(
        "SELECT count(*), coalesce(sum(amount / 100000000), 0), coalesce(sum(amount % 100000000), 0), min(at), max(at)
         FROM effects WHERE owner = ?1 AND kind = ?2 AND at >= ?3 AND at < ?4",
    )?;
    let owner = history.owner.uuid();
    statement.query_row(params![owner.as_bytes(), code, history.first(), history.end()], |row| {
        let (high, low): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok(HistorySummary {
            count: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            total: i128::from(high) * 100_000_000 + i128::from(low),
            first_at: row.get::<_, Option<i64>>(3)?.map(Instant::from_micros),
            last_at: row.get::<_, Option<i64>>(4)?.map(Instant::from_micros),
            version,
        })
    })
}
