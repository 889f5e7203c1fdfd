//! What others do with tasks that do nothing, on the same machine and in the same run as ours: Celery and BullMQ.
//!
//! `bench peers [SECONDS [ROUNDS]]` prints one JSON line for each round and peer, and the medians as a table at the
//! end. Other parts call [`run`], or [`installed`] and [`peer::Peer::round`] to alternate with a measurement of their
//! own.
//!
//! **How.** Each measurement has a new `redis-server` (Debian package) of its own on a free port: AOF `everysec`, no
//! RDB snapshots, everything else as Redis comes (it may rewrite its AOF meanwhile, as it would for anybody). Celery:
//! one worker, prefork pool of 2, defaults otherwise, results kept in Redis, because only then does it know what
//! became of a task. BullMQ: 2 processes, 50 jobs at once in each, defaults otherwise; finished jobs stay in Redis.
//! Completions are counted in Redis (stored results, entries of the set of completed jobs), not taken from what a
//! worker says; the count starts 2 s after the first completion, when pools, JIT and connections are warm. A window of
//! 30 s may queue a million jobs for BullMQ, with an AOF of some 400 MB in the temporary folder until they are
//! counted. A row has three rates per second:
//! - `enqueued`: one producer fills an empty queue while nobody works (Celery one call after the other, BullMQ 100
//!   calls at once).
//! - `drained`: workers alone on a backlog that outlasts the window; when it does not, that round is done again with
//!   twice as many.
//! - `cycle`: workers beside one producer, which adds as fast as it can while fewer than 2,000 tasks wait and rests
//!   while more do. This is the one to hold against our whole cycle.
//!
//! **What a reader must know.** None of it is the same as our cycle. In the peers' favour: their producers talk to
//! Redis directly (no HTTP, no token) and never offer more than can be worked off, Redis with `everysec` answers
//! before anything is on disk, a Celery task is acknowledged before it runs, nothing is asked to be exclusive,
//! idempotent, audited or announced to a watcher, and their task does nothing at all, where our `add` has an effect.
//! In ours: two cores for everything suit a compiled program; on more cores, with more processes and producers, the
//! peers may do better.
//!
//! **Installing.** The latest releases, from PyPI and npm, once, on first use, into `target/bench-tools` (delete it
//! for newer ones); each row names the version. Needs `python3` with `venv`, `node` and `npm`. A peer that can't be
//! installed is named with the reason and left out. Whatever was started is killed when its value is dropped, by
//! process group; only killing this program with SIGKILL leaves it behind.

mod peer;
mod program;
mod redis;
mod row;
mod window;

use std::time::Duration;

pub(crate) use peer::installed;
pub(crate) use row::{Row, medians};

use crate::{Failed, report};

const SECONDS: u64 = 30;
const ROUNDS: usize = 3;

/// The part by itself: `[SECONDS [ROUNDS]]`.
pub(crate) async fn part(arguments: &[String]) -> Result<(), Failed> {
    let seconds = arguments.first().map_or(Ok(SECONDS), |text| text.parse())?;
    let rounds = arguments.get(1).map_or(Ok(ROUNDS), |text| text.parse())?;
    let rows = run(Duration::from_secs(seconds), rounds).await?;
    if rows.is_empty() {
        return Err("there is nothing to compare with".into());
    }
    report!("{:<8} {:>10} {:>10} {:>10}  version", "median/s", "enqueued", "drained", "cycle");
    for row in medians(&rows) {
        report!("{row}");
    }
    Ok(())
}

/// Every peer that can be installed, so many rounds, alternating, with windows of this length. Prints each row as a
/// line of JSON as soon as it is there.
pub(crate) async fn run(duration: Duration, rounds: usize) -> Result<Vec<Row>, Failed> {
    let mut peers = installed().await?;
    let mut rows = Vec::new();
    for round in 1..=rounds {
        for peer in &mut peers {
            let row = peer.round(round, duration).await?;
            report!("{}", serde_json::to_string(&row)?);
            rows.push(row);
        }
    }
    Ok(rows)
}
