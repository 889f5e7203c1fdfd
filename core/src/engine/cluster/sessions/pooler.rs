//! Whether a connection is one session: a pooler in transaction or statement mode gives each statement whatever
//! connection is free, and with it somebody else's settings, prepared statements and locks.

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row, SqlSafeStr};

use super::{Sessions, fitness};

/// How often one session is asked which it is.
const ASKED: usize = 3;

impl Sessions {
    /// Refuses a pooler that shares sessions: two connections must be two sessions, and stay them.
    pub(in crate::engine::cluster) async fn refuse_sharing(&self, first: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mine = session(first, "SELECT pg_backend_pid()::text AS id").await?;
        let mut second = self.connect(super::PATIENT).await?;
        let ended = compare(first, &mut second, &mine).await;
        // Ends its transaction as well.
        let _ = sqlx::Connection::close(second).await;
        ended
    }
}

async fn compare(first: &mut PgConnection, second: &mut PgConnection, mine: &str) -> Result<(), sqlx::Error> {
    // Idle, it lends us the first one's session; in a transaction it keeps one, and the first gets another.
    let mut theirs = session(second, "SELECT pg_backend_pid()::text AS id").await?;
    if theirs != mine {
        theirs = session(second, "BEGIN; SELECT pg_backend_pid()::text AS id").await.map_err(|error| match &error {
            // What a pooler in statement mode says about transactions.
            sqlx::Error::Database(database) if database.code().as_deref() == Some("08P01") => fitness::sharing().into(),
            _ => error,
        })?;
    }
    let mut shared = theirs == mine;
    for _ in 0..ASKED {
        shared = shared || session(first, "SELECT pg_backend_pid()::text AS id").await? != mine;
    }
    if shared { Err(fitness::sharing().into()) } else { Ok(()) }
}

async fn session(connection: &mut PgConnection, statement: &'static str) -> Result<String, sqlx::Error> {
    let asked = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(statement).into_sql_str()));
    let row = tokio::time::timeout(super::PATIENT, asked).await.unwrap_or_else(|_| Err(super::late()))?;
    row.try_get("id")
}
