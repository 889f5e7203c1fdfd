//! Whether a session can carry what we promise: set, read back, compared.

use std::fmt;

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row, SqlSafeStr};

use super::super::failure::Cause;

/// Why a connection is not used though it was made.
#[derive(Debug)]
pub(in crate::engine::cluster) struct Unfit {
    pub(in crate::engine::cluster) cause: Cause,
    pub(in crate::engine::cluster) message: String,
    pub(in crate::engine::cluster) fix: Option<&'static str>,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unfit {}

impl From<Unfit> for sqlx::Error {
    fn from(unfit: Unfit) -> Self {
        Self::Configuration(Box::new(unfit))
    }
}

/// What a 2xx promises must not depend on how the server, the role or a pooler is set up. Of the schemas on the search
/// path the first one counts, alone: a table of another platform's must never be taken for ours.
const SET: &str = "
    SELECT set_config('synchronous_commit',
                      CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
           set_config('default_transaction_isolation', 'read committed', false),
           set_config('statement_timeout', '30s', false),
           set_config('lock_timeout', '0', false),
           -- Postgres 13 does not know it, and is to be told that it is too old.
           CASE WHEN current_setting('idle_session_timeout', true) IS NOT NULL
                THEN set_config('idle_session_timeout', '0', false) END,
           set_config('client_encoding', 'UTF8', false),
           set_config('TimeZone', 'UTC', false),
           -- Our statements follow an index in its order. While there are no statistics, to read everything and sort it
           -- looks cheaper to Postgres. What has no index is then taken for so dear that it would be compiled first.
           set_config('enable_seqscan', 'off', false),
           set_config('enable_bitmapscan', 'off', false),
           set_config('jit', 'off', false),
           set_config('search_path', coalesce(quote_ident(current_schema()) || ', pg_temp', current_setting('search_path')), false)";

/// A statement of its own: what it finds is what later statements will find.
const LOOK: &str = "
    SELECT current_setting('server_version_num')::text AS version,
           current_setting('server_encoding') AS encoding,
           (current_schema() IS NOT NULL)::text AS schema,
           pg_is_in_recovery()::text AS recovering,
           current_setting('transaction_read_only') AS read_only,
           current_setting('fsync') AS fsync,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('transaction_isolation') AS isolation,
           current_setting('statement_timeout') AS statement_timeout,
           current_setting('client_encoding') AS client_encoding,
           current_setting('enable_seqscan') AS enable_seqscan,
           coalesce(current_setting('search_path') = quote_ident(current_schema()) || ', pg_temp', false)::text AS pinned,
           pg_postmaster_start_time()::text AS started";

/// The oldest Postgres that the schema works on.
const OLDEST: i64 = 140_000;

/// Sets the session up and looks at it. Answers when the server process was started.
pub(super) async fn prepare(
    connection: &mut PgConnection,
    settings: &[(String, String)],
) -> Result<String, sqlx::Error> {
    for (name, value) in settings {
        // Not kept: behind a pooler a named statement may be another client's.
        let set = sqlx::query("SELECT set_config($1, $2, false)").bind(name).bind(value).persistent(false);
        set.execute(&mut *connection).await?;
    }
    connection.execute(sqlx::raw_sql(AssertSqlSafe(SET).into_sql_str())).await?;
    let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(LOOK).into_sql_str())).await?;
    let found = |name: &str| row.try_get::<String, _>(name);
    let refused = |message: String, fix| Err(Unfit { cause: Cause::Refused, message, fix: Some(fix) }.into());
    let version = found("version")?;
    if version.parse::<i64>().is_ok_and(|version| version < OLDEST) {
        return refused(format!("Postgres is of version {version}, and 14 is the oldest that works"), "upgrade it");
    }
    let encoding = found("encoding")?;
    if encoding != "UTF8" {
        return refused(
            format!("the database's encoding is {encoding}, which can't hold every text"),
            "create one that can: CREATE DATABASE NAME TEMPLATE template0 ENCODING 'UTF8'",
        );
    }
    if found("schema")? != "true" {
        return refused(
            "no schema of the search_path is there, or none may be used".to_owned(),
            "CREATE SCHEMA NAME, or correct the role's search_path (ALTER ROLE NAME SET search_path)",
        );
    }
    // A standby, or an old primary that was told to take no more writes.
    if found("recovering")? == "true" || found("read_only")? == "on" {
        let message = "this Postgres takes no writes: it is a standby, or was made read-only".to_owned();
        return Err(Unfit {
            cause: Cause::Demoted,
            message,
            fix: Some("name the primary, or all servers: host-a,host-b"),
        }
        .into());
    }
    if found("fsync")? != "on" {
        return refused(
            "Postgres runs with fsync = off: accepted tasks would not survive a power loss".to_owned(),
            "set fsync = on in postgresql.conf, and reload it",
        );
    }
    let expected = [
        ("isolation", "read committed"),
        ("statement_timeout", "30s"),
        ("client_encoding", "UTF8"),
        ("enable_seqscan", "off"),
        ("pinned", "true"),
    ];
    let mut kept = matches!(found("synchronous_commit")?.as_str(), "on" | "remote_apply");
    for (name, value) in expected {
        kept &= found(name)? == value;
    }
    if !kept {
        return Err(sharing().into());
    }
    found("started")
}

/// Settings of the session that are gone with the next statement.
pub(super) fn sharing() -> Unfit {
    Unfit {
        cause: Cause::Refused,
        message: "a session keeps no settings here: a pooler hands the connection to others between two statements"
            .to_owned(),
        fix: Some("set the pooler to session mode (PgBouncer: pool_mode = session), or name Postgres itself"),
    }
}
