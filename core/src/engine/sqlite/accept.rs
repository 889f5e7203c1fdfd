//! Accept: the task's row, which is its first event and its outbox entry, in one insert.

use rusqlite::{OptionalExtension, params};
use tokio::sync::oneshot;

use super::delivery::{Later, Postponed, Ready};
use super::rows::{Identity, StatusCode, identity_columns, uuid};
use super::shared::Shared;
use super::writer::{Ledger, Write};
use crate::engine::hub::Change;
use crate::engine::rows::priority_code;
use crate::engine::{Accepted, EngineError, KnownKind};
use crate::ids::TaskId;
use crate::tasks::NewTask;
use crate::time::Instant;

pub(super) struct Accept {
    pub(super) new: NewTask,
    pub(super) kind: KnownKind,
    pub(super) reply: oneshot::Sender<Result<Accepted, EngineError>>,
    pub(super) done: Option<Done>,
}

/// What came of an accept.
pub(super) enum Done {
    /// The place of a new task, and when it was accepted. The task is built when the batch is on disk: not by the one
    /// thread that all writes wait for.
    New(i64, Instant),
    /// There was one already.
    Other(Box<Accepted>),
}

const INSERT: &str = "
    INSERT INTO tasks (seq, id, kind, owner, run, payload, exclusive, idempotency_key, fingerprint, accepted_at,
                       status, attempts, due_at, last_seq, not_before, priority)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 2, 0, ?11, ?1, ?12, ?13)
    ON CONFLICT DO NOTHING";

const BY_IDEMPOTENCY_KEY: &str = concat!(
    "SELECT ",
    identity_columns!(""),
    ", fingerprint FROM tasks
     WHERE coalesce(owner, x'') = ?1 AND idempotency_key = ?2 AND idempotency_key IS NOT NULL"
);

const BY_EXCLUSIVE: &str = "SELECT id FROM tasks WHERE exclusive = ?1 AND exclusive IS NOT NULL AND status < 4";

/// The name of a run is a header that any caller can send: what a person ordered under it is the person's.
const NOTE_PERSONAL: &str =
    "INSERT INTO personal_tasks (task) SELECT ?1 FROM users WHERE id = ?2 AND run IS NULL ON CONFLICT DO NOTHING";

impl Accept {
    /// What stood in the way of the insert.
    fn conflict(&self, ledger: &Ledger<'_>) -> rusqlite::Result<Accepted> {
        if let Some(idempotency) = &self.new.idempotency {
            let owner = self.new.owner.map(|owner| owner.uuid().into_bytes());
            let owner: &[u8] = owner.as_ref().map_or(&[], |owner| owner);
            let mut statement = ledger.connection.prepare_cached(BY_IDEMPOTENCY_KEY)?;
            let earlier = statement
                .query_row(params![owner, idempotency.key], |row| {
                    Ok((Identity::read(row, ledger.kinds)?, row.get_ref(8)?.as_blob()? == idempotency.fingerprint))
                })
                .optional()?;
            match earlier {
                Some((identity, true)) => return Ok(Accepted::Replay(identity.queued())),
                Some((_, false)) => return Ok(Accepted::IdempotencyMismatch),
                None => {}
            }
        }
        let mut statement = ledger.connection.prepare_cached(BY_EXCLUSIVE)?;
        let open = statement.query_row([&self.new.exclusive], |row| uuid(row, 0).map(TaskId::from_uuid))?;
        Ok(Accepted::Exclusive { open })
    }
}

impl Write for Accept {
    fn apply(&mut self, ledger: &mut Ledger<'_>) -> rusqlite::Result<()> {
        let new = &self.new;
        let (seq, now) = (ledger.books.next_seq, ledger.now);
        let inserted = ledger.statement(INSERT)?.execute(params![
            seq,
            new.id.uuid().as_bytes(),
            self.kind.code,
            new.owner.as_ref().map(|owner| *owner.uuid().as_bytes()),
            new.run.as_ref().map(|run| run.as_str()),
            new.payload.get(),
            new.exclusive,
            new.idempotency.as_ref().map(|idempotency| idempotency.key.as_str()),
            new.idempotency.as_ref().map(|idempotency| idempotency.fingerprint),
            now.micros(),
            new.due_at.map_or(now, |due| due.max(now)).micros(),
            new.due_at.map(Instant::micros),
            priority_code(new.priority),
        ])?;
        if inserted == 0 {
            self.done = Some(Done::Other(Box::new(self.conflict(ledger)?)));
            return Ok(());
        }
        if let (Some(owner), Some(_)) = (new.owner, &new.run) {
            ledger.statement(NOTE_PERSONAL)?.execute(params![seq, owner.uuid().as_bytes()])?;
        }
        ledger.books.take_seq();
        ledger.books.accepted += 1;
        ledger.books.add(self.kind.code, StatusCode::QUEUED, 1);
        self.done = Some(Done::New(seq, now));
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), EngineError>, shared: &Shared) {
        let Self { new, kind, reply, done } = *self;
        let (seq, accepted_at) = match committed.and_then(|()| done.ok_or_else(super::writer::closed)) {
            Ok(Done::New(seq, now)) => (seq, now),
            Ok(Done::Other(accepted)) => return drop(reply.send(Ok(*accepted))),
            Err(error) => return drop(reply.send(Err(error))),
        };
        let NewTask { id, owner, run, payload, priority, due_at, .. } = new;
        let identity = Identity { seq, id, kind, owner, run, accepted_at, priority, due_at };
        let accepted = Accepted::New(identity.queued(), u64::try_from(seq).unwrap_or(0));
        let change = Change { task: id, run: identity.run.clone(), owner };
        match due_at.filter(|due| *due > accepted_at) {
            Some(due) => {
                let (kind, why) = (kind.kind, Later::Scheduled);
                shared.delivery.postpone(Postponed { row: seq, due, kind, why });
            }
            None => shared.delivery.offer(Ready { identity, payload, attempts: 0, due_at: accepted_at }),
        }
        // The caller before the watchers, and after the wake-up: what follows for this task must come after it.
        let _ = reply.send(Ok(accepted));
        shared.hub.announce(&change);
    }
}
