//! A load test from the first request to the verdict.
//!
//! ```text
//! prepare ─► course (ramp, steady) ─► … more courses ─► drain ─► settle ─► audit ─► judge
//!            closed: goose's users        steps, search
//!            open: arrivals by the clock
//! ```

mod closed;
mod course;
mod drive;
mod machine;
mod measure;
mod open;
mod quota;
mod search;
mod standstill;
#[cfg(test)]
mod tests;
mod timeline;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use card_core::ids::RunId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use self::course::LAST_ANSWERS;
use self::course::{Course, Which};
use self::timeline::Timeline;
use crate::journeys::Crew;
use crate::judge;
use crate::meter::Second;
use crate::moment::{AtStep, Doing, Moment};
use crate::plan::{Model, Plan};
use crate::result::Report;
use crate::shard::{Shard, merge};
use crate::share::{Barrier, BarrierError, Share, Start};
use card_client::Client;
use card_client::audit::{Drain, Stage, prove};
use card_client::events::StreamLost;
use card_client::identities::Identities;
use card_client::ledger::Ledger;
use card_client::observer::Observer;
use card_client::reads::Reads;
use card_client::retries::past_a_gateway;
use card_client::sender::{OnRefusal, Sender};

/// How long a lost answer is followed up before nobody knows.
const SEND_PATIENCE: Duration = Duration::from_secs(15);
/// How long the other generators are waited for.
pub(crate) const BARRIER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the event stream may be away.
const STREAM_PATIENCE: Duration = Duration::from_secs(60);
/// Users of the open model that are ready before the clock starts and kept ready: arrivals of so long, within bounds.
const READY_FOR: f64 = 5.0;
const READY: (u64, u64) = (50, 10_000);

/// What is needed to carry out a plan.
#[derive(Clone)]
pub struct Setup {
    /// The platform, with the operator's token.
    pub client: Client,
    /// `embedded`, or the URL that was asked for: as it stands in the result.
    pub target: String,
    /// Tags everything. Nobody else may use it, or the audit can't know every task of it.
    pub run: RunId,
    /// What the requests are made from.
    pub seed: u64,
    /// What is done.
    pub plan: Plan,
    /// Where the sender's ledger is kept; in memory if none.
    pub ledger: Option<PathBuf>,
}

/// Why there is no result at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It was to end before the platform had answered.
    #[error("the load was stopped before it began")]
    Stopped,
    /// The event stream can't be opened.
    #[error(transparent)]
    Stream(#[from] StreamLost),
    /// The users can't be generated.
    #[error(transparent)]
    Users(#[from] card_client::ClientError),
    /// The sender's ledger can't be written.
    #[error("the journal of accepted tasks can't be written: {0}")]
    Ledger(#[from] std::io::Error),
    /// The driver of the closed model failed.
    #[error("the load generator failed: {0}")]
    Generator(String),
}

/// Carries out a plan: load, drain, audit, verdicts. `stop` ends the load early; what was accepted until then is
/// audited all the same. `moments` shows how far it is.
///
/// # Errors
/// See [`RunError`]. A platform that goes away in the middle is no error but a result.
pub async fn carry_out(
    setup: &Setup,
    moments: &watch::Sender<Moment>,
    stop: &CancellationToken,
) -> Result<Report, RunError> {
    let shard = carry_share(setup, Share::WHOLE, moments, stop).await?;
    let mut report = merge(vec![shard], &[], None).map_err(|error| RunError::Generator(error.to_string()))?;
    judge::judge(&mut report);
    Ok(report)
}

/// Carries out a share of a plan, together with others who have the other shares: what it found, of which nothing is
/// judged. It waits for the others before each course.
///
/// # Errors
/// See [`RunError`]. If the others do not come, nothing is sent.
pub async fn carry_share(
    setup: &Setup,
    share: Share,
    moments: &watch::Sender<Moment>,
    stop: &CancellationToken,
) -> Result<Shard, RunError> {
    machine::use_small_pages();
    let started_at = card_core::time::Instant::now();
    let begun = tokio::time::Instant::now();
    let mut run = Run::prepare(setup, share, moments, stop).await?;
    run.flushed = Some(flush_now_and_then(&run.ledger));
    let carried = run.courses().await;
    run.flushed = None;
    run.ledger.flush()?;
    carried?;
    let crew = &run.crew;
    let drain = Drain { bound: setup.plan.drain, settle: setup.plan.settle, stop: stop.clone() };
    let mut audit = prove(&setup.client, &run.run, &run.ledger, &crew.observer, drain, |stage| {
        run.timeline.enter(match stage {
            Stage::Drain => Doing::Drain,
            Stage::Settle => Doing::Settle,
            Stage::Compare => Doing::Audit,
        });
    })
    .await;
    crew.reads.add_to(&mut audit);
    let mut shard = run.shard();
    shard.correctness = audit;
    shard.started_at = started_at.to_string();
    shard.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(shard)
}

/// A load test that is being carried out.
struct Run<'a> {
    setup: &'a Setup,
    /// What this generator tags everything with.
    run: RunId,
    stop: &'a CancellationToken,
    ledger: Arc<Ledger>,
    crew: Arc<Crew>,
    second: Arc<Second>,
    timeline: Timeline,
    workers: Option<u64>,
    version: Option<String>,
    /// Whether the platform is on this machine.
    shared: bool,
    courses: Vec<Course>,
    /// Why the other generators did not come to another course.
    alone: Option<String>,
    flushed: Option<AbortOnDropHandle<()>>,
    _replenish: Option<AbortOnDropHandle<()>>,
}

impl<'a> Run<'a> {
    async fn prepare(
        setup: &'a Setup,
        share: Share,
        moments: &watch::Sender<Moment>,
        stop: &'a CancellationToken,
    ) -> Result<Self, RunError> {
        let Setup { client, seed, plan, .. } = setup;
        let run = &share.run(&setup.run);
        let answers = async {
            // Asked first: a platform that is not there, or refuses, is no load test.
            let stats = past_a_gateway(|| client.stats()).await?;
            let ledger = Arc::new(Ledger::create(setup.ledger.as_deref(), run, *seed, true)?);
            let observer = Observer::of_ends(client, run, STREAM_PATIENCE).await?;
            Ok::<_, RunError>((stats, ledger, observer))
        };
        let (stats, ledger, observer) = stop.run_until_cancelled(answers).await.ok_or(RunError::Stopped)??;
        let identities = Arc::new(Identities::new(client, run, u64::MAX));
        let replenish = keep_users_ready(plan, share, &identities);
        let sender = Sender::new(client, run, Arc::clone(&ledger), SEND_PATIENCE, CancellationToken::new());
        let crew = Crew {
            client: client.clone(),
            sender: sender.on_refusal(OnRefusal::Report),
            identities,
            orders: Crew::orders(*seed),
            observer,
            reads: Reads::default(),
            mix: plan.journey.clone(),
            patience: plan.patience,
            visits: AtomicU64::new(0),
            share,
        };
        let second = Arc::new(Second::default());
        let timeline = Timeline::start(client, plan, share, &second, moments);
        Ok(Self {
            setup,
            run: run.clone(),
            stop,
            ledger,
            crew: Arc::new(crew),
            second,
            timeline,
            workers: Some(stats.workers.len() as u64),
            version: client.version().await,
            shared: machine::is_here(client.url()).await,
            courses: Vec::new(),
            alone: None,
            flushed: None,
            _replenish: replenish,
        })
    }

    /// Every course of the plan.
    async fn courses(&mut self) -> Result<(), RunError> {
        let plan = &self.setup.plan;
        if plan.growth.is_some() {
            return self.search().await;
        }
        if plan.steps.is_empty() {
            return self.course(1.0, None).await;
        }
        for (index, size) in plan.steps.iter().enumerate() {
            if index > 0 {
                self.recover().await;
            }
            if self.ended_early().is_some() {
                break;
            }
            let step = AtStep { number: index + 1, of: Some(plan.steps.len()), size: *size };
            self.course(*size, Some(step)).await?;
        }
        Ok(())
    }

    async fn course(&mut self, size: f64, step: Option<AtStep>) -> Result<(), RunError> {
        let (plan, stop) = (&self.setup.plan, self.stop);
        let share = self.crew.share;
        // Before the clock starts: who still waited when the last course was over is not used again. A platform that
        // goes away between two courses is a result: the visits tell.
        let ready = users_ready(plan, share, size);
        if let Err(error) = past_a_gateway(|| self.crew.identities.have(ready)).await
            && self.courses.is_empty()
        {
            return Err(error.into());
        }
        let start = match self.barrier().await {
            Ok(start) => start,
            // The load is over before it began: the course is an empty one.
            Err(BarrierError::Stopped) => None,
            Err(error) if self.courses.is_empty() => return Err(RunError::Generator(error.to_string())),
            Err(error) => {
                // No rule was broken: it is an interruption.
                self.alone = Some(format!("{}: {error}", judge::INTERRUPTED));
                return Ok(());
            }
        };
        let which = Which { size, step, start };
        let course = course::run(plan, which, &self.crew, &self.second, &self.timeline, stop).await?;
        self.courses.push(course);
        Ok(())
    }

    /// Waits until all generators can begin; none if there are no others.
    async fn barrier(&self) -> Result<Option<Start>, BarrierError> {
        let share = self.crew.share;
        if share.is_whole() {
            return Ok(None);
        }
        let barrier = Barrier { share, run: self.setup.run.clone(), patience: BARRIER_TIMEOUT };
        barrier.meet(&self.setup.client, self.courses.len() + 1, self.stop).await.map(Some)
    }

    /// Between two courses: what the one has left must not weigh on the next.
    async fn recover(&self) {
        let tasks: Vec<_> = self.ledger.expectation().accepted.into_keys().collect();
        tokio::select! {
            _ = self.crew.observer.drained(&tasks, self.setup.plan.drain) => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn ended_early(&self) -> Option<String> {
        if self.stop.is_cancelled() {
            return Some("interrupted".to_owned());
        }
        self.courses.iter().find_map(|course| course.aborted.clone()).or_else(|| self.alone.clone())
    }
}

/// How many users a course at this size begins with.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of users")]
fn users_ready(plan: &Plan, share: Share, size: f64) -> u64 {
    let peak = plan.peak(size);
    match plan.model {
        Model::Closed => share.of_many(peak.ceil() as u64),
        Model::Open => share.of_many((peak * READY_FOR) as u64).clamp(READY.0, READY.1),
    }
}

/// Keeps users ready for arrivals: each takes one until its task has ended.
fn keep_users_ready(plan: &Plan, share: Share, identities: &Arc<Identities>) -> Option<AbortOnDropHandle<()>> {
    let sizes = plan.steps.iter().copied().chain(plan.growth.map(|growth| growth.up_to));
    let largest = sizes.reduce(f64::max).unwrap_or(1.0);
    let keep = users_ready(plan, share, largest) / 2;
    let identities = Arc::clone(identities);
    (plan.model == Model::Open).then(|| {
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                // What can't be had now is asked for by the arrival that needs it, which reports why.
                if identities.have(keep).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }))
    })
}

/// What a kill of this process can cost the ledger is bounded by time, not by the size of a buffer.
fn flush_now_and_then(ledger: &Arc<Ledger>) -> AbortOnDropHandle<()> {
    let ledger = Arc::clone(ledger);
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            // The next line that is written meets the same error and reports it.
            let _ = ledger.flush();
        }
    }))
}
