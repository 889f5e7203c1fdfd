//! One round of one peer: what is started, and the window in which completions are counted.

use std::time::{Duration, Instant};

use serde::Deserialize;

use super::peer::Peer;
use super::program::Program;
use super::redis::Redis;
use super::row::Row;
use crate::{Failed, report};

/// From the first completion to the first that counts.
const WARM_UP: Duration = Duration::from_secs(2);
/// More is queued than is expected to be drained, so much more.
const MARGIN: f64 = 1.3;
const TRIES: usize = 5;
const FILL: Duration = Duration::from_secs(600);
const FIRST: Duration = Duration::from_secs(60);
/// The producer rests while more than so many wait.
const WAITING: &str = "2000";

/// What `fill` says at its end.
#[derive(Deserialize)]
struct Filled {
    enqueued: u64,
    seconds: f64,
}

impl Peer {
    pub(crate) async fn round(&mut self, round: usize, duration: Duration) -> Result<Row, Failed> {
        let (enqueued, drained) = self.drain(duration).await?;
        let cycle = self.cycle(duration).await?;
        let (peer, version, seconds) = (self.name, self.version.clone(), duration.as_secs());
        Ok(Row { peer, version, round, seconds, enqueued, drained, cycle })
    }

    /// How fast a queue fills while nobody works, then empties while nobody adds.
    async fn drain(&mut self, duration: Duration) -> Result<(f64, f64), Failed> {
        for _ in 0..TRIES {
            let mut redis = Redis::start().await?;
            let wanted = self.expected * MARGIN * (WARM_UP + duration).as_secs_f64();
            let mut command = self.producer(redis.port, &["fill", &format!("{wanted:.0}")]);
            let producer = Program::start(self.name, &mut command, redis.folder.path().join("producer.log"))?;
            let filled: Filled = serde_json::from_str(&producer.finish(FILL).await?)?;
            let waiting = redis.count(self.waiting).await?;
            if waiting != filled.enqueued {
                return Err(format!("{}: {waiting} of {} added tasks wait", self.name, filled.enqueued).into());
            }
            let mut workers = self.start_workers(&redis)?;
            let drained = self.completions(&mut redis, &mut workers, duration).await?;
            // What waits at the end waited all the time: nobody added any.
            if redis.count(self.waiting).await? > 0 {
                self.expected = drained;
                return Ok((filled.enqueued as f64 / filled.seconds, drained));
            }
            report!("{}: {waiting} tasks did not last; again with more", self.name);
            self.expected *= 2.0;
        }
        Err(format!("{}: no backlog lasted, in {TRIES} tries", self.name).into())
    }

    /// How fast tasks are completed while a producer sees to it that some wait.
    async fn cycle(&self, duration: Duration) -> Result<f64, Failed> {
        let mut redis = Redis::start().await?;
        let mut programs = self.start_workers(&redis)?;
        let mut command = self.producer(redis.port, &["feed", WAITING]);
        programs.push(Program::start(self.name, &mut command, redis.folder.path().join("producer.log"))?);
        self.completions(&mut redis, &mut programs, duration).await
    }

    fn start_workers(&self, redis: &Redis) -> Result<Vec<Program>, Failed> {
        let log = |number: usize| redis.folder.path().join(format!("worker-{number}.log"));
        let start = |(number, mut command)| Program::start(self.name, &mut command, log(number));
        self.workers(redis.port).enumerate().map(start).collect()
    }

    /// Completions a second, over a window of this length in which everybody lives.
    async fn completions(
        &self,
        redis: &mut Redis,
        programs: &mut [Program],
        duration: Duration,
    ) -> Result<f64, Failed> {
        let deadline = Instant::now() + FIRST;
        while redis.count(self.completed).await? == 0 {
            if Instant::now() > deadline {
                return Err(format!("{}: nothing was completed within {FIRST:?}", self.name).into());
            }
            live(redis, programs, Duration::from_millis(50)).await?;
        }
        live(redis, programs, WARM_UP).await?;
        let (begun, before) = (Instant::now(), redis.count(self.completed).await?);
        live(redis, programs, duration).await?;
        let after = redis.count(self.completed).await?;
        Ok((after - before) as f64 / begun.elapsed().as_secs_f64())
    }
}

/// So long; fails at once when a program ends.
async fn live(redis: &mut Redis, programs: &mut [Program], duration: Duration) -> Result<(), Failed> {
    let end = Instant::now() + duration;
    loop {
        redis.check()?;
        programs.iter_mut().try_for_each(Program::check)?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(left.min(Duration::from_millis(200))).await;
    }
}
