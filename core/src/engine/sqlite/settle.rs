//! The end of an attempt: settle, retry and give-up. Status, effect and event in one transaction; the first settle wins.

use rusqlite::{OptionalExtension, params};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::delivery::{Later, Postponed};
use super::rows::{Identity, StatusCode, identity_columns};
use super::shared::Shared;
use super::writer::{Ledger, Write};
use crate::engine::hub::Change;
use crate::engine::{EngineError, Lease, Settled};
use crate::tasks::{Effect, End, Kind, Outcome};
use crate::time::Instant;

const fn status(end: &End) -> StatusCode {
    match end {
        End::Settle(Outcome::Succeeded { .. }) => StatusCode::SUCCEEDED,
        End::Settle(Outcome::Declined { .. }) => StatusCode::DECLINED,
        End::RetryAt { .. } => StatusCode::RETRYING,
        End::GiveUp(_) => StatusCode::DEAD,
    }
}

pub(super) struct EndAttempt {
    pub(super) lease: Lease,
    pub(super) started_at: Instant,
    pub(super) end: End,
    pub(super) reply: oneshot::Sender<Result<Settled, EngineError>>,
    pub(super) done: Option<Done>,
}

pub(super) struct Done {
    settled: Settled,
    /// The task's; none if there is none any more.
    kind: Option<Kind>,
    /// What the log has of it.
    change: Option<Change>,
}

const OPEN_TASK: &str = concat!("SELECT ", identity_columns!(""), ", status, attempts FROM tasks WHERE seq = ?1");

const UPDATE: &str = "UPDATE tasks SET status = ?2, attempts = ?3, due_at = ?4, last_seq = ?5 WHERE seq = ?1";

/// Keeps `due_at`, so that the index of open tasks only loses an entry.
const UPDATE_FINAL: &str = "UPDATE tasks SET status = ?2, attempts = ?3, last_seq = ?4 WHERE seq = ?1";

const DEFER: &str = "UPDATE tasks SET due_at = ?2 WHERE seq = ?1";

const EVENT: &str = "
    INSERT INTO events (seq, task, run, status, attempts, at, started_at, result, error_code, error_message)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const REPLACE: &str = "
    UPDATE effects SET active = 0
    WHERE kind = ?1 AND coalesce(owner, x'') = ?2 AND slot = ?3 AND active = 1 AND slot IS NOT NULL RETURNING id";

const APPLY: &str = "
    INSERT INTO effects (task, id, kind, owner, slot, data, active, at, replaces, seq)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?8, ?9)";

impl EndAttempt {
    fn end(&self, ledger: &mut Ledger<'_>) -> rusqlite::Result<Done> {
        let kinds = ledger.kinds;
        let found = ledger
            .statement(OPEN_TASK)?
            .query_row([self.lease.row.0], |row| {
                Ok((Identity::read(row, kinds)?, StatusCode(row.get(8)?), row.get::<_, u32>(9)?))
            })
            .optional()?;
        // A row can be cleaned up and never comes back under another task: seqs are used once.
        let nothing = |settled, kind| Ok(Done { settled, kind, change: None });
        let Some((task, before, attempts)) = found else { return nothing(Settled::Gone, None) };
        let kind = Some(task.kind.kind);
        if !before.is_open() {
            return nothing(Settled::AlreadyFinal, kind);
        }
        let status = status(&self.end);
        let mut due_at = None;
        if let End::RetryAt { due, counts, .. } = &self.end {
            if !counts {
                ledger.statement(DEFER)?.execute(params![task.seq, due.micros()])?;
                return nothing(Settled::Applied, kind);
            }
            due_at = Some(*due);
        }
        let seq = ledger.books.take_seq();
        let attempts = attempts + 1;
        match due_at {
            Some(due) => ledger.statement(UPDATE)?.execute(params![task.seq, status.0, attempts, due.micros(), seq])?,
            None => ledger.statement(UPDATE_FINAL)?.execute(params![task.seq, status.0, attempts, seq])?,
        };
        let result = match &self.end {
            End::Settle(Outcome::Succeeded { result, effect }) => {
                if let Some(effect) = effect {
                    apply(effect, &task, seq, ledger)?;
                }
                Some(result.get())
            }
            _ => None,
        };
        let error = self.end.error();
        let now = ledger.now.micros();
        ledger.statement(EVENT)?.execute(params![
            seq,
            task.seq,
            task.run.as_ref().map(|run| run.as_str()),
            status.0,
            attempts,
            now,
            self.started_at.micros(),
            result,
            error.map(|error| error.code.as_str()),
            error.map(|error| error.message.as_str()),
        ])?;
        ledger.books.add(task.kind.code, before, -1);
        ledger.books.add(task.kind.code, status, 1);
        if !status.is_open() {
            ledger.books.settled += 1;
        }
        let change = Some(Change { task: task.id, run: task.run, owner: task.owner });
        Ok(Done { settled: Settled::Applied, kind, change })
    }
}

/// Leaves what the task was for, in the place of what was active in its slot; `seq` is that of the event that says so.
fn apply(effect: &Effect, task: &Identity, seq: i64, ledger: &mut Ledger<'_>) -> rusqlite::Result<()> {
    let kind = task.kind.code;
    let owner = task.owner.map(|owner| owner.uuid().into_bytes());
    let mut replaces: Option<Uuid> = None;
    if let Some(slot) = &effect.slot {
        replaces = ledger
            .statement(REPLACE)?
            .query_row(params![kind, owner.as_ref().map_or(&[][..], |owner| owner), slot], |row| {
                super::rows::uuid(row, 0)
            })
            .optional()?;
    }
    let now = ledger.now.micros();
    ledger.statement(APPLY)?.execute(params![
        task.seq,
        Uuid::now_v7().as_bytes(),
        kind,
        owner,
        effect.slot,
        effect.data.get(),
        now,
        replaces.map(Uuid::into_bytes),
        seq,
    ])?;
    Ok(())
}

impl Write for EndAttempt {
    fn apply(&mut self, ledger: &mut Ledger<'_>) -> rusqlite::Result<()> {
        self.done = Some(self.end(ledger)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: Result<(), EngineError>, shared: &Shared) {
        let Self { lease, end, reply, done, .. } = *self;
        let answer = committed.and_then(|()| done.ok_or_else(super::writer::closed));
        let answer = answer.map(|Done { settled, kind, change }| {
            match &end {
                // Another's lease on a task that this one made final stays until that one settles and is told.
                _ if shared.delivery.is_taken(&lease) => {}
                End::RetryAt { due, .. } if settled == Settled::Applied => {
                    if let Some(kind) = kind {
                        let row = lease.row.0;
                        shared.delivery.postpone(Postponed { row, due: *due, kind, why: Later::Retry });
                    }
                }
                _ => shared.delivery.release(lease.row.0),
            }
            if let Some(change) = change {
                shared.hub.announce(&change);
            }
            settled
        });
        let _ = reply.send(answer);
    }
}
