//! The sweep: finds in the ledger what delivery has missed or lost, and offers it again. This is what lets Redis lose
//! anything at any moment.
//!
//! One process sweeps at a time, as long as it says so in Redis; two would only do the same work twice, as offering
//! twice is offering once. Each round offers
//!
//! - what was put off and is due now, by an index of its own, and
//! - the next stretch of everything that is open and due, oldest first, queue by queue. A stretch in which something was
//!   missing is followed by the next at once, so a Redis that lost everything is filled as fast as it can take it;
//!   otherwise the walk is slow enough to cost nothing. A stretch that found no room is begun again later: that is how
//!   a backlog beyond what Redis is allowed to hold comes in, in order.
//!
//! A task is left alone only if the next claim is sure to find it or somebody has a lease on it
//! (`delivery/scripts/check.lua`): that Redis remembers a task says nothing. The other way round, each round looks at a part
//! of what Redis holds and removes what is not open; at all of it at once, when there is no room.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::copies;
use super::delivery::{Offered, QueueId, Ready, TURN, Tidying, Turn, by_queue, by_shard};
use super::kinds::learn;
use super::reads::read;
use super::retention;
use super::rows::{Identity, json_of, kind_of, priority_of_row, run_of};
use super::shared::Shared;
use crate::engine::EngineError;
use crate::engine::kinds::Kinds;
use crate::engine::rows::priority_code;
use crate::ids::{TaskId, UserId};
use crate::tasks::Priority;
use crate::time::Instant;

/// A round is begun this often; tasks that were put off are late by this much at most.
const ROUND: Duration = Duration::from_millis(250);
/// Tasks looked at in one stretch.
const STRETCH: i64 = 1_000;
/// A task this young may be on its way to Redis.
const GRACE: Duration = Duration::from_secs(1);
/// Due times so long before the latest are read again: their commits may have come late. In microseconds.
const OVERLAP: i64 = 500_000;
/// A Redis that has lost everything is given so long at most, before anything is offered: workers that hold tasks say so.
const RECOLLECTION: Duration = Duration::from_secs(2);
/// A stretch without room for so long is passed over: others behind it may have room.
const HELD_UP: Duration = Duration::from_secs(5);
/// What Redis holds is compared with the ledger in parts of so many.
const PART: usize = 250;
const LARGE_PART: usize = 1_000;
/// Most places hold nothing: so many of them are passed over in one round.
const EMPTY: usize = 24;
/// While there is no room, a round spends so long on finding what is left over ...
const TIDYING: Duration = Duration::from_millis(200);
/// ... once through everything, and then not for so long: a backlog beyond the limit is nothing unusual.
const TIDY: Duration = Duration::from_secs(20);
/// Between two times that a Redis without a turn makes the sweep wait.
const RECOLLECTED: Duration = Duration::from_secs(10);

/// Which tasks a walk goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Those that wait for their first attempt, by their place.
    Queue(QueueId),
    /// Those that waited for a time of their own, by that time.
    Postponed,
}

/// How far a walk has come.
#[derive(Debug, Default)]
struct Walk {
    /// When the last one looked at is due, and its place.
    at: (i64, i64),
    held_up_since: Option<tokio::time::Instant>,
}

#[derive(Default)]
pub(super) struct Sweep {
    walks: BTreeMap<Way, Walk>,
    /// Everything put off until then has been offered.
    due_until: i64,
    tidying: Tidying,
    /// Everything that Redis holds is being looked at without a pause, or was at that time.
    tidy: Tidy,
}

#[derive(Debug, Clone, Copy, Default)]
enum Tidy {
    #[default]
    Slowly,
    AtOnce,
    Done(tokio::time::Instant),
}

/// Sweeps until the engine stops.
pub(super) async fn run(shared: Arc<Shared>, retention: Duration, lease: Duration) {
    let mut sweep = Sweep::default();
    let mut upkeep = retention::Upkeep::new(retention);
    // Leases are renewed every third of their length.
    let recollection = RECOLLECTION.min(lease / 2);
    let mut not_before = tokio::time::Instant::now();
    let mut copies = copies::Watch::default();
    let mut recollected: Option<tokio::time::Instant> = None;
    loop {
        let Some(turn) = shared.stop.run_until_cancelled(shared.delivery.take_turn(shared.origin, TURN)).await else {
            return;
        };
        match turn {
            // Whoever swept before may have been stopped anywhere.
            Ok(Turn::Taken) => sweep = Sweep::default(),
            Ok(Turn::First) => {
                sweep = Sweep::default();
                // Once: a Redis that forgets this again and again must not keep the sweep away.
                if recollected.is_none_or(|at| at.elapsed() >= RECOLLECTED) {
                    not_before = tokio::time::Instant::now() + recollection;
                    recollected = Some(not_before);
                }
            }
            _ => {}
        }
        copies.heard(&shared, turn.as_ref().ok().copied());
        let mut pause = ROUND;
        if !matches!(turn, Ok(Turn::Others | Turn::Foreign) | Err(_)) && not_before <= tokio::time::Instant::now() {
            match shared.stop.run_until_cancelled(sweep.round(&shared)).await {
                None => return,
                Some(Ok(wanted)) => pause = wanted,
                Some(Err(error)) => {
                    tracing::debug!(error = %error.shared(), "the sweep could not read the ledger");
                }
            }
        }
        // Without Redis everybody does it: the ledger must not wait for it.
        if !matches!(turn, Ok(Turn::Others | Turn::Foreign)) {
            let _ = shared.stop.run_until_cancelled(upkeep.round(&shared)).await;
        }
        if timeout(pause, shared.stop.cancelled()).await.is_ok() {
            if !matches!(turn, Ok(Turn::Others | Turn::Foreign) | Err(_)) {
                // The next one may begin at once.
                let _ = shared.delivery.take_turn(shared.origin, Duration::ZERO).await;
            }
            return;
        }
    }
}

impl Sweep {
    /// One round; answers how long to pause.
    pub(super) async fn round(&mut self, shared: &Shared) -> Result<Duration, EngineError> {
        self.ring_due(shared).await?;
        let mut hurry = false;
        for queue in QueueId::of_all(&shared.kinds.all()) {
            hurry |= self.walk(shared, Way::Queue(queue)).await?;
        }
        hurry |= self.walk(shared, Way::Postponed).await?;
        hurry |= self.tidy(shared).await?;
        Ok(if hurry { Duration::ZERO } else { ROUND })
    }

    async fn ring_due(&mut self, shared: &Shared) -> Result<(), EngineError> {
        let now = shared.clock.now().micros();
        let mut after = (self.due_until - OVERLAP, 0);
        loop {
            let (tasks, more) = postponed(shared, after, Duration::ZERO).await?;
            for (queue, tasks) in by_queue(&tasks, |ready| ready.queue()) {
                // What finds no room is found by the walk.
                if offer(shared, queue, &tasks).await?.is_none() {
                    return Ok(());
                }
            }
            after = tasks.last().map_or(after, |ready| (ready.due_at.micros(), ready.identity.seq));
            if !more {
                self.due_until = self.due_until.max(now);
                return Ok(());
            }
        }
    }

    /// One stretch of one way; whether the next should follow at once.
    async fn walk(&mut self, shared: &Shared, way: Way) -> Result<bool, EngineError> {
        let at = self.walks.entry(way).or_default().at;
        let (tasks, more) = match way {
            Way::Queue(queue) => waiting(shared, queue, at.1).await?,
            Way::Postponed => postponed(shared, at, GRACE).await?,
        };
        let (mut new, mut stuck) = (0, false);
        for (queue, tasks) in by_queue(&tasks, |ready| ready.queue()) {
            let Some(offered) = offer(shared, queue, &tasks).await? else { return Ok(false) };
            new += offered.new;
            stuck |= offered.passed < tasks.len();
        }
        if new > 0 {
            tracing::info!(tasks = new, "dispatched tasks that Redis had lost");
        }
        let walk = self.walks.entry(way).or_default();
        if stuck {
            let since = *walk.held_up_since.get_or_insert_with(tokio::time::Instant::now);
            if match self.tidy {
                Tidy::Slowly => true,
                Tidy::AtOnce => false,
                Tidy::Done(at) => at.elapsed() >= TIDY,
            } {
                (self.tidy, self.tidying) = (Tidy::AtOnce, Tidying::default());
            }
            if since.elapsed() < HELD_UP {
                // Go on here when there is room again: at once there would be room for a few, and all would be read for them.
                return Ok(false);
            }
        }
        walk.held_up_since = None;
        walk.at = match tasks.last() {
            Some(last) if more => (last.due_at.micros(), last.identity.seq),
            _ => (0, 0),
        };
        Ok(more && new > 0)
    }

    /// Looks at a part of what Redis holds, and lets go of what is not open and due; whether to go on at once.
    async fn tidy(&mut self, shared: &Shared) -> Result<bool, EngineError> {
        let begun = tokio::time::Instant::now();
        let at_once = matches!(self.tidy, Tidy::AtOnce);
        let queues: Vec<QueueId> = QueueId::of_all(&shared.kinds.all()).collect();
        let mut empty = 0;
        loop {
            let Some((shard, queue)) = self.tidying.place(&queues) else { return Ok(false) };
            let part = if at_once { LARGE_PART } else { PART };
            let Ok(tasks) = shared.delivery.tidy(&mut self.tidying, &queues, part).await else { return Ok(false) };
            if tasks.is_empty() && !at_once && !self.tidying.is_at_start() && empty < EMPTY {
                empty += 1;
                continue;
            }
            let open = still_open(shared, tasks.iter().map(|task| task.uuid()).collect()).await?;
            let over: Vec<TaskId> = tasks.into_iter().filter(|task| !open.contains(&task.uuid())).collect();
            if !over.is_empty() {
                tracing::debug!(tasks = over.len(), %queue, "released tasks that are not open");
            }
            if shared.delivery.forget(shard, queue, &over).await.is_err() || !at_once {
                return Ok(false);
            }
            if self.tidying.is_at_start() {
                self.tidy = Tidy::Done(begun);
                return Ok(false);
            }
            if begun.elapsed() >= TIDYING {
                return Ok(true);
            }
        }
    }
}

/// Offers those tasks of one queue that are not sure to be handed out. None if Redis can't be told.
async fn offer(shared: &Shared, queue: QueueId, tasks: &[&Ready]) -> Result<Option<Offered>, EngineError> {
    let mut missing = Vec::new();
    for (shard, tasks) in by_shard(tasks.iter().copied(), |ready| ready.identity.owner).into_iter().enumerate() {
        if tasks.is_empty() {
            continue;
        }
        let Ok(sure) = shared.delivery.check(shard, queue, &tasks).await else { return Ok(None) };
        missing.extend(tasks.into_iter().zip(sure).filter(|(_, sure)| !sure).map(|(ready, _)| ready));
    }
    // They may be missing for being final by now: since they were read, a worker has settled them and let go.
    let open = still_open(shared, missing.iter().map(|ready| ready.identity.id.uuid()).collect()).await?;
    missing.retain(|ready| open.contains(&ready.identity.id.uuid()));
    let mut all = Offered { new: 0, passed: tasks.len() - missing.len() };
    for (shard, tasks) in by_shard(missing, |ready| ready.identity.owner).into_iter().enumerate() {
        if tasks.is_empty() {
            continue;
        }
        let Ok(offered) = shared.delivery.offer(shard, queue, &tasks).await else { return Ok(None) };
        all.new += offered.new;
        all.passed += offered.passed;
    }
    Ok(Some(all))
}

/// Which of some tasks are due and open now.
async fn still_open(shared: &Shared, ids: Vec<Uuid>) -> Result<HashSet<Uuid>, EngineError> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let open = read(|| {
        sqlx::query_scalar!(
            "SELECT id FROM tasks WHERE id = ANY ($1) AND status + 0 < 4 AND due_at <= (SELECT ledger_now())",
            &ids
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    Ok(open.into_iter().collect())
}

/// A stretch of what waits for its first attempt in a queue, from a place on, and whether there is more.
async fn waiting(shared: &Shared, queue: QueueId, after: i64) -> Result<(Vec<Ready>, bool), EngineError> {
    let (kind, grace) = (i16::from(queue.kind()), i64::try_from(GRACE.as_micros()).unwrap_or(i64::MAX));
    let rows = match queue.priority() {
        Priority::Normal => {
            read(|| {
                sqlx::query_as!(
                    OpenRow,
                    r#"SELECT id, seq, kind, attempts, owner, run, payload, accepted_at, due_at, priority,
                              not_before
                       FROM tasks
                       WHERE status < 4 AND NOT postponed AND priority IS NULL AND kind = $1 AND seq > $2
                         AND due_at <= (SELECT ledger_now()) - $3::bigint
                       ORDER BY seq LIMIT $4"#,
                    kind,
                    after,
                    grace,
                    STRETCH
                )
                .fetch_all(&shared.pool)
            })
            .await?
        }
        priority => {
            read(|| {
                sqlx::query_as!(
                    OpenRow,
                    r#"SELECT id, seq, kind, attempts, owner, run, payload, accepted_at, due_at, priority,
                              not_before
                       FROM tasks
                       WHERE status < 4 AND NOT postponed AND priority IS NOT NULL AND kind = $1 AND priority = $2
                         AND seq > $3 AND due_at <= (SELECT ledger_now()) - $4::bigint
                       ORDER BY seq LIMIT $5"#,
                    kind,
                    i16::from(priority_code(priority)),
                    after,
                    grace,
                    STRETCH
                )
                .fetch_all(&shared.pool)
            })
            .await?
        }
    };
    stretch(shared, rows).await
}

/// A stretch of what waited for a time that has come, from a time on, and whether there is more.
async fn postponed(shared: &Shared, after: (i64, i64), grace: Duration) -> Result<(Vec<Ready>, bool), EngineError> {
    let grace = i64::try_from(grace.as_micros()).unwrap_or(i64::MAX);
    let rows = read(|| {
        sqlx::query_as!(
            OpenRow,
            "SELECT id, seq, kind, attempts, owner, run, payload, accepted_at, due_at, priority, not_before FROM tasks
             WHERE status < 4 AND postponed AND (due_at, seq) > ($1, $2)
               AND due_at <= (SELECT ledger_now()) - $3::bigint
             ORDER BY due_at, seq LIMIT $4",
            after.0,
            after.1,
            grace,
            STRETCH
        )
        .fetch_all(&shared.pool)
    })
    .await?;
    stretch(shared, rows).await
}

async fn stretch(shared: &Shared, rows: Vec<OpenRow>) -> Result<(Vec<Ready>, bool), EngineError> {
    let more = rows.len() as i64 == STRETCH;
    Ok((ready(shared, rows).await?, more))
}

/// An open task's row.
struct OpenRow {
    id: Uuid,
    seq: i64,
    kind: i16,
    attempts: i32,
    owner: Option<Uuid>,
    run: Option<String>,
    payload: String,
    accepted_at: i64,
    due_at: i64,
    priority: Option<i16>,
    not_before: Option<i64>,
}

async fn ready(shared: &Shared, rows: Vec<OpenRow>) -> Result<Vec<Ready>, EngineError> {
    learn(shared, rows.iter().map(|row| row.kind)).await?;
    rows.into_iter().map(|row| row.ready(&shared.kinds)).collect()
}

impl OpenRow {
    fn ready(self, kinds: &Kinds) -> Result<Ready, EngineError> {
        let identity = Identity {
            seq: self.seq,
            id: TaskId::from_uuid(self.id),
            kind: kind_of(self.kind, kinds)?,
            owner: self.owner.map(UserId::from_uuid),
            run: run_of(self.run)?,
            accepted_at: Instant::from_micros(self.accepted_at),
            priority: priority_of_row(self.priority),
            due_at: self.not_before.map(Instant::from_micros),
        };
        Ok(Ready {
            identity,
            payload: json_of(Some(self.payload))?.unwrap_or_default(),
            attempts: u32::try_from(self.attempts).unwrap_or(0),
            due_at: Instant::from_micros(self.due_at),
        })
    }
}
