//! Removing a run: its tasks, events, effects and generated users, a batch at a time.
//!
//! What a person did under the run's name stays, also when the person has left: the name is a header that any caller can
//! send, and whose a task is was decided when it was accepted.

use uuid::Uuid;

use super::ClusterEngine;
use super::delivery::{Letting, QueueId};
use super::failure::classify_write;
use super::kinds::learn;
use super::reads::read;
use super::revoked;
use super::rows::{kind_of, priority_of_row, shard_of};
use crate::engine::{Cleaned, EngineError};
use crate::ids::{RunId, TaskId, UserId};

/// Tasks or users removed in one turn: others wait some milliseconds at most.
const BATCH: i64 = 500;

pub(super) async fn run(engine: &ClusterEngine, run: &RunId) -> Result<Cleaned, EngineError> {
    let pool = &engine.shared.pool;
    let mut cleaned = Cleaned::default();
    loop {
        let tasks = read(|| {
            sqlx::query_scalar!(
                r#"SELECT e.task FROM events e
                   WHERE e.run = $1 AND e.seq = e.accepted_seq
                     AND NOT EXISTS (SELECT 1 FROM personal_tasks p WHERE p.task = e.task) LIMIT $2"#,
                run.as_str(),
                BATCH
            )
            .fetch_all(pool)
        })
        .await?;
        cleaned.tasks += remove(engine, &tasks).await?;
        if (tasks.len() as i64) < BATCH {
            break;
        }
    }
    // Open since before what the log still has.
    let old = read(|| {
        sqlx::query_scalar!(
            "SELECT t.id FROM tasks t
             WHERE t.run = $1 AND NOT EXISTS (SELECT 1 FROM personal_tasks p WHERE p.task = t.id)",
            run.as_str()
        )
        .fetch_all(pool)
    })
    .await?;
    cleaned.tasks += remove(engine, &old).await?;
    loop {
        let users = read(|| {
            sqlx::query_scalar!("SELECT id FROM users WHERE run = $1 LIMIT $2", run.as_str(), BATCH).fetch_all(pool)
        })
        .await?;
        // What they own outside the run goes with them: they were made for it.
        let tasks = read(|| {
            sqlx::query_scalar!(
                r#"SELECT e.task FROM events e WHERE e.owner = ANY ($1) AND e.seq = e.accepted_seq"#,
                &users
            )
            .fetch_all(pool)
        })
        .await?;
        for tasks in tasks.chunks(BATCH as usize) {
            cleaned.tasks += remove(engine, tasks).await?;
        }
        let ids: Vec<UserId> = users.iter().map(|id| UserId::from_uuid(*id)).collect();
        cleaned.users += engine.delete_users(&ids).await?;
        if (users.len() as i64) < BATCH {
            if cleaned.users > 0 {
                revoked::in_force().await;
            }
            return Ok(cleaned);
        }
    }
}

async fn remove(engine: &ClusterEngine, tasks: &[Uuid]) -> Result<u64, EngineError> {
    if tasks.is_empty() {
        return Ok(0);
    }
    let open = read(|| {
        sqlx::query!("SELECT id, kind, owner, priority FROM tasks WHERE id = ANY ($1)", tasks)
            .fetch_all(&engine.shared.pool)
    })
    .await?;
    sqlx::query!("SELECT count(*) FROM remove_tasks($1)", tasks)
        .fetch_one(&engine.shared.pool)
        .await
        .map_err(classify_write)?;
    learn(&engine.shared, open.iter().map(|row| row.kind)).await?;
    for row in open {
        let shard = shard_of(row.owner.map(UserId::from_uuid));
        let kind = kind_of(row.kind, &engine.shared.kinds)?.code;
        let queue = QueueId::new(kind, priority_of_row(row.priority));
        engine.shared.notifier.let_go(Letting { shard, queue, task: TaskId::from_uuid(row.id) });
    }
    Ok(tasks.len() as u64)
}
