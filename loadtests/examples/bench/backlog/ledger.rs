//! What the ledger itself knows of it: how fast tasks were worked off by its own clock, and how large it is.

use sqlx::{PgConnection, Row};

use crate::Failed;

/// Claimed and settled a second, from the first begin to the last end.
pub(super) struct Pace {
    pub(super) tasks: i64,
    pub(super) rate: f64,
}

/// The newest place in the log.
pub(super) async fn place(ledger: &mut PgConnection) -> Result<i64, Failed> {
    Ok(sqlx::query_scalar("SELECT last_seq FROM books ORDER BY page DESC LIMIT 1").fetch_one(ledger).await?)
}

/// Of all that succeeded after this place. No pause between a resume and the first claim is in it.
pub(super) async fn pace(ledger: &mut PgConnection, after: i64) -> Result<Pace, Failed> {
    let statement = "SELECT count(*), min(started_at), max(at) FROM events WHERE seq > $1 AND status = 4";
    let (tasks, begun, ended): (i64, Option<i64>, Option<i64>) =
        sqlx::query_as(statement).bind(after).fetch_one(ledger).await?;
    let (begun, ended) = begun.zip(ended).ok_or("nothing was settled")?;
    Ok(Pace { tasks, rate: tasks as f64 * 1e6 / (ended - begun) as f64 })
}

/// A line for each table that grows: its size, that of its indexes, and what Postgres believes of its rows.
pub(super) async fn sizes(ledger: &mut PgConnection) -> Result<Vec<String>, Failed> {
    let statement = "
        SELECT coalesce(i.inhparent::regclass::text, c.relname::text) AS name,
               sum(pg_table_size(c.oid))::float8 / 1e6 AS table_mb, sum(pg_indexes_size(c.oid))::float8 / 1e6 AS indexes_mb,
               sum(greatest(c.reltuples, 0))::bigint AS rows, sum(s.n_dead_tup)::bigint AS dead,
               sum(s.autovacuum_count)::bigint AS vacuums, sum(s.autoanalyze_count)::bigint AS analyzes
        FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
        WHERE c.relkind = 'r' GROUP BY 1 HAVING sum(pg_total_relation_size(c.oid)) > 1000000 ORDER BY 2 DESC";
    let rows = sqlx::query(statement).fetch_all(ledger).await?;
    let line = |row: &sqlx::postgres::PgRow| {
        let (name, table, indexes): (String, f64, f64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let [rows, dead, vacuums, analyzes]: [i64; 4] =
            [row.try_get(3)?, row.try_get(4)?, row.try_get(5)?, row.try_get(6)?];
        Ok(format!(
            "  {name:<12} {table:>8.1} MB, indexes {indexes:>8.1} MB; believed rows {rows}, dead {dead}; autovacuum {vacuums} \
             times, autoanalyze {analyzes}"
        ))
    };
    rows.iter().map(line).collect()
}
