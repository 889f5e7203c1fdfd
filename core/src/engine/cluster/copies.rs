//! Which ledger this is. A copy of a database carries the original's id; on the same Redis the two would hand out each
//! other's tasks. So a ledger remembers where it lies, which no dump can change: a copy finds itself elsewhere and is
//! refused until it is given an id of its own. What is copied with its server (a volume's snapshot, a standby that was
//! promoted while the old primary stays) lies where the original lay; there the later of two that are at work is refused.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::delivery::{TURN, Turn};
use super::failure;
use super::shared::Shared;
use crate::engine::{EngineError, ErrorKind};

/// After a switchover all processes look at the new server within so long.
const SWITCHOVER: Duration = Duration::from_secs(8);
/// Running processes are given longer: some of their connections may wait for a server that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(250);
const FOREIGN: &str = "another platform uses the same Redis with a copy of this ledger";
const FIX: &str = "if it is a copy (of a dump, a snapshot, a standby), stop what runs on it and give it an identity of its own: \
     card-server migrate --new-identity; docs/operations.md";

/// Where a ledger lies: in which server's data, which a standby has in common with its primary, and in which database and
/// schema of it, which a copy in the same server has not. The first may be unknown to a role with few rights.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    system: Option<String>,
    database: String,
}

impl Origin {
    async fn of(connection: &mut PgConnection) -> Result<Self, EngineError> {
        let database: String = sqlx::query_scalar(
            "SELECT d.oid || '.' || n.oid FROM pg_database d, pg_namespace n
             WHERE d.datname = current_database() AND n.nspname = current_schema()",
        )
        .fetch_one(&mut *connection)
        .await
        .map_err(failure::classify)?;
        // Some hosts don't let everybody ask.
        let system = sqlx::query_scalar("SELECT system_identifier::text FROM pg_control_system()")
            .fetch_one(connection)
            .await
            .ok();
        Ok(Self { system, database })
    }

    fn write(&self) -> String {
        format!("{}/{}", self.system.as_deref().unwrap_or("-"), self.database)
    }

    fn read(text: &str) -> Option<Self> {
        let (system, database) = text.split_once('/')?;
        Some(Self { system: (system != "-").then(|| system.to_owned()), database: database.to_owned() })
    }

    /// Whether the two may be the same place.
    fn agrees(&self, other: &Self) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
        self.database == other.database && same(&self.system, &other.system)
    }
}

/// Begins the names of everything in Redis: the prefix that was asked for, and the ledger that it is about, so that two
/// platforms on one Redis never hand out each other's tasks.
///
/// # Errors
/// `Broken`: the database is a copy of another.
pub(super) async fn namespace(pool: &PgPool, prefix: &str) -> Result<String, EngineError> {
    let mut connection = pool.acquire().await.map_err(failure::classify)?;
    let ledger = identify(&mut connection).await?.simple().to_string();
    Ok(format!("{prefix}:{}", &ledger[..12]))
}

/// Which ledger it is; where it lies is noted by the first who asks and may.
///
/// # Errors
/// `Broken`: it is a copy of another.
pub(super) async fn identify(connection: &mut PgConnection) -> Result<Uuid, EngineError> {
    let origin = Origin::of(connection).await?;
    let ledger =
        sqlx::query!("SELECT id, origin FROM ledger").fetch_one(&mut *connection).await.map_err(failure::classify)?;
    let Some(first) = ledger.origin.as_deref().and_then(Origin::read) else {
        let noted = sqlx::query!("UPDATE ledger SET origin = $1 WHERE origin IS NULL", origin.write());
        if let Err(error) = noted.execute(connection).await {
            tracing::debug!(%error, "the location of the ledger could not be stored");
        }
        return Ok(ledger.id);
    };
    if first.agrees(&origin) {
        return Ok(ledger.id);
    }
    let message = "the database is a copy: its ledger was made in another server, database or schema";
    Err(EngineError::new(ErrorKind::Broken, message).fixed_by(FIX))
}

/// Gives a ledger that is a copy an id of its own. What is in Redis under the old id is the original's.
pub(super) async fn renew(connection: &mut PgConnection) -> Result<(), EngineError> {
    let origin = Origin::of(connection).await?;
    sqlx::query!("UPDATE ledger SET id = gen_random_uuid(), origin = $1", origin.write())
        .execute(connection)
        .await
        .map_err(failure::classify_write)?;
    Ok(())
}

/// Waits until nobody sweeps for this ledger on another server of Postgres: just after a switchover some still do.
///
/// # Errors
/// `Broken`: they go on.
pub(super) async fn wait_for_others(shared: &Shared) -> Result<(), EngineError> {
    let ours = shared.delivery.server.load(std::sync::atomic::Ordering::Acquire);
    let begun = Instant::now();
    let mut last = None;
    while let Ok(Some(sweeper)) = shared.delivery.sweeper().await {
        let (_, theirs) = sweeper;
        if theirs == ours || theirs == 0 {
            return Ok(());
        }
        match last {
            // One that works says so all the time.
            Some((seen, at)) if seen == sweeper => {
                let since: Instant = at;
                if since.elapsed() > TURN {
                    return Ok(());
                }
            }
            _ => last = Some((sweeper, Instant::now())),
        }
        if begun.elapsed() > SWITCHOVER {
            return Err(EngineError::new(ErrorKind::Broken, FOREIGN).fixed_by(FIX));
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

pub(super) fn foreign() -> EngineError {
    EngineError::new(ErrorKind::Unavailable, FOREIGN).fixed_by(FIX)
}

/// What a process that runs hears of those on other servers.
#[derive(Debug, Default)]
pub(super) struct Watch {
    since: Option<Instant>,
}

impl Watch {
    /// After each try to take a turn.
    pub(super) fn heard(&mut self, shared: &Shared, turn: Option<Turn>) {
        let foreign = &shared.delivery.foreign;
        if turn != Some(Turn::Foreign) {
            self.since = None;
            if turn.is_some() && foreign.swap(false, std::sync::atomic::Ordering::AcqRel) {
                tracing::info!("no other copy of this ledger uses this Redis any more");
            }
            return;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE && !foreign.swap(true, std::sync::atomic::Ordering::AcqRel) {
            tracing::error!("{FOREIGN}: tasks are not dispatched; fix: {FIX}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::read(text).unwrap()
    }

    #[test]
    fn a_copy_lies_elsewhere_and_what_is_not_known_tells_nothing() {
        let original = origin("7001/16384");
        assert_eq!(origin(&original.write()), original);
        assert!(original.agrees(&origin("7001/16384")));
        assert!(!original.agrees(&origin("7001/16385")), "another database of the same server");
        assert!(!original.agrees(&origin("7002/16384")), "another server");
        assert!(original.agrees(&origin("-/16384")));
        assert!(!original.agrees(&origin("-/1")));
    }
}
