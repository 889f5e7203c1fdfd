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
    pub(super) done: Option<(Accepted, Option<Identity>)>,
}

const INSERT: &str = "
    INSERT INTO tasks (seq, id, kind, owner, run, payload, exclusive, idempotency_key, fingerprint, accepted_at,
                       status, attempts, due_at, last_seq, not_before, priority)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 2, 0, max(?10, coalesce(?11, 0)), ?1, ?11, ?12)
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
        let seq = ledger.books.next_seq;
        let inserted = ledger.connection.prepare_cached(INSERT)?.execute(params![
            seq,
            new.id.uuid().as_bytes(),
            self.kind.code,
            new.owner.as_ref().map(|owner| *owner.uuid().as_bytes()),
            new.run.as_ref().map(|run| run.as_str()),
            new.payload.get(),
            new.exclusive,
            new.idempotency.as_ref().map(|idempotency| idempotency.key.as_str()),
            new.idempotency.as_ref().map(|idempotency| idempotency.fingerprint),
            ledger.now.micros(),
            new.due_at.map(Instant::micros),
            priority_code(new.priority),
        ])?;
        if inserted == 0 {
            self.done = Some((self.conflict(ledger)?, None));
            return Ok(());
        }
        if let (Some(owner), Some(_)) = (new.owner, &new.run) {
            ledger.connection.prepare_cached(NOTE_PERSONAL)?.execute(params![seq, owner.uuid().as_bytes()])?;
        }
        ledger.books.take_seq();
        ledger.books.accepted += 1;
        ledger.books.add(self.kind.code, StatusCode::QUEUED, 1);
        let identity = Identity {
            seq,
            id: new.id,
            kind: self.kind,
            owner: new.owner,
            run: new.run.clone(),
            accepted_at: ledger.now,
            priority: new.priority,
            due_at: new.due_at,
        };
        self.done = Some((Accepted::New(identity.queued()), Some(identity)));
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), EngineError>, shared: &Shared) {
        let Self { new, reply, done, .. } = *self;
        let answer = committed.and_then(|()| done.ok_or_else(super::writer::closed));
        match answer {
            Ok((accepted, Some(identity))) => {
                let change = Change { task: identity.id, run: identity.run.clone(), owner: identity.owner };
                match identity.due_at.filter(|due| *due > identity.accepted_at) {
                    Some(due) => shared.delivery.postpone(Postponed {
                        row: identity.seq,
                        due,
                        kind: identity.kind.kind,
                        why: Later::Scheduled,
                    }),
                    None => {
                        let due_at = identity.accepted_at;
                        shared.delivery.offer(Ready { identity, payload: new.payload, attempts: 0, due_at });
                    }
                }
                // The caller before the watchers, and after the wake-up: what follows for this task must come after it.
                let _ = reply.send(Ok(accepted));
                shared.hub.announce(&change);
            }
            Ok((accepted, None)) => drop(reply.send(Ok(accepted))),
            Err(error) => drop(reply.send(Err(error))),
        }
    }
}
