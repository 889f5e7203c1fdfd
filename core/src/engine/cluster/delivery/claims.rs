//! Claiming and keeping leases.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;

use futures::future::join_all;
use redis::RedisResult;

use super::super::rows::SHARDS;
use super::{Delivery, QueueId, Ready, millis, name};
use crate::engine::{ClaimRequest, KnownKind, Lease, LeaseRow};
use crate::tasks::Priority;
use crate::time::Instant;

/// A lease's token: random, and in its lowest bits where the task lies, so that nobody has to look that up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token(pub(super) u64);

const SHARD_BITS: u32 = 8;

impl Token {
    /// For all queues of a claim.
    fn new(shard: usize) -> Self {
        Self((rand::random::<u64>() << (SHARD_BITS + QueueId::BITS)) | ((shard as u64) << QueueId::BITS))
    }

    fn with_queue(self, queue: QueueId) -> Self {
        Self(self.stored() | u64::from(queue.number()))
    }

    fn shard(self) -> usize {
        (self.0 >> QueueId::BITS) as usize & ((1 << SHARD_BITS) - 1)
    }

    fn queue(self) -> QueueId {
        QueueId::from_number(self.0)
    }
}

/// Where the task of a lease lies: the shard, and the queue.
pub(in super::super) fn place_of_lease(lease: &Lease) -> (usize, QueueId) {
    let token = Token(lease.token);
    (token.shard() % SHARDS, token.queue())
}

/// What is asked of one shard.
#[derive(Debug, Clone)]
struct Call {
    wanted: usize,
    /// In the order in which they are looked through.
    queues: Vec<QueueId>,
    /// How many of each kind at most, by its code.
    most: HashMap<u8, usize>,
    now: Instant,
}

impl Call {
    /// Whether there may be more of a kind than was found: all of it that there was room for is there, or all that was
    /// wanted.
    fn may_have_more(&self, kind: u8, found: &[(Ready, Lease)]) -> bool {
        let of_kind = found.iter().filter(|(ready, _)| ready.identity.kind.code == kind).count();
        found.len() >= self.wanted || self.most.get(&kind).is_none_or(|most| of_kind >= *most)
    }
}

impl Delivery {
    /// Takes up to `request.max` tasks of `kinds`, which are those of the request, from the shards that may have some.
    pub(in super::super) async fn claim(
        &self,
        request: &ClaimRequest,
        kinds: &[KnownKind],
        now: Instant,
    ) -> RedisResult<Vec<(Ready, Lease)>> {
        // Each time another shard and another kind comes first, so that none waits for ever, and the priority whose turn it is.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut rooms: HashMap<u8, usize> =
            kinds.iter().map(|known| (known.code, request.most(known.kind))).filter(|(_, room)| *room > 0).collect();
        let first = turn % kinds.len().max(1);
        let (before, from) = kinds.split_at(first);
        let queues = Priority::order(turn).into_iter().flat_map(|priority| {
            let wanted = from.iter().chain(before).filter(|known| rooms.contains_key(&known.code));
            wanted.map(move |known| QueueId::new(known.code, priority))
        });
        // What is offered from here on is hinted at again.
        let mut hinted = self.hints.take(queues);
        // Shards with something of that priority come before the others.
        let is_first = |shard: &usize| hinted[*shard].iter().any(|queue| queue.priority() == Priority::order(turn)[0]);
        let (mut shards, others): (VecDeque<usize>, VecDeque<usize>) = (0..SHARDS)
            .map(|step| (turn + step) % SHARDS)
            .filter(|shard| !hinted[*shard].is_empty())
            .partition(is_first);
        shards.extend(others);
        let (mut claims, mut failed) = (Vec::new(), None);
        // As many shards at once as there is something to ask for, each for its share; then those that had all of theirs.
        while claims.len() < request.max && !shards.is_empty() && rooms.values().any(|room| *room > 0) {
            let left = request.max - claims.len();
            let asked: Vec<usize> = shards.drain(..shards.len().min(left)).collect();
            // Together no more than there is room for: a worker's limit on a kind is a promise to those whom its steps call. The
            // first has a share of everything, so each round finds something or ends a hint.
            let part = |whole: usize, at: usize| whole / asked.len() + usize::from(at < whole % asked.len());
            let calls = asked.iter().enumerate().map(|(at, shard)| {
                let most = rooms.iter().map(|(kind, room)| (*kind, part(*room, at))).collect();
                let call = Call { wanted: part(left, at), queues: hinted[*shard].clone(), most, now };
                async move {
                    let found = self.claim_from(*shard, request, kinds, &call).await;
                    (call, found)
                }
            });
            for (shard, (call, answer)) in asked.iter().zip(join_all(calls).await) {
                let found = match answer {
                    Ok(found) => found,
                    // Not asked again by this claim, and still hinted at for the next.
                    Err(error) => {
                        failed = Some(error);
                        continue;
                    }
                };
                // What is there of kinds that there is no room for is for the next claim.
                hinted[*shard].retain(|queue| call.may_have_more(queue.kind(), &found));
                for (ready, _) in &found {
                    if let Some(room) = rooms.get_mut(&ready.identity.kind.code) {
                        *room = room.saturating_sub(1);
                    }
                }
                claims.extend(found);
                if hinted[*shard].iter().any(|queue| rooms.get(&queue.kind()).is_some_and(|room| *room > 0)) {
                    shards.push_back(*shard);
                }
            }
        }
        for (shard, queues) in hinted.iter().enumerate() {
            self.hints.put_back(shard, queues);
        }
        if !claims.is_empty() && hinted.iter().any(|queues| !queues.is_empty()) {
            // Another claimer of this process may have looked while nothing was hinted at.
            self.wake_up.notify_waiters();
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
        kinds: &[KnownKind],
        Call { wanted, queues, most, now }: &Call,
    ) -> RedisResult<Vec<(Ready, Lease)>> {
        if *wanted == 0 {
            return Ok(Vec::new());
        }
        let token = Token::new(shard);
        let mut call = self.scripts.claim.prepare_invoke();
        call.arg(request.worker.to_string()).arg(token.0).arg(wanted).arg(millis(request.lease)).arg(now.micros());
        for queue in queues {
            self.keys.place(shard, *queue).of(&mut call);
            call.arg(queue.number()).arg(queue.kind()).arg(most.get(&queue.kind()).copied().unwrap_or(0));
        }
        let found: Vec<(u16, Vec<u8>)> =
            self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await?;
        Ok(found
            .into_iter()
            .filter_map(|(queue, packed)| {
                let queue = QueueId::from_number(queue.into());
                let known = kinds.iter().find(|known| known.code == queue.kind())?;
                let ready = Ready::unpack(*known, &packed)?;
                let (token, row) = (token.with_queue(queue).0, LeaseRow(ready.identity.seq));
                let lease = Lease { task: ready.identity.id, row, token, worker: request.worker };
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
        let calls = grouped(leases).into_iter().map(|((shard, queue), leases)| async move {
            let place = self.keys.place(shard, queue);
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
        for ((shard, queue), leases) in grouped(leases) {
            let Some(worker) = leases.first().map(|lease| lease.worker) else { continue };
            let mut call = self.scripts.adopt.prepare_invoke();
            self.keys.place(shard, queue).of(&mut call);
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
    /// As Redis keeps it: one for all queues of a claim.
    pub(super) const fn stored(self) -> u64 {
        self.0 & !((1 << QueueId::BITS) - 1)
    }
}

fn grouped(leases: &[Lease]) -> Vec<((usize, QueueId), Vec<Lease>)> {
    let mut places: HashMap<(usize, QueueId), Vec<Lease>> = HashMap::new();
    for lease in leases {
        places.entry(place_of_lease(lease)).or_default().push(*lease);
    }
    places.into_iter().collect()
}
