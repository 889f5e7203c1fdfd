//! The embedded engine: one SQLite file is the ledger, a queue in memory is the delivery.
//!
//! One process at a time: a lock beside the file refuses a second one.

mod accept;
mod accounts;
mod books;
mod budgets;
mod checkpoint;
mod clean;
mod delivery;
mod log;
mod open;
mod operate;
mod queries;
mod readers;
mod rows;
mod sessions;
mod settle;
mod shared;
mod space;
mod sweep;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;
use uuid::Uuid;

use self::accept::Accept;
use self::books::Books;
use self::delivery::Delivery;
pub use self::open::SCHEMA_VERSION;
use self::readers::Readers;
use self::settle::EndAttempt;
use self::shared::Shared;
pub use self::space::check as room;
use self::writer::{Writer, classify, closed};
use super::hub::{Hub, Subscription};
use super::kinds::{Kinds, KnownKind};
use super::revocations::Revocations;
use super::rows::HistoryPlace;
use super::{
    Accepted, Cancelled, Claim, ClaimRequest, Cleaned, EffectChanges, EffectPage, Engine, EngineError, ErrorKind,
    EventFilter, EventPage, EventSeq, Lease, Log, Operations, Retried, Settled, Store, Tasks, Work, claim_or_wait,
    rows as common, text,
};
use crate::ids::{RunId, TaskId, UserId};
use crate::settings;
use crate::tasks::{
    Attempt, End, History, HistoryPage, HistorySummary, Kind, NewTask, Stats, Status, StoredEffect, Task, TaskFilter,
    TaskPage,
};
use crate::time::Instant;

/// The engine. Made by [`open`].
pub struct SqliteEngine {
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    writer: Arc<Writer>,
    path: PathBuf,
    ledger: Uuid,
}

/// Opens (and creates or migrates) the ledger at `path` and starts its threads and its sweep. Needs a tokio runtime.
///
/// # Errors
/// `Broken`, with the file untouched: damaged, from a newer version, of another program, read-only, in use by another
/// process. `DiskFull`: the disk is full.
pub async fn open(path: &Path, settings: &settings::Ledger, kinds: &[KnownKind]) -> Result<Store, EngineError> {
    let engine = Arc::new(open_engine(path, settings, kinds).await?);
    Ok(Store { engine: Arc::<SqliteEngine>::clone(&engine), accounts: engine })
}

async fn open_engine(
    path: &Path,
    settings: &settings::Ledger,
    kinds: &[KnownKind],
) -> Result<SqliteEngine, EngineError> {
    let (path, ledger, kinds) = (path.to_owned(), settings.clone(), kinds.to_vec());
    let engine = tokio::task::spawn_blocking(move || SqliteEngine::open_blocking(&path, &ledger, &kinds))
        .await
        .map_err(|error| EngineError::new(ErrorKind::Internal, "the ledger could not be opened").caused_by(error))??;
    tokio::spawn(sweep::run(
        Arc::downgrade(&engine.shared),
        Arc::clone(&engine.readers),
        Arc::downgrade(&engine.writer),
        settings.event_retention,
    ));
    Ok(engine)
}

impl SqliteEngine {
    fn open_blocking(path: &Path, settings: &settings::Ledger, ours: &[KnownKind]) -> Result<Self, EngineError> {
        let lock = open::lock(path)?;
        let connection = open::open_writer(path)?;
        let kinds = Arc::new(Kinds::default());
        kinds.learn(open::bring_kinds(&connection, ours)?);
        let books = Books::load(&connection).map_err(classify)?;
        let revocations = Revocations::default();
        revocations.add(accounts::revoked(&connection).map_err(classify)?);
        let ledger = accounts::ledger(&connection).map_err(classify)?;
        let shared = Arc::new(Shared {
            delivery: Delivery::new(kinds.all().iter().map(|known| known.kind)),
            kinds,
            hub: Arc::new(Hub::default()),
            upcoming: AtomicI64::new(books.next_seq - 1),
            books: Mutex::new(books.clone()),
            revocations,
            storage_ok: AtomicBool::new(true),
        });
        shared.delivery.set_paused(books.paused);
        let ahead = sweep::later(&connection, Instant::now(), &shared.kinds).map_err(classify)?;
        shared.delivery.look_ahead(ahead);
        if books.open() > 0 {
            shared.delivery.suspect();
        }
        let readers = Arc::new(Readers::open(path)?);
        let batch_limit = settings.batch_limit;
        let writer = Arc::new(Writer::start(connection, lock, books, path, batch_limit, Arc::clone(&shared))?);
        Ok(Self { shared, readers, writer, path: path.to_owned(), ledger })
    }

    fn kinds_of_ledger(&self) -> Arc<Kinds> {
        Arc::clone(&self.shared.kinds)
    }
}

/// What the delivery knows and the ledger does not: that a worker has it.
fn overlay(task: &mut Task, running: Option<(u32, Instant)>) {
    if !task.status.is_final()
        && let Some((attempt, started_at)) = running
    {
        (task.status, task.attempts, task.started_at) = (Status::Running, attempt, Some(started_at));
    }
}

#[async_trait]
impl Tasks for SqliteEngine {
    async fn accept(&self, new: NewTask) -> Result<Accepted, EngineError> {
        text::check_keys(&new)?;
        let kind = self.shared.kinds.known(new.kind)?;
        let (reply, answer) = oneshot::channel();
        self.writer.send(Box::new(Accept { new, kind, reply, done: None }))?;
        answer.await.map_err(|_| closed())?
    }

    async fn get(&self, id: TaskId) -> Result<Option<Task>, EngineError> {
        let kinds = self.kinds_of_ledger();
        let found = self.readers.read(move |connection| queries::get(connection, id, &kinds)).await?;
        Ok(found.map(|(row, mut task)| {
            overlay(&mut task, self.shared.delivery.running(row));
            task
        }))
    }

    async fn list(&self, filter: &TaskFilter, cursor: Option<&str>, limit: usize) -> Result<TaskPage, EngineError> {
        let before = common::cursor(cursor, i64::MAX)?;
        let limit = limit.clamp(1, 1000);
        let filter = filter.clone();
        let (running, kinds) = (self.shared.delivery.all_running(), self.kinds_of_ledger());
        let (found, next) = self
            .readers
            .read(move |connection| {
                queries::list(connection, &filter, before, limit, &kinds, |row, task| {
                    overlay(task, running.get(&row).copied());
                })
            })
            .await?;
        let items = found.into_iter().map(|(_, task)| task).collect();
        Ok(TaskPage { items, next: next.map(|row| row.to_string()) })
    }

    async fn attempts(&self, id: TaskId) -> Result<Vec<Attempt>, EngineError> {
        self.readers.read(move |connection| queries::attempts(connection, id)).await
    }

    async fn effects_of(&self, owner: UserId, kind: Kind) -> Result<Vec<StoredEffect>, EngineError> {
        let kinds = self.kinds_of_ledger();
        let Some(code) = kinds.code(kind) else { return Ok(Vec::new()) };
        self.readers.read(move |connection| queries::effects_of(connection, owner, code, &kinds)).await
    }

    async fn history(&self, history: &History, cursor: Option<&str>, limit: usize) -> Result<HistoryPage, EngineError> {
        let before = HistoryPlace::of_cursor(cursor)?;
        let (kinds, history, limit) = (self.kinds_of_ledger(), *history, limit.clamp(1, 1000));
        let Some(code) = kinds.code(history.kind) else { return Ok(HistoryPlace::page(Vec::new(), limit, 0)) };
        let read = move |connection: &_| queries::history(connection, &history, code, before, limit, &kinds);
        let (found, version) = self.readers.read(read).await?;
        Ok(HistoryPlace::page(found, limit, version))
    }

    async fn history_summary(&self, history: &History) -> Result<HistorySummary, EngineError> {
        let history = *history;
        let Some(code) = self.shared.kinds.code(history.kind) else { return Ok(HistorySummary::default()) };
        self.readers.read(move |connection| queries::history_summary(connection, &history, code)).await
    }

    async fn history_version(&self, owner: UserId, kind: Kind) -> Result<i64, EngineError> {
        let Some(code) = self.shared.kinds.code(kind) else { return Ok(0) };
        self.readers.read(move |connection| queries::history_version(connection, owner, code)).await
    }

    async fn effect(&self, task: TaskId) -> Result<Option<StoredEffect>, EngineError> {
        let kinds = self.kinds_of_ledger();
        self.readers.read(move |connection| queries::effect(connection, task, &kinds)).await
    }

    async fn kinds(&self) -> Result<Vec<Kind>, EngineError> {
        Ok(self.shared.kinds.all().iter().map(|known| known.kind).collect())
    }
}

#[async_trait]
impl Work for SqliteEngine {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>, EngineError> {
        let delivery = &self.shared.delivery;
        claim_or_wait(request, &delivery.wake_up, request.wait, || async {
            let claims = delivery.claim(request);
            if claims.is_empty() && delivery.is_closed() {
                return Err(closed());
            }
            let listened = !self.shared.hub.is_idle();
            let begun = claims.into_iter().map(|(claim, identity)| {
                if listened {
                    let running = identity.running(claim.attempt, claim.started_at);
                    self.shared.hub.announce_transient(&Arc::new(running));
                }
                claim
            });
            Ok(begun.collect())
        })
        .await
    }

    async fn extend(&self, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, EngineError> {
        Ok(self.shared.delivery.extend(leases, lease))
    }

    async fn end(&self, lease: &Lease, started_at: Instant, end: End) -> Result<Settled, EngineError> {
        if !matches!(end, End::Settle(_)) && self.shared.delivery.is_lost(lease) {
            return Ok(Settled::LostLease);
        }
        let (reply, answer) = oneshot::channel();
        let end = text::end(end);
        self.writer.send(Box::new(EndAttempt { lease: *lease, started_at, end, reply, done: None }))?;
        answer.await.map_err(|_| closed())?
    }
}

#[async_trait]
impl Log for SqliteEngine {
    async fn events_after(
        &self,
        filter: &EventFilter,
        after: EventSeq,
        limit: usize,
    ) -> Result<EventPage, EngineError> {
        let (filter, limit, kinds) = (filter.clone(), limit.clamp(1, 1000), self.kinds_of_ledger());
        self.readers.read(move |connection| log::read(connection, &filter, after, limit, &kinds)).await
    }

    async fn effects_after(&self, after: EventSeq, limit: usize) -> Result<EffectChanges, EngineError> {
        // Nothing is new, as it is most of the time.
        if u64::try_from(self.shared.upcoming.load(Ordering::Acquire)).unwrap_or(0) <= after {
            return Ok(EffectChanges { cursor: after, ..EffectChanges::default() });
        }
        let (limit, kinds) = (limit.clamp(1, 1000), self.kinds_of_ledger());
        self.readers.read(move |connection| log::effects_after(connection, after, limit, &kinds)).await
    }

    async fn last_event(&self) -> Result<EventSeq, EngineError> {
        Ok(u64::try_from(self.shared.books().next_seq - 1).unwrap_or(0))
    }

    fn wakeups(&self, filter: &EventFilter) -> Subscription {
        self.shared.hub.subscribe(filter)
    }
}

#[async_trait]
impl Operations for SqliteEngine {
    async fn stats(&self) -> Result<Stats, EngineError> {
        let figures = self.shared.delivery.figures();
        Ok(operate::stats(&self.shared.books(), figures, &self.shared.kinds.all()))
    }

    async fn set_paused(&self, paused: bool) -> Result<(), EngineError> {
        self.writer
            .call(move |ledger| {
                ledger.books.paused = paused;
                Ok(())
            })
            .await?;
        self.shared.delivery.set_paused(paused);
        Ok(())
    }

    async fn retry_dead(&self, id: TaskId) -> Result<Retried, EngineError> {
        operate::retry_dead(self, id).await
    }

    async fn cancel(&self, id: TaskId, reason: String) -> Result<Cancelled, EngineError> {
        operate::cancel(self, id, text::prose(reason)).await
    }

    async fn discard(&self, id: TaskId, reason: String) -> Result<bool, EngineError> {
        let reason = text::prose(reason);
        self.writer.call(move |ledger| operate::discard(ledger, id, &reason)).await
    }

    async fn effects(&self, run: &RunId, cursor: Option<&str>, limit: usize) -> Result<EffectPage, EngineError> {
        let after = common::cursor(cursor, 0)?;
        let (run, limit, kinds) = (run.clone(), limit.clamp(1, 10_000), self.kinds_of_ledger());
        self.readers.read(move |connection| queries::effects(connection, &run, after, limit, &kinds)).await
    }

    async fn forget(&self, owner: UserId, kind: Kind) -> Result<u64, EngineError> {
        let Some(code) = self.shared.kinds.code(kind) else { return Ok(0) };
        clean::forget(self, owner, code).await
    }

    async fn clean_run(&self, run: &RunId) -> Result<Cleaned, EngineError> {
        clean::run(self, run).await
    }
}

#[async_trait]
impl Engine for SqliteEngine {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    async fn ping(&self) -> Result<(), EngineError> {
        space::check(&self.path)?;
        // An empty write goes through the thread and a transaction of its own, or fails as a real one would.
        self.writer
            .call(|ledger| {
                ledger
                    .connection
                    .prepare_cached("UPDATE books SET paused = ?1 WHERE id = 1")?
                    .execute([ledger.books.paused])?;
                Ok(())
            })
            .await?;
        let version = self.readers.read(open::schema_version).await?;
        if version == SCHEMA_VERSION {
            Ok(())
        } else {
            Err(EngineError::new(ErrorKind::Broken, format!("the ledger has schema {version}, not {SCHEMA_VERSION}")))
        }
    }

    async fn close(&self) {
        self.shared.delivery.close();
        self.shared.delivery.sweep.notify_waiters();
        self.shared.hub.announce_all();
        self.readers.close().await;
        let writer = Arc::clone(&self.writer);
        // The thread ends by itself should this task be dropped.
        let _ = tokio::task::spawn_blocking(move || writer.close()).await;
    }
}
