//! The conformance suite on Postgres and Redis, and what only these two can do wrong.

mod accounts;
mod again;
mod checked;
mod collations;
mod copied;
mod deliveries;
mod few;
mod kinds;
mod lost;
mod nodes;
mod opening;
mod plans;
mod pooled;
mod refused;
mod retained;
mod roles;
mod schemas;
mod several;
mod switchover;
mod trial;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::{sleep, timeout};

use super::delivery::{Place, QueueId};
use super::rows::SHARDS;
use super::*;
use crate::engine::conformance;
use crate::engine::conformance::{KINDS, Testbed, done, engine_conformance, request};
use crate::engine::{Accepted, ClaimRequest, Engine, EventFilter, Lease, Log, Operations, Settled, Tasks, Work};
use crate::ids::WorkerId;
use crate::ids::{RunId, TaskId};
use crate::settings::Settings;
use crate::tasks::{End, NewTask, Priority, Status};
use crate::testing::{Database, Postgres, PostgresOptions, Proxy};
use crate::time::Instant;

/// How long anything here may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(45);

struct Bed {
    store: Store,
    engine: Arc<ClusterEngine>,
    address: Address,
    settings: Settings,
    database: Database,
}

async fn start(database: Database) -> Bed {
    let redis = database.redis().to_owned();
    start_with(database, redis, |_| {}).await
}

/// With another Redis, and other settings than the defaults.
async fn start_with(database: Database, redis: String, set: impl FnOnce(&mut Settings)) -> Bed {
    let address = Address { database: database.url().to_owned(), redis };
    let mut settings = Settings::default();
    settings.delivery.prefix = database.prefix().to_owned();
    set(&mut settings);
    let engine = Arc::new(open_engine(&address, &settings, &KINDS).await.unwrap());
    let store = Store { engine: Arc::<ClusterEngine>::clone(&engine), accounts: Arc::<ClusterEngine>::clone(&engine) };
    Bed { store, engine, address, settings, database }
}

/// An engine on a ledger by another address than the database's own, with a Redis and a prefix of its own.
async fn open_at(address: &str, beside: &Database) -> Result<Arc<ClusterEngine>, EngineError> {
    let address = Address { database: address.to_owned(), redis: beside.redis().to_owned() };
    let mut settings = Settings::default();
    settings.delivery.prefix = beside.prefix().to_owned();
    open_engine(&address, &settings, &KINDS).await.map(Arc::new)
}

/// Runs statements one by one, each for itself.
async fn execute(database: &str, statements: &[&str]) {
    let mut connection = PgConnection::connect(database).await.unwrap();
    for statement in statements {
        let done = sqlx::raw_sql(AssertSqlSafe((*statement).to_owned())).execute(&mut connection).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    connection.close().await.unwrap();
}

/// One value.
async fn ask<T>(database: &str, statement: &str) -> T
where
    T: Send + Unpin + for<'row> sqlx::Decode<'row, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let mut connection = PgConnection::connect(database).await.unwrap();
    let asked = sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_one(&mut connection).await;
    asked.unwrap_or_else(|error| panic!("{statement}: {error}"))
}

impl Testbed for Bed {
    async fn new() -> Self {
        start(Database::create()).await
    }

    fn store(&self) -> &Store {
        &self.store
    }

    /// Redis is this engine's memory.
    async fn restart(self) -> Self {
        self.engine.close().await;
        self.forget().await;
        start(self.database).await
    }

    async fn forget(&self) {
        self.database.wipe_redis();
    }
}

engine_conformance!(Bed);

/// Every shard of the two kinds that tests fill Redis with, of the priority that most have.
fn every_place(bed: &Bed) -> impl Iterator<Item = &Place> {
    let codes = KINDS[..2].iter().map(|known| known.code);
    codes.flat_map(move |code| {
        (0..SHARDS).map(move |shard| bed.engine.shared.delivery.keys.place(shard, QueueId::new(code, Priority::Normal)))
    })
}

impl Bed {
    /// Another process on the same ledger and delivery.
    async fn beside(&self) -> Arc<ClusterEngine> {
        Arc::new(open_engine(&self.address, &self.settings, &KINDS).await.unwrap())
    }

    /// Waits until so many processes hear each other's messages.
    async fn hearing(&self, processes: u64) {
        let client = redis::Client::open(self.address.redis.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let keys = &self.engine.shared.delivery.keys;
        // Subscribed to last: who hears of it hears of all.
        let channel = &keys.note;
        eventually("all processes listen", async || {
            let (_, listeners): (String, u64) =
                redis::cmd("PUBSUB").arg("NUMSUB").arg(channel).query_async(&mut connection).await.unwrap();
            listeners >= processes
        })
        .await;
    }
}

/// Looks until it is so.
async fn eventually(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !look().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"));
}

/// Accepts tasks at once, however often it takes.
async fn accept_all(engine: &ClusterEngine, tasks: Vec<NewTask>) -> Vec<TaskId> {
    let accepts = tasks.into_iter().map(async |new| match persist(|| engine.accept(new.clone())).await {
        Accepted::New(task, _) => task.id,
        other => panic!("not new: {other:?}"),
    });
    join_all(accepts).await
}

/// Does a thing again until it ends other than with an error that trying again can help against.
async fn persist<T, F>(mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, EngineError>>,
{
    let trying = async {
        loop {
            match attempt().await {
                Ok(done) => return done,
                Err(error) if error.is_retryable() => sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{:?}: {error}, {error:?}", error.kind()),
            }
        }
    };
    timeout(PATIENCE, trying).await.expect("works within the time")
}

/// Counts what several workers have done together.
#[derive(Clone, Default)]
struct Tally(Arc<AtomicUsize>);

impl Tally {
    fn reached(&self, goal: usize) -> bool {
        self.0.load(Ordering::Acquire) >= goal
    }
}

/// A worker in a process: claims and settles until `goal` settles took effect, among all who share the tally. Answers
/// the tasks it was handed, as often as it was.
async fn work(engine: Arc<ClusterEngine>, tally: Tally, goal: usize) -> Vec<TaskId> {
    let working = async {
        let worker = WorkerId::new();
        let mut handed = Vec::new();
        while !tally.reached(goal) {
            let ask = ClaimRequest { max: 50, wait: Duration::from_millis(200), ..request(worker) };
            let claims = persist(|| engine.claim(&ask)).await;
            handed.extend(claims.iter().map(|claim| claim.lease.task));
            let settles = claims.iter().map(|claim| {
                let engine = &engine;
                persist(move || engine.end(&claim.lease, claim.started_at, End::Settle(done())))
            });
            let applied = join_all(settles).await.into_iter().filter(|settled| *settled == Settled::Applied).count();
            tally.0.fetch_add(applied, Ordering::AcqRel);
        }
        handed
    };
    timeout(PATIENCE, working).await.unwrap_or_else(|_| panic!("{} of {goal} settled", tally.0.load(Ordering::Acquire)))
}
