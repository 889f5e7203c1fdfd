//! The engine for more than one machine: Postgres is the ledger, Redis Streams are the delivery.
//!
//! ```text
//!  accept ──► lane ──one statement a batch──► Postgres ──► notifier ──► Redis ◄── claim
//!                                               ▲  │                    ▲
//!  settle ──► lane ─────────────────────────────┘  └──── sweep ─────────┘
//!                      └─► messages through Redis ─► other processes' subscribers
//! ```
//!
//! Redis may be away or lose everything: that only delays. With Postgres away accepts are refused, and nothing is lost.

mod accept;
mod accounts;
mod address;
mod budgets;
mod claim;
mod clean;
mod clock;
mod copies;
mod delivery;
mod failure;
mod histories;
mod kinds;
mod lane;
mod log;
mod messages;
mod open;
mod operate;
mod overlay;
mod reads;
mod retention;
mod revoked;
mod rows;
mod seam;
mod sessions;
mod settle;
mod shared;
mod sweep;
#[cfg(test)]
mod tests;
mod user_sessions;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::accept::Accepting;
pub use self::address::{Address, Located, locate};
use self::delivery::{Delivery, Link, Notifier};
pub use self::delivery::{RedisReport, RedisTrouble};
use self::lane::Lane;
pub use self::open::{Migrated, look, migrate, migrate_copy};
use self::sessions::{PATIENT, Sessions};
use self::settle::Ending;
use self::shared::Shared;
use super::hub::Hub;
use super::kinds::Kinds;
use super::{EngineError, KnownKind, Store};
use crate::settings::Settings;

/// The engine. Made by [`open`].
pub struct ClusterEngine {
    shared: Arc<Shared>,
    /// None once the engine is closed.
    lanes: Mutex<Option<Arc<Lanes>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

struct Lanes {
    accepts: Lane<Accepting>,
    ends: Lane<Ending>,
}

/// Connects, brings the schema up to date (under a lock, once among all that try) and starts the engine's tasks. Needs
/// a tokio runtime.
///
/// # Errors
/// `Broken`: the schema is from a newer version, Postgres refused the login, or an address means nothing.
/// `Unavailable`: Postgres can't be reached. A Redis that is away is no error: it only delays.
pub async fn open(address: &Address, settings: &Settings, kinds: &[KnownKind]) -> Result<Store, EngineError> {
    let engine = Arc::new(open_engine(address, settings, kinds).await?);
    Ok(Store { engine: Arc::<ClusterEngine>::clone(&engine), accounts: engine })
}

/// Tries a Redis out as every process does when it opens: whether it lets us in, and lets us do what delivery needs.
///
/// # Errors
/// It is there and can't be used as it is, or its address is none. A Redis that is away is no error.
pub async fn try_redis(address: &str, prefix: &str) -> Result<RedisReport, RedisTrouble> {
    let link = Link::new(address, prefix)
        .map_err(|error| RedisTrouble { reason: error.shared().to_string(), fix: "correct the address" })?;
    delivery::try_out(&link, prefix).await
}

async fn open_engine(
    address: &Address,
    settings: &Settings,
    kinds: &[KnownKind],
) -> Result<ClusterEngine, EngineError> {
    let sessions = Sessions::new(&address.database)?;
    // Before anything is changed: an address may be no address.
    let link = Link::new(&address.redis, &settings.delivery.prefix)?;
    let pool = open::prepare(&sessions, kinds).await?;
    // Made now: a server that has none left for the writers is one that accepts nothing.
    let (accepts, ends) = (sessions.connect(PATIENT), sessions.connect(PATIENT));
    let (accepts, ends) = tokio::try_join!(accepts, ends).map_err(failure::at_start)?;
    delivery::try_out(&link, &settings.delivery.prefix).await?;
    let namespace = copies::namespace(&pool, &settings.delivery.prefix).await?;
    let ledger = open::ledger(&pool).await?;
    let delivery = Arc::new(Delivery::new(link, &namespace, settings.delivery.limit));
    let (notifier, mut tasks) = Notifier::start(&delivery);
    let shared = Arc::new(Shared {
        pool,
        sessions: Arc::clone(&sessions),
        delivery,
        kinds: Kinds::default(),
        notifier,
        hub: Arc::new(Hub::default()),
        clock: clock::Clock::default(),
        origin: rand::random(),
        told: 0.into(),
        listens: false.into(),
        look: tokio::sync::Notify::new(),
        revoked: revoked::Revoked::default(),
        aside: tokio::sync::Mutex::default(),
        ledger,
        ledger_away: false.into(),
        stop: CancellationToken::new(),
    });
    kinds::learn_all(&shared).await?;
    watch::look_once(&shared, &mut watch::Seen::default()).await?;
    revoked::read_once(&shared).await?;
    copies::wait_for_others(&shared).await?;
    let limit = settings.ledger.batch_limit;
    let (accepts, accepting) = Lane::start(&sessions, accepts, Arc::new(Accepting(Arc::clone(&shared))), limit);
    let (ends, ending) = Lane::start(&sessions, ends, Arc::new(Ending(Arc::clone(&shared))), limit);
    tasks.extend([accepting, ending]);
    tasks.push(tokio::spawn(watch::listen(Arc::clone(&shared))));
    tasks.push(tokio::spawn(watch::look(Arc::clone(&shared))));
    tasks.push(tokio::spawn(watch::policy(Arc::clone(&shared))));
    tasks.push(tokio::spawn(revoked::follow(Arc::clone(&shared))));
    tasks.push(tokio::spawn(sweep::run(Arc::clone(&shared), settings.ledger.event_retention, settings.worker.lease)));
    let lanes = Mutex::new(Some(Arc::new(Lanes { accepts, ends })));
    Ok(ClusterEngine { shared, lanes, tasks: Mutex::new(tasks) })
}

/// An engine that nobody closed ends its tasks all the same.
impl Drop for ClusterEngine {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.shared.notifier.close();
    }
}

impl ClusterEngine {
    fn lanes(&self) -> Result<Arc<Lanes>, EngineError> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(failure::closed)
    }

    fn check_open(&self) -> Result<(), EngineError> {
        if self.shared.stop.is_cancelled() { Err(failure::closed()) } else { Ok(()) }
    }

    /// Writes what waits, tells what is to be told, and ends every task.
    async fn shut(&self) {
        self.shared.stop.cancel();
        // The lanes end when what waits is written and the last caller has its answer.
        drop(self.lanes.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.shared.delivery.wake_up.notify_waiters();
        self.shared.hub.announce_all();
        self.shared.notifier.close();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            // A task that panicked has said so.
            let _ = tokio::time::timeout(Duration::from_secs(10), task).await;
        }
        // Or they would be taken for alive for a while.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.shared.delivery.leave()).await;
        self.shared.pool.close().await;
    }
}
