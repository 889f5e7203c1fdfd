//! The queries that the compiler checked, against the schema that the migrations make.

use std::fs;
use std::path::Path;

use sqlx::{AssertSqlSafe, Column, Connection, Either, Executor, PgConnection, SqlSafeStr, Statement, TypeInfo};

use super::*;

/// What `.sqlx` has of one query.
#[derive(serde::Deserialize)]
struct Recorded {
    query: String,
    describe: Described,
}

#[derive(serde::Deserialize)]
struct Described {
    columns: Vec<RecordedColumn>,
    parameters: RecordedParameters,
}

#[derive(serde::Deserialize)]
struct RecordedColumn {
    name: String,
    type_info: String,
}

#[derive(serde::Deserialize)]
struct RecordedParameters {
    #[serde(rename = "Left")]
    types: Vec<String>,
}

/// A type as the files write it, `Int8Array`, for one as Postgres does, `INT8[]`.
fn written(name: &str) -> String {
    name.replace("[]", "Array").to_lowercase()
}

/// Somebody who changes a migration and forgets `cargo sqlx prepare` compiles against a schema that is no more.
#[tokio::test]
async fn the_checked_queries_match_the_schema() {
    let database = Database::create();
    migrate(database.url()).await.unwrap();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let mut checked = 0;
    for file in fs::read_dir(folder).unwrap() {
        let recorded: Recorded = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
        let query = recorded.query.clone();
        let prepared = (&mut connection).prepare(AssertSqlSafe(recorded.query).into_sql_str()).await;
        let prepared = prepared.unwrap_or_else(|error| panic!("{error}\n{query}"));
        let columns: Vec<_> = prepared
            .columns()
            .iter()
            .map(|column| (column.name().to_owned(), written(column.type_info().name())))
            .collect();
        let expected: Vec<_> = recorded
            .describe
            .columns
            .into_iter()
            .map(|column| (column.name, column.type_info.to_lowercase()))
            .collect();
        assert_eq!(columns, expected, "columns of\n{query}");
        let Some(Either::Left(types)) = prepared.parameters() else { panic!("no types of parameters: {query}") };
        let types: Vec<_> = types.iter().map(|of| written(of.name())).collect();
        let expected: Vec<_> = recorded.describe.parameters.types.iter().map(|of| of.to_lowercase()).collect();
        assert_eq!(types, expected, "parameters of\n{query}");
        checked += 1;
    }
    assert!(checked > 40, "{checked} queries");
}
