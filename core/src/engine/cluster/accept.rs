//! Accept: the task's row, which is its outbox entry, and its first event; then the wake-up.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

use super::delivery::Ready;
use super::lane::Work;
use super::rows::{Identity, kind_of, priority_of_row, run_of};
use super::shared::Shared;
use crate::engine::hub::Change;
use crate::engine::rows::priority_code;
use crate::engine::{Accepted, KnownKind};
use crate::ids::TaskId;
use crate::tasks::{NewTask, Priority};
use crate::time::Instant;

pub(super) struct Accepting(pub(super) Arc<Shared>);

/// A task, with what its kind is in this ledger.
pub(super) struct Accept {
    pub(super) new: NewTask,
    pub(super) kind: KnownKind,
}

impl std::ops::Deref for Accept {
    type Target = NewTask;

    fn deref(&self) -> &NewTask {
        &self.new
    }
}

/// What the ledger answers for one task.
pub(super) struct Verdict {
    pub(super) accepted: Accepted,
    /// Where a new task stands; it is offered.
    identity: Option<Identity>,
}

/// See [`is_old`].
const FRESH: Duration = Duration::from_secs(1);

// As `accept_tasks` answers.
const REPLAY: i16 = 1;
const MISMATCH: i16 = 2;
const EXCLUSIVE: i16 = 3;
const AT_WORK: i16 = 5;

#[async_trait]
impl Work for Accepting {
    type Ask = Accept;
    type Answer = Verdict;

    async fn carry_out(
        &self,
        connection: &mut PgConnection,
        batch: &[Accept],
        again: bool,
    ) -> Result<Vec<Verdict>, sqlx::Error> {
        let ids: Vec<Uuid> = batch.iter().map(|new| new.id.uuid()).collect();
        let kinds: Vec<i16> = batch.iter().map(|ask| ask.kind.code.into()).collect();
        let owners: Vec<Option<Uuid>> = batch.iter().map(|new| new.owner.map(|owner| owner.uuid())).collect();
        let runs: Vec<Option<&str>> = batch.iter().map(|new| new.run.as_ref().map(|run| run.as_str())).collect();
        let payloads: Vec<&str> = batch.iter().map(|new| new.payload.get()).collect();
        let exclusives: Vec<Option<&str>> = batch.iter().map(|new| new.exclusive.as_deref()).collect();
        let keys: Vec<Option<&str>> =
            batch.iter().map(|new| new.idempotency.as_ref().map(|idempotency| idempotency.key.as_str())).collect();
        let fingerprints: Vec<Option<&[u8]>> = batch
            .iter()
            .map(|new| new.idempotency.as_ref().map(|idempotency| idempotency.fingerprint.as_slice()))
            .collect();
        // Most batches have neither.
        let asked = batch.iter().any(|new| new.due_at.is_some() || new.priority != Priority::Normal);
        let not_befores: Option<Vec<Option<i64>>> =
            asked.then(|| batch.iter().map(|new| new.due_at.map(Instant::micros)).collect());
        let code = |new: &Accept| (new.priority != Priority::Normal).then(|| priority_code(new.priority).into());
        let priorities: Option<Vec<Option<i16>>> = asked.then(|| batch.iter().map(code).collect());
        let again = again || batch.iter().any(|new| is_old(new.id));
        let rows = sqlx::query!(
            r#"SELECT ord AS "ord!", verdict AS "verdict!", task, kind, run, accepted_at AS "accepted_at!", seq AS "seq!",
                      not_before, priority
               FROM accept_tasks($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"#,
            &ids,
            &kinds,
            &owners as _,
            &runs as _,
            &payloads as _,
            &exclusives as _,
            &keys as _,
            &fingerprints as _,
            not_befores as _,
            priorities as _,
            again
        )
        .fetch_all(connection)
        .await?;
        let Some(base) = rows.first() else { return Err(sqlx::Error::RowNotFound) };
        let (accepted_at, before) = (Instant::from_micros(base.accepted_at), base.seq);
        let mut verdicts: Vec<Verdict> =
            (before + 1..).zip(batch).map(|(seq, new)| accepted(new, seq, accepted_at)).collect();
        for row in &rows[1..] {
            let Some(index) = usize::try_from(row.ord - 1).ok().filter(|index| *index < batch.len()) else { continue };
            let (new, accepted_at) = (&batch[index], Instant::from_micros(row.accepted_at));
            let other = TaskId::from_uuid(row.task.unwrap_or_default());
            let known = |accepted| Verdict { accepted, identity: None };
            verdicts[index] = match row.verdict {
                MISMATCH => known(Accepted::IdempotencyMismatch),
                EXCLUSIVE => known(Accepted::Exclusive { open: other }),
                REPLAY => {
                    let identity = Identity {
                        seq: 0,
                        id: other,
                        kind: row.kind.map_or(Ok(new.kind), |code| kind_of(code, &self.0.kinds)).map_err(decode)?,
                        owner: new.owner,
                        run: run_of(row.run.clone()).map_err(decode)?,
                        accepted_at,
                        priority: priority_of_row(row.priority),
                        due_at: row.not_before.map(Instant::from_micros),
                    };
                    known(Accepted::Replay(identity.queued()))
                }
                // This very task, by a try whose answer was lost.
                AT_WORK => known(accepted(new, row.seq, accepted_at).accepted),
                _ => accepted(new, row.seq, accepted_at),
            };
        }
        Ok(verdicts)
    }

    fn committed(&self, batch: &[Accept], answers: &[Verdict]) {
        let new = batch.iter().zip(answers).filter_map(|(new, verdict)| Some((new, verdict.identity.as_ref()?)));
        let mut changes = Vec::with_capacity(batch.len());
        let mut last = 0;
        for (new, identity) in new {
            // What is due later is the sweep's.
            if identity.due_at.is_none_or(|due| due <= identity.accepted_at) {
                self.0.notifier.offer(Ready {
                    identity: identity.clone(),
                    payload: new.payload.clone(),
                    attempts: 0,
                    due_at: identity.accepted_at,
                });
            }
            last = last.max(identity.seq);
            changes.push(Change { task: identity.id, run: identity.run.clone(), owner: identity.owner });
        }
        self.0.announce(last, &changes);
    }
}

/// Whether an id was made so long ago that this may be the second call with it. Ids tell when they were made, and a call
/// whose outcome is not known has taken longer.
fn is_old(id: TaskId) -> bool {
    let made = id.uuid().get_timestamp().map(|made| made.to_unix());
    made.is_none_or(|(seconds, nanos)| {
        let made = Duration::new(seconds, nanos).as_micros();
        let now = u128::try_from(Instant::now().micros()).unwrap_or_default();
        made + FRESH.as_micros() < now
    })
}

fn accepted(new: &Accept, seq: i64, accepted_at: Instant) -> Verdict {
    let identity = Identity {
        seq,
        id: new.id,
        kind: new.kind,
        owner: new.owner,
        run: new.run.clone(),
        accepted_at,
        priority: new.priority,
        due_at: new.due_at,
    };
    let seq = u64::try_from(identity.seq).unwrap_or(0);
    Verdict { accepted: Accepted::New(identity.queued(), seq), identity: Some(identity) }
}

fn decode(error: crate::engine::EngineError) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}
