//! Claiming and keeping leases.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

use futures::future::join_all;
use redis::RedisResult;

use super::super::rows::SHARDS;
use super::{Delivery, Ready, code, millis, name};
use crate::engine::{ClaimRequest, Lease};
use crate::tasks::Kind;
use crate::time::Instant;

/// A lease's token: random, and in its lowest bits where the task lies, so that nobody has to look that up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(pub(super) u64);

const SHARD_BITS: u32 = 8;
const KIND_BITS: u32 = 4;

impl Token {
    fn new(shard: usize, kind: usize) -> Self {
        let place = ((shard as u64) << KIND_BITS) | kind as u64;
        Self((rand::random::<u64>() << (SHARD_BITS + KIND_BITS)) | place)
    }

    fn with_kind(self, kind: Kind) -> Self {
        Self(self.0 & !((1 << KIND_BITS) - 1) | code(kind) as u64)
    }

    fn shard(self) -> usize {
        (self.0 >> KIND_BITS) as usize & ((1 << SHARD_BITS) - 1)
    }

    fn kind(self) -> usize {
        self.0 as usize & ((1 << KIND_BITS) - 1)
    }
}

/// Where the task of a lease lies.
pub(in super::super) fn place_of_lease(lease: &Lease) -> (usize, Kind) {
    let token = Token(lease.token);
    (token.shard() % SHARDS, Kind::ALL.get(token.kind()).copied().unwrap_or(Kind::ALL[0]))
}

impl Delivery {
    /// Takes up to `request.max` tasks from the shards that may have some.
    pub(in super::super) async fn claim(
        &self,
        request: &ClaimRequest,
        now: Instant,
    ) -> RedisResult<Vec<(Ready, Lease)>> {
        // What is rung for from here on is hinted at again.
        let hinted = self.hints.take(&request.kinds);
        // Each time another shard and another kind comes first, so that none waits for ever.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut shards: VecDeque<usize> =
            (0..SHARDS).map(|step| (turn + step) % SHARDS).filter(|shard| hinted[*shard]).collect();
        let (mut claims, mut failed) = (Vec::new(), None);
        // As many shards at once as there is something to ask for, each for its share; then those that had all of theirs.
        while claims.len() < request.max && !shards.is_empty() {
            let left = request.max - claims.len();
            let asked: Vec<usize> = shards.drain(..shards.len().min(left)).collect();
            let share = left.div_ceil(asked.len());
            let mut rest = left;
            let calls = asked.iter().map(|shard| {
                let wanted = share.min(rest);
                rest -= wanted;
                async move { (wanted, self.claim_from(*shard, request, wanted, now, turn).await) }
            });
            for (shard, (wanted, answer)) in asked.iter().zip(join_all(calls).await) {
                match answer {
                    Ok(found) => {
                        if found.len() >= wanted {
                            shards.push_back(*shard);
                        }
                        claims.extend(found);
                    }
                    Err(error) => {
                        self.hints.put_back(*shard, &request.kinds);
                        failed = Some(error);
                    }
                }
            }
        }
        for shard in &shards {
            self.hints.put_back(*shard, &request.kinds);
        }
        if !shards.is_empty() {
            // Another claimer of this process may have looked while nothing was hinted at.
            self.bell.notify_waiters();
        }
        match failed {
            // What was claimed elsewhere must not be forgotten; the next claim meets the error again.
            Some(error) if claims.is_empty() => Err(error),
            _ => Ok(claims),
        }
    }

    async fn claim_from(
        &self,
        shard: usize,
        request: &ClaimRequest,
        wanted: usize,
        now: Instant,
        turn: usize,
    ) -> RedisResult<Vec<(Ready, Lease)>> {
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let token = Token::new(shard, 0);
        let mut call = self.scripts.claim.prepare_invoke();
        call.arg(request.worker.to_string()).arg(token.0).arg(wanted).arg(millis(request.lease)).arg(now.micros());
        let kinds = &request.kinds;
        for step in 0..kinds.len() {
            let kind = kinds[(turn + step) % kinds.len()];
            self.keys.place(shard, kind).of(&mut call);
            call.arg(code(kind));
        }
        let found: Vec<(usize, Vec<u8>)> =
            self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await?;
        Ok(found
            .into_iter()
            .filter_map(|(kind, packed)| {
                let kind = *Kind::ALL.get(kind)?;
                let ready = Ready::unpack(kind, &packed)?;
                let token = token.with_kind(kind).0;
                let lease = Lease { task: ready.identity.id, row: ready.identity.seq, token, worker: request.worker };
                Some((ready, lease))
            })
            .collect())
    }

    /// Renews leases; answers those that are lost, and those that Redis knows nothing of.
    pub(in super::super) async fn extend(
        &self,
        leases: &[Lease],
        lease: std::time::Duration,
    ) -> RedisResult<(Vec<Lease>, Vec<Lease>)> {
        let (mut lost, mut unknown, mut failed) = (Vec::new(), Vec::new(), None);
        let calls = grouped(leases).into_iter().map(|((shard, kind), leases)| async move {
            let place = self.keys.place(shard, kind);
            let mut call = self.scripts.extend.prepare_invoke();
            call.key(&place.held).key(&place.leases).arg(millis(lease));
            for lease in &leases {
                call.arg(name(&lease.task)).arg(Token(lease.token).stored());
            }
            let answers: RedisResult<Vec<u8>> =
                self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await;
            (leases, answers)
        });
        for (leases, answers) in join_all(calls).await {
            let answers = match answers {
                Ok(answers) => answers,
                // Leases of the other shards must not run out for it.
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            for (lease, answer) in leases.into_iter().zip(answers) {
                match answer {
                    0 => {}
                    1 => lost.push(lease),
                    _ => unknown.push(lease),
                }
            }
        }
        failed.map_or(Ok((lost, unknown)), Err)
    }

    /// Takes in leases that Redis has lost; answers those that others were faster with.
    pub(in super::super) async fn adopt(
        &self,
        leases: &[Lease],
        lease: std::time::Duration,
        now: Instant,
    ) -> RedisResult<Vec<Lease>> {
        let mut lost = Vec::new();
        for ((shard, kind), leases) in grouped(leases) {
            let Some(worker) = leases.first().map(|lease| lease.worker) else { continue };
            let mut call = self.scripts.adopt.prepare_invoke();
            self.keys.place(shard, kind).of(&mut call);
            call.arg(worker.to_string()).arg(millis(lease)).arg(now.micros());
            for lease in &leases {
                call.arg(name(&lease.task)).arg(Token(lease.token).stored());
            }
            let answers: Vec<u8> =
                self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await?;
            lost.extend(leases.into_iter().zip(answers).filter(|(_, answer)| *answer != 0).map(|(lease, _)| lease));
        }
        Ok(lost)
    }
}

impl Token {
    /// As Redis keeps it: one for all kinds of a claim.
    pub(super) const fn stored(self) -> u64 {
        self.0 & !((1 << KIND_BITS) - 1)
    }
}

fn grouped(leases: &[Lease]) -> Vec<((usize, Kind), Vec<Lease>)> {
    let mut places: HashMap<(usize, Kind), Vec<Lease>> = HashMap::new();
    for lease in leases {
        places.entry(place_of_lease(lease)).or_default().push(*lease);
    }
    places.into_iter().collect()
}
