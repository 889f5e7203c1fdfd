//! The open model: arrivals by the clock, whatever the platform does.
//!
//! Arrivals are evenly spaced at the plan's rate; each carries the moment for which it was planned, and latencies count
//! from there, so that a platform (or this process) that stalls is not let off the requests that it made late (Tene,
//! "How NOT to Measure Latency": coordinated omission). A thread of its own keeps the time: timers of the runtime have
//! a grain of a millisecond and wait for the tasks before them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::drive::Drive;
use crate::plan::Plan;
use crate::share::Share;

/// The thread sleeps no longer than this, so that it sees the end.
const NAP: Duration = Duration::from_millis(20);
/// What should have begun longer ago than this does not begin any more when the load is over.
const TOO_LATE: Duration = Duration::from_secs(1);
/// Below this, sleeping costs more than it keeps waiting.
const GRAIN: Duration = Duration::from_micros(50);

/// Sends arrivals until the drive is over. When this returns, no more begin; those under way go on.
pub(super) async fn run(drive: &Arc<Drive>) {
    let permits = drive.crew.share.of_many(drive.plan.max_in_flight);
    let permits = usize::try_from(permits).unwrap_or(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)));
    let ended = Arc::new(AtomicBool::new(false));
    let clock = std::thread::spawn({
        let (drive, ended, runtime) = (Arc::clone(drive), Arc::clone(&ended), Handle::current());
        move || keep_time(&drive, &permits, &ended, &runtime)
    });
    drive.over.cancelled().await;
    ended.store(true, Ordering::Relaxed);
    // It looks at least every 20 ms.
    let _ = tokio::task::spawn_blocking(move || clock.join()).await;
}

fn keep_time(drive: &Arc<Drive>, permits: &Arc<Semaphore>, ended: &AtomicBool, runtime: &Handle) {
    let begun = drive.begin();
    let arrivals = Arrivals::of(&drive.plan, drive.size);
    for number in 0.. {
        let Some(into) = arrivals.at(drive.crew.share.place(number)) else { return };
        let intended = begun + into;
        loop {
            if ended.load(Ordering::Relaxed) {
                return;
            }
            let left = intended.saturating_duration_since(Instant::now());
            if left < GRAIN {
                break;
            }
            std::thread::sleep(left.min(NAP));
        }
        let (drive, permits) = (Arc::clone(drive), Arc::clone(permits));
        let visits = drive.visits.clone();
        visits.spawn_on(async move { arrive(&drive, &permits, intended).await }, runtime);
    }
}

async fn arrive(drive: &Drive, permits: &Arc<Semaphore>, intended: Instant) {
    // A process that has no time for its arrivals comes to them when the load is long over: they were not sent.
    if drive.over.is_cancelled() && intended.elapsed() > TOO_LATE {
        return;
    }
    let permit = match Arc::clone(permits).try_acquire_owned() {
        Ok(permit) => permit,
        Err(_) => {
            drive.steady.held_back.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                permit = Arc::clone(permits).acquire_owned() => match permit {
                    Ok(permit) => permit,
                    Err(_) => return,
                },
                () = drive.over.cancelled() => return,
            }
        }
    };
    drive.visit(intended).await;
    drop(permit);
}

/// When which arrival is planned: the course's rate, integrated.
struct Arrivals {
    /// Of each stretch: when it begins, how long it is, rates at its ends, arrivals before it.
    stretches: Vec<(f64, f64, f64, f64, f64)>,
}

impl Arrivals {
    fn of(plan: &Plan, size: f64) -> Self {
        let (mut begins, mut rate, mut before) = (0.0, 0.0, 0.0);
        let mut stretches = Vec::new();
        for stage in &plan.stages {
            let (to, over) = (stage.to * size, stage.over.as_secs_f64());
            if over > 0.0 {
                stretches.push((begins, over, rate, to, before));
            }
            before += (rate + to) / 2.0 * over;
            (begins, rate) = (begins + over, to);
        }
        Self { stretches }
    }

    /// When the arrival with this number (from 0) is due; none if the course is over before.
    #[expect(clippy::cast_precision_loss, reason = "fewer arrivals than 2^52")]
    fn at(&self, number: u64) -> Option<Duration> {
        // The first comes half an interval after the start: as many before the end as the rate says.
        let number = number as f64 + 0.5;
        let (begins, over, from, to, before) =
            *self.stretches.iter().find(|(_, over, from, to, before)| number < before + (from + to) / 2.0 * over)?;
        let (rest, slope) = (number - before, (to - from) / over);
        // from·t + slope/2·t² = rest, in the form that does not lose digits when the slope is small.
        let root = (from * from + 2.0 * slope * rest).max(0.0).sqrt();
        let into = 2.0 * rest / (from + root);
        Some(Duration::from_secs_f64((begins + into.clamp(0.0, over)).max(0.0)))
    }
}

/// Arrivals that a share of a plan has between two points of its course.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of arrivals")]
pub(super) fn planned(plan: &Plan, share: Share, size: f64, from: Duration, to: Duration) -> u64 {
    let arrivals = Arrivals::of(plan, size);
    let until = |point: Duration| -> f64 {
        let at = point.as_secs_f64();
        arrivals
            .stretches
            .iter()
            .map(|(begins, over, from, to, _)| {
                let into = (at - begins).clamp(0.0, *over);
                from * into + (to - from) / over * into * into / 2.0
            })
            .sum()
    };
    // As many as [`Arrivals::at`] has before a point: each comes in the middle of its interval.
    let before = |point| share.of_many((until(point) - 0.5).ceil() as u64);
    before(to).saturating_sub(before(from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Stage, presets};

    fn plan(stages: &[(f64, u64)]) -> Plan {
        let stages = stages.iter().map(|(to, over)| Stage { to: *to, over: Duration::from_millis(*over) }).collect();
        Plan { stages, ..presets::custom() }
    }

    fn all(plan: &Plan) -> Vec<Duration> {
        let arrivals = Arrivals::of(plan, 1.0);
        (0..).map_while(|number| arrivals.at(number)).collect()
    }

    #[test]
    fn a_steady_rate_is_evenly_spaced() {
        let all = all(&plan(&[(100.0, 0), (100.0, 2000)]));
        assert_eq!(all.len(), 200);
        for (number, at) in all.iter().enumerate() {
            let due = (number as f64 + 0.5) / 100.0;
            assert!((at.as_secs_f64() - due).abs() < 1e-6, "{number}: {at:?}");
        }
    }

    #[test]
    fn a_ramp_has_half_the_arrivals_and_they_come_closer() {
        let all = all(&plan(&[(100.0, 2000), (100.0, 1000), (0.0, 1000)]));
        assert_eq!(all.len(), 100 + 100 + 50);
        assert!(all.is_sorted());
        // A quarter of the ramp's arrivals come in its first half.
        assert_eq!(all.iter().filter(|at| **at < Duration::from_secs(1)).count(), 25);
        assert!(all.iter().all(|at| *at <= Duration::from_secs(4)));
    }

    #[test]
    fn what_is_planned_is_what_arrives() {
        let plan = plan(&[(50.0, 500), (50.0, 1500), (400.0, 0), (400.0, 250)]);
        let all = all(&plan).len() as u64;
        assert_eq!(planned(&plan, Share::WHOLE, 1.0, Duration::ZERO, plan.course()), all);
        let part = |share: &str, size, from, to| {
            planned(&plan, share.parse().unwrap(), size, Duration::from_millis(from), Duration::from_millis(to))
        };
        assert_eq!(part("1/1", 2.0, 500, 2000), 150);
        let parts = ["1/4", "2/4", "3/4", "4/4"].map(|share| part(share, 2.0, 500, 2000));
        assert_eq!((parts.iter().sum::<u64>(), parts.iter().max()), (150, Some(&38)));
        let parts = ["1/3", "2/3", "3/3"].map(|share| part(share, 1.0, 0, 2250));
        assert_eq!(parts.iter().sum::<u64>(), all);
    }
}
