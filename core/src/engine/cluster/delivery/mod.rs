//! The doorbell: Redis Streams, one for each kind and shard, with a consumer group of all workers.
//!
//! Redis may lose everything at any moment: the ledger's rows are the outbox, and the sweep rings again for what is
//! open and not known here. What a shard holds:
//!
//! | key | type | what |
//! |---|---|---|
//! | `{p:sNN}:tasks:K` | stream | tasks of kind K that wait, or are held (pending in the group) |
//! | `{p:sNN}:known` | set | rows of tasks that wait or are held: makes ringing twice ringing once |
//! | `{p:sNN}:held` | hash | row → token, worker, start, entry, kind |
//! | `{p:sNN}:leases:K` | sorted set | row → when its lease ends, by the clock of Redis |
//! | `{p:sNN}:inflight` | hash | worker → how many it holds |
//!
//! Entries are deleted when their task is let go, so memory follows the backlog; a limit bounds it whatever the backlog.

mod claims;
mod hints;
mod keys;
mod link;
mod packed;
mod ringer;
mod scripts;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use redis::RedisResult;
use tokio::sync::Notify;

use self::claims::Token;
pub(super) use self::claims::shard_of_lease;
use self::hints::Hints;
pub(super) use self::keys::Keys;
pub(super) use self::link::Link;
pub(super) use self::packed::{Ready, take};
pub(super) use self::ringer::{Channel, Letting, Ringer};
use self::scripts::Scripts;
use super::rows::{SHARDS, shard_of};
use crate::engine::Lease;
use crate::ids::{UserId, WorkerId};
use crate::tasks::{Kind, WorkerStats};
use crate::time::Instant;

/// A worker not heard of for this long is not counted any more.
const WORKER_FORGOTTEN: Duration = Duration::from_secs(15);
/// That a worker is alive is said no more often.
const WORKER_TOLD: Duration = Duration::from_secs(1);

/// The doorbell, as one process uses it.
pub(super) struct Delivery {
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
    scripts: Scripts,
    limit: usize,
    /// Rung when a claim may find something.
    pub(super) bell: Notify,
    hints: Hints,
    /// When each worker of this process was last told of, and where it runs.
    seen: Mutex<HashMap<WorkerId, (tokio::time::Instant, String)>>,
    turn: AtomicUsize,
    pub(super) paused: AtomicBool,
}

/// What the doorbell knows, for `stats`.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) held: u64,
    /// Since when the oldest task that waits is due.
    pub(super) oldest: Option<Instant>,
    pub(super) workers: Vec<WorkerStats>,
}

/// A lease as the doorbell keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) token: u64,
    pub(super) started_at: Instant,
}

/// Whose turn it is to sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Others,
    /// As before.
    Mine,
    /// From now on.
    Taken,
    /// From now on, and Redis knew of no turn: it is new, or has lost everything.
    First,
}

/// What became of ringing for tasks of one shard and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rung {
    /// How many were not known before.
    pub(super) new: usize,
    /// How many of those given, in order, are known now; the next found no room.
    pub(super) passed: usize,
}

impl Delivery {
    pub(super) fn new(link: Arc<Link>, prefix: &str, limit: usize) -> Self {
        Self {
            link,
            keys: Keys::new(prefix),
            scripts: Scripts::default(),
            limit,
            bell: Notify::new(),
            hints: Hints::default(),
            seen: Mutex::default(),
            turn: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
        }
    }

    /// Claimers should look at a place that another process has rung for; at all, if it is none.
    pub(super) fn hint(&self, place: usize) {
        self.hints.set(place);
        self.bell.notify_waiters();
    }

    /// Claimers should look everywhere.
    pub(super) fn hint_all(&self) {
        self.hints.set_everywhere();
        self.bell.notify_waiters();
    }

    /// Claimers should look everywhere if they have not done so for so long.
    pub(super) fn look(&self, every: Duration) {
        self.hints.look(every);
    }

    pub(super) fn set_paused(&self, paused: bool) {
        if self.paused.swap(paused, Ordering::AcqRel) && !paused {
            self.hint_all();
        }
    }

    /// Rings for tasks of one shard and kind, in order.
    pub(super) async fn ring(&self, shard: usize, kind: Kind, tasks: &[&Ready]) -> RedisResult<Rung> {
        let keys = self.keys.shard(shard);
        let mut call = self.scripts.ring.prepare_invoke();
        call.key(&keys.known)
            .key(&keys.streams[code(kind)])
            .arg(self.limit)
            .arg(&self.keys.rung)
            .arg(Hints::place(shard, kind));
        for task in tasks {
            call.arg(task.identity.seq).arg(task.pack());
        }
        let (new, passed) =
            self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await?;
        Ok(Rung { new, passed })
    }

    /// Which of these rows of one shard wait or are held.
    pub(super) async fn is_known(&self, shard: usize, rows: &[i64]) -> RedisResult<Vec<bool>> {
        let mut command = redis::cmd("SMISMEMBER");
        command.arg(&self.keys.shard(shard).known).arg(rows);
        self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await
    }

    /// Takes a turn at the sweep, or goes on with it, if it is nobody else's.
    pub(super) async fn take_turn(&self, who: u64, length: Duration) -> RedisResult<Turn> {
        let mut call = self.scripts.turn.prepare_invoke();
        call.key(self.keys.sweeper()).arg(who).arg(u64::try_from(length.as_millis()).unwrap_or(u64::MAX));
        let answer: u8 =
            self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await?;
        Ok(match answer {
            0 => Turn::Others,
            1 => Turn::Mine,
            2 => Turn::Taken,
            _ => Turn::First,
        })
    }

    /// Lets go of tasks that are final, gone or due later.
    pub(super) async fn forget(&self, shard: usize, rows: &[i64]) -> RedisResult<()> {
        let keys = self.keys.shard(shard);
        let mut call = self.scripts.forget.prepare_invoke();
        call.key(&keys.known).key(&keys.held).key(&keys.inflight);
        for (stream, leases) in keys.streams.iter().zip(&keys.leases) {
            call.key(stream).key(leases);
        }
        for row in rows {
            call.arg(*row);
        }
        self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await
    }

    /// The leases on rows of one shard.
    pub(super) async fn held(&self, shard: usize, rows: &[i64]) -> RedisResult<Vec<Option<Held>>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(&self.keys.shard(shard).held).arg(rows);
        let found: Vec<Option<String>> =
            self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await?;
        Ok(found.into_iter().map(|text| text.and_then(|text| read_held(&text))).collect())
    }

    /// Whether the task of a lease is another worker's now, or waits to be. A task that Redis has forgotten is not.
    pub(super) async fn is_lost(&self, lease: &Lease) -> RedisResult<bool> {
        let keys = self.keys.shard(shard_of_lease(lease));
        let mut both = redis::pipe();
        both.hget(&keys.held, lease.row).sismember(&keys.known, lease.row);
        let (held, known): (Option<String>, bool) =
            self.link.run(|mut connection| async move { both.query_async(&mut connection).await }).await?;
        let held = held.and_then(|text| read_held(&text));
        Ok(held.map_or(known, |held| held.token != Token(lease.token).stored()))
    }

    /// Says that a worker is alive, unless that was said a moment ago. One that only renews its leases need not say again
    /// where it runs.
    pub(super) async fn see(&self, worker: WorkerId, host: Option<&str>, now: Instant) -> RedisResult<()> {
        let clock = tokio::time::Instant::now();
        let known = self.seen().get(&worker).cloned();
        if known.as_ref().is_some_and(|(told, _)| clock.duration_since(*told) < WORKER_TOLD) {
            return Ok(());
        }
        let Some(host) = host.map(str::to_owned).or_else(|| known.map(|(_, host)| host)) else { return Ok(()) };
        let mut command = redis::cmd("HSET");
        command.arg(self.keys.workers()).arg(worker.to_string()).arg(format!("{} {host}", now.micros()));
        self.link.run(|mut connection| async move { command.query_async::<()>(&mut connection).await }).await?;
        let mut seen = self.seen();
        seen.retain(|_, (told, _)| clock.duration_since(*told) < WORKER_FORGOTTEN);
        seen.insert(worker, (clock, host));
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<WorkerId, (tokio::time::Instant, String)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What all shards hold.
    pub(super) async fn figures(&self, now: Instant) -> RedisResult<Figures> {
        type Answer = (u64, Vec<(String, u64)>, Vec<Vec<u8>>);
        let shards = join_all(self.keys.shards().iter().map(|keys| async move {
            let mut call = self.scripts.figures.prepare_invoke();
            call.key(&keys.held).key(&keys.inflight);
            for stream in &keys.streams {
                call.key(stream);
            }
            let answer: RedisResult<Answer> =
                self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await;
            answer
        }))
        .await;
        let mut figures = Figures::default();
        let mut inflight = HashMap::<String, u64>::new();
        for shard in shards {
            let (held, workers, oldest) = shard?;
            figures.held += held;
            for (worker, count) in workers {
                *inflight.entry(worker).or_default() += count;
            }
            let oldest = Kind::ALL.iter().zip(&oldest).filter_map(|(kind, entry)| Ready::unpack(*kind, entry));
            figures.oldest = oldest.map(|ready| ready.due_at).chain(figures.oldest).min();
        }
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.workers());
        let seen: Vec<(String, String)> =
            self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await?;
        let mut forgotten = Vec::new();
        for (id, seen) in seen {
            let entry = seen.split_once(' ').and_then(|(at, host)| {
                Some((id.parse::<WorkerId>().ok()?, Instant::from_micros(at.parse().ok()?), host.to_owned()))
            });
            let holds = inflight.get(&id).copied().unwrap_or(0);
            match entry {
                Some((worker, last_seen, host)) if holds > 0 || now.since(last_seen) < WORKER_FORGOTTEN => {
                    figures.workers.push(WorkerStats { id: worker, host, inflight: holds, last_seen });
                }
                _ => forgotten.push(id),
            }
        }
        if !forgotten.is_empty() {
            let mut command = redis::cmd("HDEL");
            command.arg(self.keys.workers()).arg(forgotten);
            // Only tidiness.
            let _: RedisResult<()> =
                self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await;
        }
        figures.workers.sort_by_key(|worker| worker.id);
        Ok(figures)
    }

    /// Says something to every process of the platform. A hint: it may be lost.
    pub(super) async fn publish(&self, channel: &str, message: Vec<u8>) -> RedisResult<()> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(message);
        self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await
    }
}

/// Groups by shard, keeping the order within each.
pub(super) fn by_shard<T>(items: impl IntoIterator<Item = T>, owner: impl Fn(&T) -> Option<UserId>) -> Vec<Vec<T>> {
    let mut shards: Vec<Vec<T>> = (0..SHARDS).map(|_| Vec::new()).collect();
    for item in items {
        shards[shard_of(owner(&item))].push(item);
    }
    shards
}

fn code(kind: Kind) -> usize {
    usize::try_from(super::rows::kind_code(kind)).unwrap_or(0)
}

/// Reads what `claim.lua` and `adopt.lua` write: token, worker, start, entry, kind.
fn read_held(text: &str) -> Option<Held> {
    let mut parts = text.split(' ');
    let token = parts.next()?.parse().ok()?;
    let started_at = parts.nth(1)?.parse().ok()?;
    Some(Held { token, started_at: Instant::from_micros(started_at) })
}
