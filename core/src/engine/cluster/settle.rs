//! The end of an attempt: settle, retry and give-up. Status, effect and event in one statement; the first settle wins.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

use super::delivery::{Letting, place_of_lease};
use super::lane::Work;
use super::shared::Shared;
use crate::engine::hub::Change;
use crate::engine::{Lease, Settled};
use crate::ids::{RunId, TaskId, UserId};
use crate::tasks::{Effect, End, Outcome};
use crate::time::Instant;

pub(super) struct Ending(pub(super) Arc<Shared>);

pub(super) struct EndAttempt {
    pub(super) lease: Lease,
    pub(super) started_at: Instant,
    pub(super) end: End,
}

pub(super) struct Ended {
    pub(super) settled: Settled,
    /// What the log has of it.
    logged: Option<(i64, Change)>,
}

// As `end_attempts` answers.
const APPLIED: i16 = 0;
const ALREADY_FINAL: i16 = 1;
const NOT_COUNTED: i16 = 2;

impl EndAttempt {
    const fn outcome(&self) -> i16 {
        match &self.end {
            End::Settle(Outcome::Succeeded { .. }) => 4,
            End::Settle(Outcome::Declined { .. }) => 5,
            End::RetryAt { .. } => 3,
            End::GiveUp(_) => 6,
        }
    }

    fn result(&self) -> Option<&str> {
        match &self.end {
            End::Settle(Outcome::Succeeded { result, .. }) => Some(result.get()),
            _ => None,
        }
    }

    const fn effect(&self) -> Option<&Effect> {
        match &self.end {
            End::Settle(Outcome::Succeeded { effect, .. }) => effect.as_ref(),
            _ => None,
        }
    }
}

#[async_trait]
impl Work for Ending {
    type Ask = EndAttempt;
    type Answer = Ended;

    /// Two ends of one task in one batch would not know of each other.
    fn fits(&self, batch: &[EndAttempt], next: &EndAttempt) -> bool {
        !batch.iter().any(|end| end.lease.task == next.lease.task)
    }

    async fn carry_out(
        &self,
        connection: &mut PgConnection,
        batch: &[EndAttempt],
        again: bool,
    ) -> Result<Vec<Ended>, sqlx::Error> {
        let ids: Vec<Uuid> = batch.iter().map(|end| end.lease.task.uuid()).collect();
        let outcomes: Vec<i16> = batch.iter().map(EndAttempt::outcome).collect();
        let started: Vec<i64> = batch.iter().map(|end| end.started_at.micros()).collect();
        // Whose clock would a point in time go by?
        let wait = |due: Instant| i64::try_from(self.0.clock.until(due).as_micros()).unwrap_or(i64::MAX / 4);
        let waits: Vec<i64> = batch
            .iter()
            .map(|end| match &end.end {
                End::RetryAt { due, .. } => wait(*due),
                _ => 0,
            })
            .collect();
        let counting: Vec<bool> =
            batch.iter().map(|end| !matches!(end.end, End::RetryAt { counts: false, .. })).collect();
        let results: Vec<Option<&str>> = batch.iter().map(EndAttempt::result).collect();
        let codes: Vec<Option<&str>> =
            batch.iter().map(|end| end.end.error().map(|error| error.code.as_str())).collect();
        let messages: Vec<Option<&str>> =
            batch.iter().map(|end| end.end.error().map(|error| error.message.as_str())).collect();
        let effects = batch.iter().map(EndAttempt::effect);
        let effect_ids: Vec<Option<Uuid>> = effects.clone().map(|effect| effect.map(|_| Uuid::now_v7())).collect();
        let slots: Vec<Option<&str>> =
            effects.clone().map(|effect| effect.and_then(|one| one.slot.as_deref())).collect();
        let data: Vec<Option<&str>> = effects.map(|effect| effect.map(|one| one.data.get())).collect();
        let rows = sqlx::query!(
            r#"SELECT ord AS "ord!", verdict AS "verdict!", owner, run, seq AS "seq!"
               FROM end_attempts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) WHERE ord > 0"#,
            &ids,
            &outcomes,
            &started,
            &waits,
            &counting,
            &results as _,
            &codes as _,
            &messages as _,
            &effect_ids as _,
            &slots as _,
            &data as _,
            again
        )
        .fetch_all(connection)
        .await?;
        let mut ended: Vec<Ended> = batch.iter().map(|_| Ended { settled: Settled::Gone, logged: None }).collect();
        for row in rows {
            let Some(index) = usize::try_from(row.ord - 1).ok().filter(|index| *index < batch.len()) else { continue };
            let task: TaskId = batch[index].lease.task;
            ended[index] = match row.verdict {
                APPLIED => {
                    let run: Option<RunId> = row.run.and_then(|run| run.parse().ok());
                    let change = Change { task, run, owner: row.owner.map(UserId::from_uuid) };
                    Ended { settled: Settled::Applied, logged: Some((row.seq, change)) }
                }
                NOT_COUNTED => Ended { settled: Settled::Applied, logged: None },
                ALREADY_FINAL => Ended { settled: Settled::AlreadyFinal, logged: None },
                _ => Ended { settled: Settled::Gone, logged: None },
            };
        }
        Ok(ended)
    }

    fn committed(&self, batch: &[EndAttempt], answers: &[Ended]) {
        let mut changes = Vec::with_capacity(batch.len());
        let mut last = 0;
        for (end, ended) in batch.iter().zip(answers) {
            let (shard, queue) = place_of_lease(&end.lease);
            self.0.notifier.let_go(Letting { shard, queue, task: end.lease.task });
            if let Some((seq, change)) = &ended.logged {
                last = last.max(*seq);
                changes.push(change.clone());
            }
        }
        self.0.announce(last, &changes);
    }
}
