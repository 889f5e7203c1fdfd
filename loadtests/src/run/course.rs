//! One course: the generator runs, the clock says when its figures begin and when it is over.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::drive::Drive;
use super::timeline::Timeline;
use super::{RunError, closed, open};
use crate::journeys::Crew;
use crate::meter::{Meter, Second};
use crate::moment::{AtStep, Doing};
use crate::plan::{Model, Plan};
use crate::share::Start;

/// Requests that are under way when a course is over are waited for so long: as long as a client waits for an answer,
/// and follows up on a lost one.
pub(crate) const LAST_ANSWERS: Duration = Duration::from_secs(50);

/// Which course it is.
#[derive(Clone, Copy)]
pub(super) struct Which {
    /// Users at once, or arrivals a second; 1 if the plan's stages say it themselves.
    pub(super) size: f64,
    /// Which step of several.
    pub(super) step: Option<AtStep>,
    /// When all generators begin, if there are others.
    pub(super) start: Option<Start>,
}

/// What a course left behind.
pub(super) struct Course {
    /// Users at once, or arrivals a second.
    pub(super) size: f64,
    /// On the timeline, in seconds: when its figures begin, and when it ended.
    pub(super) measured_s: (f64, f64),
    /// On the timeline, in seconds: when it began.
    pub(super) from_s: f64,
    /// Requests that were to begin in the measured time.
    pub(super) meter: Arc<Meter>,
    /// Those before it.
    pub(super) ramp: Arc<Meter>,
    /// Arrivals that were planned for the measured time (open model), up to where it ended.
    pub(super) planned: Option<u64>,
    /// The rule that ended it before its time.
    pub(super) aborted: Option<String>,
    /// When all were to begin, and how much later this one did; none without others.
    pub(super) start: Option<(Start, Duration)>,
}

/// Runs the plan's course once. Returns when nothing more is sent and every answer is there (or given up).
///
/// # Errors
/// The generator can't start, or the ledger can't be written.
pub(super) async fn run(
    plan: &Plan,
    which: Which,
    crew: &Arc<Crew>,
    second: &Arc<Second>,
    timeline: &Timeline,
    stop: &CancellationToken,
) -> Result<Course, RunError> {
    let Which { size, step, start } = which;
    let over = stop.child_token();
    let meters = [Arc::new(Meter::new(second)), Arc::new(Meter::new(second))];
    let drive = Arc::new(Drive::new(plan, size, crew, meters, over.clone(), start.map(|start| start.at)));
    let generator = tokio::spawn({
        let drive = Arc::clone(&drive);
        async move {
            match drive.plan.model {
                Model::Closed => closed::run(&drive).await.map_err(|error| RunError::Generator(error.to_string())),
                Model::Open => {
                    open::run(&drive).await;
                    Ok(())
                }
            }
        }
    });
    let mut generator = tokio_util::task::AbortOnDropHandle::new(generator);
    // The clock runs from when every user is there.
    let begun = tokio::select! {
        begun = begun(&drive) => begun,
        early = &mut generator => return Err(died(early)),
    };
    // Where others begin too, it lies ahead. Stopped before, the course is over at once.
    drive.until(begun).await;
    let from_s = timeline.elapsed() - begun.elapsed().as_secs_f64();
    timeline.course(size, step, &over);
    timeline.enter(if plan.warm_up.is_zero() { Doing::Steady } else { Doing::Ramp });
    let mut measured_from = from_s;
    let ending = async {
        if !plan.warm_up.is_zero() && drive.until(begun + plan.warm_up).await {
            timeline.enter(Doing::Steady);
            measured_from = timeline.elapsed();
        }
        drive.until(begun + plan.course()).await;
    };
    tokio::select! {
        () = ending => {}
        early = &mut generator => if !over.is_cancelled() { return Err(died(early)) },
    }
    over.cancel();
    let ran = begun.elapsed().min(plan.course());
    let to_s = timeline.elapsed();
    timeline.enter(Doing::Drain);
    if !generator.is_finished() {
        generator.await.unwrap_or_else(|panic| Err(RunError::Generator(panic.to_string())))?;
    }
    drive.visits.close();
    let _ = tokio::time::timeout(LAST_ANSWERS, drive.visits.wait()).await;
    if let Some(error) = drive.failure() {
        return Err(RunError::Ledger(error));
    }
    let planned =
        (plan.model == Model::Open).then(|| open::planned(plan, crew.share, size, plan.warm_up.min(ran), ran));
    Ok(Course {
        size,
        measured_s: (measured_from, to_s),
        from_s,
        meter: Arc::clone(&drive.steady),
        ramp: Arc::clone(&drive.ramp),
        planned,
        aborted: timeline.aborted(),
        start: start.map(|start| (start, begun.saturating_duration_since(start.at))),
    })
}

async fn begun(drive: &Drive) -> Instant {
    loop {
        if let Some(begun) = drive.begun() {
            return begun;
        }
        if drive.over.is_cancelled() {
            return drive.begin();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn died(ended: Result<Result<(), RunError>, tokio::task::JoinError>) -> RunError {
    match ended {
        Ok(Err(error)) => error,
        Ok(Ok(())) => RunError::Ledger(io::Error::other("the generator exited early")),
        Err(panic) => RunError::Generator(panic.to_string()),
    }
}
