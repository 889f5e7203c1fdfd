//! The end of an attempt: settle, retry and give-up. Status, effect and event in one statement; the first settle wins.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgConnection;
use uuid::Uuid;

use super::delivery::{Letting, place_of_lease};
use super::lane::Work;
use super::rows::status;
use super::shared::Shared;
use crate::cards::Network;
use crate::engine::hub::Change;
use crate::engine::{Lease, Settled};
use crate::ids::{CardId, RunId, TaskId, UserId};
use crate::tasks::{Effect, Outcome, TaskError};
use crate::time::Instant;

pub(super) struct Ending(pub(super) Arc<Shared>);

/// How an attempt ended.
pub(super) enum End {
    Settle(Outcome),
    /// `wait` is in microseconds: whose clock would a point in time go by?
    RetryAt {
        wait: i64,
        error: TaskError,
        counts: bool,
    },
    GiveUp(TaskError),
}

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
            End::Settle(Outcome::Succeeded { .. }) => status::SUCCEEDED,
            End::Settle(Outcome::Declined { .. }) => status::DECLINED,
            End::RetryAt { .. } => status::RETRYING,
            End::GiveUp(_) => status::DEAD,
        }
    }

    const fn error(&self) -> Option<&TaskError> {
        match &self.end {
            End::Settle(Outcome::Succeeded { .. }) => None,
            End::Settle(Outcome::Declined { error }) | End::RetryAt { error, .. } | End::GiveUp(error) => Some(error),
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
        let waits: Vec<i64> = batch
            .iter()
            .map(|end| match &end.end {
                End::RetryAt { wait, .. } => *wait,
                _ => 0,
            })
            .collect();
        let counting: Vec<bool> =
            batch.iter().map(|end| !matches!(end.end, End::RetryAt { counts: false, .. })).collect();
        let results: Vec<Option<&str>> = batch.iter().map(EndAttempt::result).collect();
        let codes: Vec<Option<&str>> = batch.iter().map(|end| end.error().map(|error| error.code.as_str())).collect();
        let messages: Vec<Option<&str>> =
            batch.iter().map(|end| end.error().map(|error| error.message.as_str())).collect();
        let cards: Vec<Option<Uuid>> = batch.iter().map(|end| end.effect().map(|_| CardId::new().uuid())).collect();
        let cards_of = batch.iter().map(EndAttempt::effect);
        let refs: Vec<Option<&str>> =
            cards_of.clone().map(|effect| effect.map(|Effect::Card { card_ref, .. }| card_ref.as_str())).collect();
        let last4s: Vec<Option<&str>> =
            cards_of.clone().map(|effect| effect.map(|Effect::Card { last4, .. }| last4.as_str())).collect();
        let networks: Vec<Option<i16>> =
            cards_of.map(|effect| effect.map(|Effect::Card { network, .. }| network_code(*network))).collect();
        let rows = sqlx::query!(
            r#"SELECT ord AS "ord!", verdict AS "verdict!", owner, run, seq AS "seq!"
               FROM end_attempts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) WHERE ord > 0"#,
            &ids,
            &outcomes,
            &started,
            &waits,
            &counting,
            &results as _,
            &codes as _,
            &messages as _,
            &cards as _,
            &refs as _,
            &last4s as _,
            &networks as _,
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
            let (shard, kind) = place_of_lease(&end.lease);
            self.0.ringer.let_go(Letting { shard, kind, task: end.lease.task });
            if let Some((seq, change)) = &ended.logged {
                last = last.max(*seq);
                changes.push(change.clone());
            }
        }
        self.0.announce(last, &changes);
    }
}

pub(super) fn network_code(network: Network) -> i16 {
    Network::ALL.iter().position(|one| *one == network).and_then(|at| i16::try_from(at).ok()).unwrap_or(0)
}

pub(super) fn network_of(code: i16) -> Network {
    usize::try_from(code).ok().and_then(|at| Network::ALL.get(at).copied()).unwrap_or(Network::Visa)
}
