//! The ledger's kinds: telling it of ours, and hearing of those that other processes bring.

use sqlx::PgConnection;

use super::failure::at_start;
use super::reads::read;
use super::rows::unreadable;
use super::shared::Shared;
use crate::engine::EngineError;
use crate::engine::kinds::{KnownKind, missing};

/// Tells the ledger of the kinds that this program knows.
pub(super) async fn bring(connection: &mut PgConnection, ours: &[KnownKind]) -> Result<(), EngineError> {
    let there = all(&mut *connection).await.map_err(at_start)?;
    for KnownKind { code, kind, has_effect } in missing(ours, &known(there)?)? {
        sqlx::query!(
            "INSERT INTO kinds (code, name, has_effect) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            i16::from(code),
            kind.as_str(),
            has_effect
        )
        .execute(&mut *connection)
        .await
        .map_err(at_start)?;
    }
    // Another program may have been faster with something else.
    let there = known(all(&mut *connection).await.map_err(at_start)?)?;
    missing(ours, &there).map(drop)
}

/// Makes sure that we know the kinds of some rows: they were brought before the first task of theirs was accepted.
pub(super) async fn learn(shared: &Shared, codes: impl IntoIterator<Item = i16>) -> Result<(), EngineError> {
    if codes.into_iter().any(|code| shared.kinds.of(code.into()).is_none()) {
        learn_all(shared).await?;
    }
    Ok(())
}

/// Takes in every kind that the ledger knows.
pub(super) async fn learn_all(shared: &Shared) -> Result<(), EngineError> {
    let rows = read(|| async { all(&shared.pool).await }).await?;
    shared.kinds.learn(known(rows)?);
    Ok(())
}

struct Row {
    code: i16,
    name: String,
    has_effect: bool,
}

async fn all<'c>(executor: impl sqlx::PgExecutor<'c>) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(Row, "SELECT code, name, has_effect FROM kinds").fetch_all(executor).await
}

fn known(rows: Vec<Row>) -> Result<Vec<KnownKind>, EngineError> {
    rows.into_iter()
        .map(|row| {
            Ok(KnownKind {
                code: u8::try_from(row.code).map_err(|_| unreadable("code of a kind"))?,
                kind: row.name.parse().map_err(|_| unreadable("name of a kind"))?,
                has_effect: row.has_effect,
            })
        })
        .collect()
}
