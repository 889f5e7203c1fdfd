//! Group commit: one thread writes; while one commit is on its way to the disk, the next batch gathers.
//!
//! A batch is one SQLite transaction, so durability costs one fsync per batch. When the thread is idle a batch is
//! one write and nothing waits.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use rusqlite::{CachedStatement, Connection, ErrorCode};
use tokio::sync::oneshot;

use super::books::Books;
use super::checkpoint::Checkpointer;
use super::shared::Shared;
use crate::engine::kinds::Kinds;
use crate::engine::{EngineError, ErrorKind};
use crate::time::Instant;

/// What a write sees while it is applied.
pub(super) struct Ledger<'a> {
    pub(super) connection: &'a Connection,
    pub(super) books: &'a mut Books,
    pub(super) kinds: &'a Kinds,
    /// One time for the whole batch, so that times follow commit order.
    pub(super) now: Instant,
    statements: Vec<(&'static str, CachedStatement<'a>)>,
}

impl<'a> Ledger<'a> {
    /// The statement with a text, kept for the rest of the batch: the connection's cache hashes the whole text each time,
    /// which is a tenth of what an accept costs.
    pub(super) fn statement(&mut self, sql: &'static str) -> rusqlite::Result<&mut CachedStatement<'a>> {
        let known = self.statements.iter().position(|(of, _)| std::ptr::eq(*of, sql));
        let at = known.unwrap_or(self.statements.len());
        if known.is_none() {
            self.statements.push((sql, self.connection.prepare_cached(sql)?));
        }
        Ok(&mut self.statements[at].1)
    }
}

/// One write of a batch.
pub(super) trait Write: Send {
    /// Does it inside the open transaction. May be called again after a roll-back.
    fn apply(&mut self, ledger: &mut Ledger<'_>) -> rusqlite::Result<()>;

    /// Called once, when the batch is on disk or has failed: answers the caller, notifies and announces.
    fn finish(self: Box<Self>, committed: Result<(), EngineError>, shared: &Shared);
}

enum Message {
    Write(Box<dyn Write>),
    Close,
}

/// The callers' end of the writer thread.
pub(super) struct Writer {
    sender: Sender<Message>,
    waiting: Arc<AtomicUsize>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

/// More writes than this may not wait: the callers of the last ones would time out anyway.
const WAITING_LIMIT: usize = 65_536;

impl Writer {
    /// Starts the thread on a connection of its own.
    pub(super) fn start(
        connection: Connection,
        lock: File,
        books: Books,
        path: &Path,
        batch_limit: usize,
        shared: Arc<Shared>,
    ) -> Result<Self, EngineError> {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let waiting = Arc::new(AtomicUsize::new(0));
        let checkpointer = Checkpointer::start(path)?;
        let now = last_time(&connection).map_err(classify)?;
        let runtime = tokio::runtime::Handle::current();
        let state = Thread {
            connection,
            lock,
            books,
            now,
            shared,
            receiver,
            waiting: Arc::clone(&waiting),
            batch_limit,
            checkpointer,
            runtime,
        };
        let thread =
            std::thread::Builder::new().name("ledger-writer".into()).spawn(move || state.run()).map_err(|error| {
                EngineError::new(ErrorKind::Unavailable, "the ledger's writer thread could not be started")
                    .caused_by(error)
            })?;
        Ok(Self { sender, waiting, thread: std::sync::Mutex::new(Some(thread)) })
    }

    /// Queues a write.
    pub(super) fn send(&self, write: Box<dyn Write>) -> Result<(), EngineError> {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING_LIMIT {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(EngineError::new(ErrorKind::Unavailable, "too many writes wait for the ledger"));
        }
        self.sender.send(Message::Write(write)).map_err(|_| closed())
    }

    /// Queues a write that is a closure over the transaction, with an answer.
    pub(super) async fn call<T, F>(&self, work: F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnMut(&mut Ledger<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.call_then(work, |_, _| ()).await
    }

    /// As [`Writer::call`]; once it is on disk, `then` is done before the answer, and also if nobody waits for that any
    /// more.
    pub(super) async fn call_then<T, F, G>(&self, work: F, then: G) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: FnMut(&mut Ledger<'_>) -> rusqlite::Result<T> + Send + 'static,
        G: FnOnce(&T, &Shared) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(Call { work, then, done: None, reply }))?;
        answer.await.map_err(|_| closed())?
    }

    /// Lets what is queued be written, ends the thread and checkpoints. Blocks: call it off the async threads.
    pub(super) fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = self.sender.send(Message::Close);
            let _ = thread.join();
        }
    }
}

/// The error of a caller whose engine is gone.
pub(super) fn closed() -> EngineError {
    EngineError::new(ErrorKind::Closed, "the ledger is closed")
}

struct Call<T, F, G> {
    work: F,
    then: G,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, EngineError>>,
}

impl<T, F, G> Write for Call<T, F, G>
where
    T: Send,
    F: FnMut(&mut Ledger<'_>) -> rusqlite::Result<T> + Send,
    G: FnOnce(&T, &Shared) + Send,
{
    fn apply(&mut self, ledger: &mut Ledger<'_>) -> rusqlite::Result<()> {
        self.done = Some((self.work)(ledger)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), EngineError>, shared: &Shared) {
        let Self { done, reply, then, .. } = *self;
        let answer = committed.and_then(|()| done.ok_or_else(closed));
        if let Ok(done) = &answer {
            then(done, shared);
        }
        // The caller may have stopped waiting.
        let _ = reply.send(answer);
    }
}

struct Thread {
    connection: Connection,
    /// Held until the last write is done: the next process must not begin before.
    lock: File,
    books: Books,
    /// When the last batch was written.
    now: Instant,
    shared: Arc<Shared>,
    receiver: Receiver<Message>,
    waiting: Arc<AtomicUsize>,
    batch_limit: usize,
    checkpointer: Checkpointer,
    runtime: tokio::runtime::Handle,
}

impl Thread {
    fn run(mut self) {
        let mut batch = Vec::with_capacity(self.batch_limit);
        let mut open = true;
        while open {
            match self.receiver.recv() {
                Ok(Message::Write(write)) => batch.push(write),
                Ok(Message::Close) | Err(_) => break,
            }
            while batch.len() < self.batch_limit {
                match self.receiver.try_recv() {
                    Ok(Message::Write(write)) => batch.push(write),
                    Ok(Message::Close) => open = false,
                    Err(_) => break,
                }
                if !open {
                    break;
                }
            }
            self.waiting.fetch_sub(batch.len(), Ordering::AcqRel);
            self.write(&mut batch);
            self.checkpointer.after_commit(&self.connection);
        }
        self.checkpointer.finish(&self.connection);
        drop(self.connection);
        drop(self.lock);
    }

    fn write(&mut self, batch: &mut Vec<Box<dyn Write>>) {
        match self.commit(batch) {
            Ok(()) => {
                self.shared.publish(&self.books);
                self.answer(std::mem::take(batch));
            }
            // One write that can't be done must not fail its neighbours: each on its own shows which it is.
            Err(error) if batch.len() > 1 && !is_storage(&error) => {
                tracing::warn!(error = %error, writes = batch.len(), "a batch failed; writing its tasks one by one");
                for write in batch.drain(..) {
                    self.write(&mut vec![write]);
                }
            }
            Err(error) => {
                let error = classify(error);
                self.shared.storage_failed(&error);
                for write in batch.drain(..) {
                    write.finish(Err(error.shared()), &self.shared);
                }
            }
        }
    }

    /// Answers the callers of a batch. On the runtime, where waking them up is cheap and costs the next commit no time;
    /// a runtime that is gone has no callers.
    fn answer(&self, batch: Vec<Box<dyn Write>>) {
        let shared = Arc::clone(&self.shared);
        self.runtime.spawn(async move {
            for write in batch {
                write.finish(Ok(()), &shared);
            }
        });
    }

    fn commit(&mut self, batch: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
        let before = self.books.clone();
        // A clock that is set back must not put an event before an earlier one.
        let now = Instant::now().max(self.now);
        self.now = now;
        let result = (|| {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let mut ledger = Ledger {
                connection: &self.connection,
                books: &mut self.books,
                kinds: &self.shared.kinds,
                now,
                statements: Vec::new(),
            };
            for write in batch.iter_mut() {
                write.apply(&mut ledger)?;
            }
            drop(ledger);
            self.books.save(&before, &self.connection)?;
            // Before anybody can see it: who has seen it is never told that there is nothing new.
            self.shared.upcoming.store(self.books.next_seq - 1, Ordering::Release);
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(())
        })();
        if result.is_err() {
            self.books = before;
            if !self.connection.is_autocommit() {
                // SQLite rolls back by itself on some errors; on the others this can only fail if it already has.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
        }
        result
    }
}

/// When the latest event in the log was written.
fn last_time(connection: &Connection) -> rusqlite::Result<Instant> {
    let last = connection.query_row(
        "SELECT max(coalesce((SELECT accepted_at FROM tasks ORDER BY seq DESC LIMIT 1), 0),
                    coalesce((SELECT at FROM events ORDER BY seq DESC LIMIT 1), 0))",
        [],
        |row| row.get(0),
    )?;
    Ok(Instant::from_micros(last))
}

/// Whether the disk is to blame, not the write.
fn is_storage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
        )
    )
}

/// What a caller can do about an error of SQLite.
pub(super) fn classify(error: rusqlite::Error) -> EngineError {
    use rusqlite::ffi::{SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
    let extended = error.sqlite_error().map_or(0, |error| error.extended_code);
    let (kind, message) = match error.sqlite_error_code() {
        // The pages may or may not have reached the disk: only a restart would tell.
        _ if extended == SQLITE_IOERR_FSYNC => (ErrorKind::Unknown, "the disk did not confirm a write"),
        Some(ErrorCode::DiskFull) => (ErrorKind::DiskFull, "the disk is full"),
        // So SQLite calls a quota and a limit on the size of files, too.
        _ if matches!(extended, SQLITE_IOERR_WRITE | SQLITE_IOERR_SHMSIZE) => (ErrorKind::DiskFull, "the disk is full"),
        Some(ErrorCode::SystemIoFailure) => (ErrorKind::Unavailable, "the disk is not writable"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (ErrorKind::Unavailable, "the ledger is locked"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (ErrorKind::Broken, "the ledger is read-only"),
        Some(ErrorCode::CannotOpen) => (ErrorKind::Broken, "the ledger can't be opened"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (ErrorKind::Broken, "the ledger is damaged"),
        _ => (ErrorKind::Internal, "the ledger refused a statement"),
    };
    EngineError::new(kind, message).caused_by(error)
}
