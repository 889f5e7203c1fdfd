//! Delivery: Redis Streams, one for each kind, priority and shard, with a consumer group of all workers.
//!
//! Redis may lose anything at any moment, or come back as it was long ago: the ledger's rows are the outbox, and the
//! sweep offers again what is open and not sure to be handed out ([`Delivery::check`]). A place, one queue in one shard,
//! holds (K is the code of the kind, and `:high` or `:low` after it):
//!
//! | key | type | what |
//! |---|---|---|
//! | `{p:sNN}:tasks:K` | stream | tasks that wait, or are held; none is pending: nobody acknowledges |
//! | `{p:sNN}:waiting:K` | hash | task → its entry: makes offering twice offering once |
//! | `{p:sNN}:held:K` | hash | task → token, worker, start, entry, end and length of its lease, by the clock of Redis |
//! | `{p:sNN}:leases:K` | sorted set | task → end of its lease: the index of `held` by which claims find what ran out |
//!
//! None of them is believed alone. Tasks are named by their ids, so nothing of an older ledger can be mistaken for a
//! present one. Entries are deleted when their task is let go, so memory follows the backlog; a limit bounds it
//! whatever the backlog; [`Delivery::tidy`] finds what belongs to nothing.

mod address;
mod claims;
mod figures;
mod hints;
mod keys;
mod link;
mod notifier;
mod packed;
mod queue;
mod scripts;
mod tidy;
mod trial;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::RedisResult;
use tokio::sync::Notify;

use self::claims::Token;
pub(super) use self::claims::place_of_lease;
use self::hints::Hints;
pub(super) use self::keys::Keys;
#[cfg(test)]
pub(super) use self::keys::Place;
pub(super) use self::link::Link;
pub(super) use self::notifier::{Channel, Letting, Notifier};
pub(super) use self::packed::{Ready, take};
pub(super) use self::queue::QueueId;
use self::scripts::Scripts;
pub(super) use self::tidy::Tidying;
pub(super) use self::trial::try_out;
pub use self::trial::{RedisReport, RedisTrouble};
use super::rows::{SHARDS, shard_of};
use crate::engine::Lease;
use crate::ids::{TaskId, UserId, WorkerId};
use crate::time::Instant;

/// How long a process sweeps without saying so again.
pub(super) const TURN: Duration = Duration::from_secs(3);
/// A task that was handed out, and Redis does not know to whom, is left alone so long: leases are renewed every second.
const NOBODYS: Duration = Duration::from_millis(1_500);

/// Delivery, as one process uses it.
pub(super) struct Delivery {
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
    scripts: Scripts,
    limit: usize,
    /// Notified when a claim may find something.
    pub(super) wake_up: Notify,
    hints: Hints,
    /// When each worker of this process was last told of, and where it runs.
    seen: Mutex<HashMap<WorkerId, (tokio::time::Instant, String)>>,
    turn: AtomicUsize,
    pub(super) paused: AtomicBool,
    /// Which server of Postgres the ledger is on: when it was started, in microseconds. 0: not known yet.
    pub(super) server: AtomicI64,
    /// Another server's copy of the ledger is at work here: nothing is offered or handed out meanwhile.
    pub(super) foreign: AtomicBool,
}

/// A lease as Redis keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) token: u64,
    pub(super) started_at: Instant,
}

/// Whose turn it is to sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Others,
    /// Others', and their ledger is another server's: a copy of ours, or ours is one.
    Foreign,
    /// As before.
    Mine,
    /// From now on.
    Taken,
    /// From now on, and Redis knew of no turn: it is new, or has lost everything.
    First,
}

/// What became of offering tasks of one shard and queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offered {
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
            wake_up: Notify::new(),
            hints: Hints::default(),
            seen: Mutex::default(),
            turn: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            server: AtomicI64::new(0),
            foreign: AtomicBool::new(false),
        }
    }

    /// Claimers should look at a place that another process has offered; at all, if it is none.
    pub(super) fn hint(&self, place: usize) {
        self.hints.set(place);
        self.wake_up.notify_waiters();
    }

    /// Claimers should look everywhere.
    pub(super) fn hint_all(&self) {
        self.hints.set_everywhere();
        self.wake_up.notify_waiters();
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

    /// Offers tasks of one shard and queue, in order.
    pub(super) async fn offer(&self, shard: usize, queue: QueueId, tasks: &[&Ready]) -> RedisResult<Offered> {
        let place = self.keys.place(shard, queue);
        let mut call = self.scripts.offer.prepare_invoke();
        call.key(&place.stream)
            .key(&place.waiting)
            .key(&place.held)
            .arg(self.limit)
            .arg(&self.keys.offered)
            .arg(Hints::place(shard, queue));
        for task in tasks {
            call.arg(task.pack());
        }
        let (new, passed) =
            self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await?;
        Ok(Offered { new, passed })
    }

    /// Which of these tasks of one shard and queue are sure to be handed out, or are under a lease that ends. What else
    /// there is of the others is removed, so that they can be offered.
    pub(super) async fn check(&self, shard: usize, queue: QueueId, tasks: &[&Ready]) -> RedisResult<Vec<bool>> {
        let mut call = self.scripts.check.prepare_invoke();
        self.keys.place(shard, queue).of(&mut call);
        call.arg(millis(NOBODYS));
        for task in tasks {
            call.arg(task.pack_head());
        }
        self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await
    }

    /// Takes a turn at the sweep, or goes on with it, if it is nobody else's.
    pub(super) async fn take_turn(&self, who: u64, length: Duration) -> RedisResult<Turn> {
        let mut call = self.scripts.turn.prepare_invoke();
        call.key(self.keys.sweeper()).arg(who).arg(millis(length)).arg(millis(TURN));
        call.arg(self.server.load(Ordering::Acquire));
        let answer: u8 =
            self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await?;
        Ok(match answer {
            0 => Turn::Others,
            1 => Turn::Mine,
            2 => Turn::Taken,
            4 => Turn::Foreign,
            _ => Turn::First,
        })
    }

    /// Until when somebody sweeps, and on which server of Postgres.
    pub(super) async fn sweeper(&self) -> RedisResult<Option<(u64, i64)>> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.sweeper());
        let text: Option<String> =
            self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await?;
        Ok(text.and_then(|text| {
            let mut parts = text.split(' ').skip(1);
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        }))
    }

    /// Lets go of tasks that are final, gone or due later.
    pub(super) async fn forget(&self, shard: usize, queue: QueueId, tasks: &[TaskId]) -> RedisResult<()> {
        if tasks.is_empty() {
            return Ok(());
        }
        let mut call = self.scripts.forget.prepare_invoke();
        self.keys.place(shard, queue).of(&mut call);
        for task in tasks {
            call.arg(name(task));
        }
        self.link.run(|mut connection| async move { call.invoke_async(&mut connection).await }).await
    }

    /// The leases on tasks of one shard and queue.
    pub(super) async fn held(&self, shard: usize, queue: QueueId, tasks: &[TaskId]) -> RedisResult<Vec<Option<Held>>> {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(&self.keys.place(shard, queue).held);
        for task in tasks {
            command.arg(name(task));
        }
        let found: Vec<Option<String>> =
            self.link.run(|mut connection| async move { command.query_async(&mut connection).await }).await?;
        Ok(found.into_iter().map(|text| text.and_then(|text| read_held(&text))).collect())
    }

    /// Whether the task of a lease is another worker's now. A task that Redis has forgotten is not.
    pub(super) async fn is_lost(&self, lease: &Lease) -> RedisResult<bool> {
        let (shard, queue) = place_of_lease(lease);
        let held = self.held(shard, queue, &[lease.task]).await?;
        Ok(held.first().copied().flatten().is_some_and(|held| held.token != Token(lease.token).stored()))
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

/// Groups by queue, keeping the order within each.
pub(super) fn by_queue<T>(
    items: impl IntoIterator<Item = T>,
    queue: impl Fn(&T) -> QueueId,
) -> BTreeMap<QueueId, Vec<T>> {
    let mut queues = BTreeMap::<QueueId, Vec<T>>::new();
    for item in items {
        queues.entry(queue(&item)).or_default().push(item);
    }
    queues
}

/// Reads what `write_lease` of the scripts writes; none for a lease that is nobody's.
fn read_held(text: &str) -> Option<Held> {
    let mut parts = text.split(' ');
    let token = parts.next()?.parse().ok().filter(|token| *token != 0)?;
    let started_at = parts.nth(1)?.parse().ok()?;
    Some(Held { token, started_at: Instant::from_micros(started_at) })
}

/// How Redis names a task.
fn name(task: &TaskId) -> Vec<u8> {
    task.uuid().as_bytes().to_vec()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
