//! How generators begin together: each leaves a sign at the platform when it can begin, and all of them begin when the
//! last sign is there.
//!
//! The sign is a task, a sum that nobody waits for, tagged with a run that is used for nothing else. Nothing but the
//! platform is needed, which all of them can reach; nobody has to guess beforehand how long the slowest takes to get
//! there; and all go by one clock, the ledger's, which says when the last sign was accepted. Each learns on the way how
//! far its own clock is from that one.
//!
//! Either all begin, or none: who waits in vain sends nothing.

use std::time::Duration;

use card_core::ids::RunId;
use card_core::time::Instant as Clock;
use card_kinds::add::{Add, Addition};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Share;
use card_client::retries::patiently;
use card_client::{Accept, Caller, Client, ClientError, Order, TaskQuery};

/// From the last sign to the beginning: all must have seen it by then.
const LEAD: Duration = Duration::from_secs(2);
/// How often the others are looked for.
const LOOK: Duration = Duration::from_millis(200);
/// A platform that does not answer is asked again for so long.
const SILENCE: Duration = Duration::from_secs(10);

/// A place to meet before a course.
#[derive(Debug, Clone)]
pub struct Barrier {
    /// Who comes.
    pub share: Share,
    /// The run of the whole.
    pub run: RunId,
    /// How long the others are waited for.
    pub patience: Duration,
}

/// When all begin, by the clocks of this process and of the platform.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// By this process's.
    pub at: Instant,
    /// By the platform's.
    pub platform: Clock,
    /// How far this machine's clock is ahead of the platform's.
    pub skew: Skew,
}

/// How far a clock is ahead of another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Skew {
    /// In milliseconds; negative if it is behind.
    pub ms: f64,
    /// By how much that can be wrong, in milliseconds.
    pub within_ms: f64,
}

/// Why nobody begins.
#[derive(Debug, thiserror::Error)]
pub enum BarrierError {
    /// The platform does not let it leave or see a sign.
    #[error(transparent)]
    Platform(#[from] ClientError),
    /// Not everybody came.
    #[error("only {present} of {of} generators were ready within {} s, so none started", patience.as_secs())]
    Missing {
        /// Who came, this one among them.
        present: usize,
        /// Who should have come.
        of: u64,
        /// How long they were waited for.
        patience: Duration,
    },
    /// It was told to stop.
    #[error("it was stopped before the others were ready")]
    Stopped,
}

impl Barrier {
    /// Leaves the sign for a course (from 1) and waits for the others.
    ///
    /// # Errors
    /// See [`BarrierError`].
    pub async fn meet(&self, client: &Client, course: usize, stop: &CancellationToken) -> Result<Start, BarrierError> {
        let run = self.share.barrier_run(&self.run, course);
        let meeting = async {
            let skew = self.sign(client, &run).await?;
            let last = self.others(client, &run).await?;
            Ok(self.start(last, skew))
        };
        tokio::select! {
            start = meeting => start,
            () = stop.cancelled() => Err(BarrierError::Stopped),
        }
    }

    /// Leaves the sign. Sending it twice leaves one.
    async fn sign(&self, client: &Client, run: &RunId) -> Result<Skew, BarrierError> {
        let number = i64::try_from(self.share.number()).unwrap_or(0);
        let order = Order::of::<Addition>(&Add { x: number, y: 0 });
        let key = format!("{run}-{number}");
        let accept = Accept { caller: Caller::Operator, key: Some(&key), run: Some(run) };
        let skew = patiently(SILENCE, || async {
            let (sent, begun) = (Clock::now(), Instant::now());
            let task = client.accept(&order, accept).await?;
            Ok(skew(sent, begun.elapsed(), task.accepted_at))
        })
        .await?;
        Ok(skew)
    }

    /// Waits until all signs are there; when the last one came.
    async fn others(&self, client: &Client, run: &RunId) -> Result<Clock, BarrierError> {
        let begun = Instant::now();
        loop {
            let signs = patiently(SILENCE, || signs(client, run)).await?;
            if signs.len() as u64 >= self.share.of() {
                return Ok(signs.into_iter().max().unwrap_or_else(Clock::now));
            }
            if begun.elapsed() >= self.patience {
                let (of, patience) = (self.share.of(), self.patience);
                return Err(BarrierError::Missing { present: signs.len(), of, patience });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn start(&self, last: Clock, skew: Skew) -> Start {
        let platform = last.plus(LEAD);
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds between two clocks")]
        let here = platform.micros().saturating_add((skew.ms * 1000.0) as i64);
        // In the past if this one came to know of it too late: it begins at once then, and says so.
        let (now, clock) = (Instant::now(), Clock::now());
        let at = match u64::try_from(here.saturating_sub(clock.micros())) {
            Ok(ahead) => now + Duration::from_micros(ahead),
            Err(_) => {
                let behind = Duration::from_micros(here.abs_diff(clock.micros()));
                now.checked_sub(behind).unwrap_or(now)
            }
        };
        Start { at, platform, skew }
    }
}

/// The answer was stamped somewhere between the sending and the answer.
#[expect(clippy::cast_precision_loss, reason = "microseconds between two clocks")]
fn skew(sent: Clock, took: Duration, stamped: Clock) -> Skew {
    let half = took / 2;
    let ahead = sent.plus(half).micros().saturating_sub(stamped.micros());
    Skew { ms: ahead as f64 / 1000.0, within_ms: half.as_secs_f64() * 1000.0 }
}

async fn signs(client: &Client, run: &RunId) -> Result<Vec<Clock>, ClientError> {
    let query = TaskQuery { run: Some(run.clone()), ..TaskQuery::default() };
    let (mut signs, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.tasks(&query, cursor.as_deref()).await?;
        signs.extend(page.items.iter().map(|task| task.accepted_at));
        match page.next {
            // A cursor that does not move would be a look that does not end.
            Some(next) if cursor.as_deref() != Some(next.as_str()) => cursor = Some(next),
            _ => return Ok(signs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skew_is_from_the_middle_of_the_exchange() {
        let at = |millis: i64| Clock::from_micros(millis * 1000);
        let took = Duration::from_millis(10);
        assert_eq!(skew(at(1000), took, at(1005)), Skew { ms: 0.0, within_ms: 5.0 });
        assert_eq!(skew(at(3000), took, at(1005)), Skew { ms: 2000.0, within_ms: 5.0 });
        assert_eq!(skew(at(0), took, at(1005)), Skew { ms: -1000.0, within_ms: 5.0 });
    }

    #[tokio::test]
    async fn who_learns_of_the_start_too_late_begins_late_and_not_in_the_future() {
        let barrier = Barrier { share: Share::WHOLE, run: RunId::new(), patience: SILENCE };
        let late = barrier.start(Clock::now().minus(LEAD + Duration::from_secs(1)), Skew::default());
        assert!(late.at < Instant::now());
        let early = barrier.start(Clock::now(), Skew::default()).at - Instant::now();
        assert!(early > LEAD - Duration::from_millis(100) && early <= LEAD, "{early:?}");
    }
}
