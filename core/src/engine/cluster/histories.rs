//! What tasks left behind: an owner's effects of one kind, one task's, and what they come to.

use uuid::Uuid;

use super::failure::classify_write;
use super::kinds::learn;
use super::reads::{code, read};
use super::rows::{json_of, kind_of, unreadable};
use super::shared::Shared;
use crate::engine::EngineError;
use crate::engine::rows::HistoryPlace;
use crate::ids::{TaskId, UserId};
use crate::tasks::{History, HistorySummary, Kind, StoredEffect};
use crate::time::Instant;

/// A row of `effects`, as statements read it whose kind is known.
struct EffectRow {
    id: Uuid,
    task: Uuid,
    owner: Option<Uuid>,
    slot: Option<String>,
    data: String,
    active: bool,
    at: i64,
    replaces: Option<Uuid>,
    seq: i64,
}

impl EffectRow {
    fn effect(self, kind: Kind) -> Result<StoredEffect, EngineError> {
        Ok(StoredEffect {
            id: self.id,
            task: TaskId::from_uuid(self.task),
            kind,
            owner: self.owner.map(UserId::from_uuid),
            slot: self.slot,
            data: json_of(Some(self.data))?.unwrap_or_default(),
            is_active: self.active,
            at: Instant::from_micros(self.at),
            replaces: self.replaces,
            seq: self.seq,
        })
    }
}

pub(super) async fn all(shared: &Shared, owner: UserId, kind: Kind) -> Result<Vec<StoredEffect>, EngineError> {
    let Some(code) = code(shared, kind).await? else { return Ok(Vec::new()) };
    let rows = read(|| {
        sqlx::query_as!(
            EffectRow,
            "SELECT id, task, owner, slot, data, active, at, replaces, seq FROM effects
             WHERE owner = $1 AND kind = $2 ORDER BY at DESC, seq DESC",
            owner.uuid(),
            code
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    rows.into_iter().map(|row| row.effect(kind)).collect()
}

pub(super) async fn one(shared: &Shared, task: TaskId) -> Result<Option<StoredEffect>, EngineError> {
    let row = read(|| {
        sqlx::query!(
            "SELECT id, task, kind, owner, slot, data, active, at, replaces, seq FROM effects WHERE task = $1",
            task.uuid()
        )
        .fetch_optional(&shared.pool)
    })
    .await?;
    let Some(row) = row else { return Ok(None) };
    learn(shared, [row.kind]).await?;
    let kind = kind_of(row.kind, &shared.kinds)?.kind;
    let (id, task, owner, slot, data) = (row.id, row.task, row.owner, row.slot, row.data);
    let (active, at, replaces, seq) = (row.active, row.at, row.replaces, row.seq);
    EffectRow { id, task, owner, slot, data, active, at, replaces, seq }.effect(kind).map(Some)
}

pub(super) async fn version(shared: &Shared, owner: UserId, kind: Kind) -> Result<i64, EngineError> {
    let Some(code) = code(shared, kind).await? else { return Ok(0) };
    // Times follow the order of commits, so the newest is the last by either.
    let found = read(|| {
        sqlx::query_scalar!(
            "SELECT seq FROM effects WHERE owner = $1 AND kind = $2 ORDER BY at DESC, seq DESC LIMIT 1",
            owner.uuid(),
            code
        )
        .fetch_optional(&shared.pool)
    })
    .await?;
    Ok(found.unwrap_or(0))
}

/// Effects of a history before a place in it, newest first, one more than asked for if there is one, and the version.
pub(super) async fn page(
    shared: &Shared,
    history: &History,
    before: HistoryPlace,
    limit: usize,
) -> Result<(Vec<StoredEffect>, i64), EngineError> {
    let Some(code) = code(shared, history.kind).await? else { return Ok((Vec::new(), 0)) };
    let before = before.bounded(history.to);
    let rows = read(|| {
        // One statement, so that both are of one snapshot. The version stands alone if there is nothing else.
        sqlx::query!(
            r#"SELECT v.version AS "version!", f.id AS "id?", f.task AS "task?", f.slot, f.data AS "data?",
                      f.active AS "active?", f.at AS "at?", f.replaces, f.seq AS "seq?"
               FROM (
                   SELECT coalesce((SELECT n.seq FROM effects n WHERE n.owner = $1 AND n.kind = $2
                                    ORDER BY n.at DESC, n.seq DESC LIMIT 1), 0) AS version
               ) v LEFT JOIN LATERAL (
                   SELECT e.* FROM effects e
                   WHERE e.owner = $1 AND e.kind = $2 AND e.at >= $3 AND (e.at, e.seq) < ($4, $5)
                   ORDER BY e.at DESC, e.seq DESC LIMIT $6
               ) f ON true ORDER BY f.at DESC, f.seq DESC"#,
            history.owner.uuid(),
            code,
            history.first(),
            before.at,
            before.seq,
            i64::try_from(limit + 1).unwrap_or(i64::MAX)
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    let version = rows.first().map_or(0, |row| row.version);
    let owner = Some(history.owner.uuid());
    let effects = rows.into_iter().filter_map(|row| {
        let (id, task, data, active, at, seq) = (row.id?, row.task?, row.data?, row.active?, row.at?, row.seq?);
        let (slot, replaces) = (row.slot, row.replaces);
        Some(EffectRow { id, task, owner, slot, data, active, at, replaces, seq }.effect(history.kind))
    });
    Ok((effects.collect::<Result<_, _>>()?, version))
}

pub(super) async fn summary(shared: &Shared, history: &History) -> Result<HistorySummary, EngineError> {
    let Some(code) = code(shared, history.kind).await? else { return Ok(HistorySummary::default()) };
    let row = read(|| {
        sqlx::query!(
            r#"SELECT count(*) AS "count!", coalesce(sum(amount), 0)::text AS "total!", min(at) AS first, max(at) AS last,
                      coalesce((SELECT n.seq FROM effects n WHERE n.owner = $1 AND n.kind = $2
                                ORDER BY n.at DESC, n.seq DESC LIMIT 1), 0) AS "version!"
               FROM effects WHERE owner = $1 AND kind = $2 AND at >= $3 AND at < $4"#,
            history.owner.uuid(),
            code,
            history.first(),
            history.end()
        )
        .fetch_one(&shared.pool)
    })
    .await?;
    Ok(HistorySummary {
        count: u64::try_from(row.count).unwrap_or(0),
        total: row.total.parse().map_err(|_| unreadable("sum"))?,
        first_at: row.first.map(Instant::from_micros),
        last_at: row.last.map(Instant::from_micros),
        version: row.version,
    })
}

/// Rows changed in one statement.
const BATCH: u64 = 1_000;

/// Takes what an owner's effects of one kind say out of the ledger.
pub(super) async fn forget(shared: &Shared, owner: UserId, kind: Kind) -> Result<u64, EngineError> {
    let Some(code) = code(shared, kind).await? else { return Ok(0) };
    let mut all = 0;
    loop {
        let done = sqlx::query!(
            "UPDATE effects SET owner = NULL, slot = NULL, data = '{}'
             WHERE task IN (SELECT task FROM effects WHERE owner = $1 AND kind = $2 LIMIT $3)",
            owner.uuid(),
            code,
            BATCH as i64
        )
        .execute(&shared.pool)
        .await
        .map_err(classify_write)?;
        all += done.rows_affected();
        if done.rows_affected() < BATCH {
            return Ok(all);
        }
    }
}
