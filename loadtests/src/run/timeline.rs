//! Second by second: what was sent, accepted and finished, how long it took, and how the platform and this process did.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use card_core::tasks::Stats;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::machine::Processor;
use super::standstill::Standstill;
use crate::meter::Second;
use crate::moment::{AtStep, Doing, Moment};
use crate::plan::{AbortRule, Plan, Watch};
use crate::result::{Phase, Sample};
use crate::shard::Taken;
use crate::share::Share;
use card_client::Client;
use card_client::latency::Percentiles;

const SECOND: Duration = Duration::from_secs(1);
/// How often a new look is shown.
const LOOK: Duration = Duration::from_millis(200);
/// Less than this is no second of its own: its counts go to the next.
const SHORTEST: Duration = Duration::from_millis(250);
/// What the platform said longer ago is not what it would say now.
const STALE: Duration = Duration::from_millis(2500);
/// Seconds of backlog that a look carries.
const SPARK: usize = 60;

/// What is going on now.
#[derive(Debug, Clone, Copy)]
struct Now {
    doing: Doing,
    step: Option<AtStep>,
    /// Since when, for how long and at which size the present course runs.
    course: Option<(Instant, Duration, f64)>,
}

struct State {
    samples: Vec<Taken>,
    taken: Instant,
    processor: Processor,
    standstill: Standstill,
    now: Now,
    stats: Option<(Instant, Stats)>,
    watches: Vec<Watch>,
    accept: Percentiles,
    e2e: Percentiles,
    totals: [u64; 4],
}

/// The timeline that is being taken. Dropping it ends the taking.
pub(super) struct Timeline {
    shared: Arc<Shared>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

struct Shared {
    begun: Instant,
    plan: Plan,
    share: Share,
    second: Arc<Second>,
    state: Mutex<State>,
    moments: watch::Sender<Moment>,
    abort: Mutex<Option<(CancellationToken, Option<String>)>>,
}

impl Timeline {
    /// Begins now.
    pub(super) fn start(
        client: &Client,
        plan: &Plan,
        share: Share,
        second: &Arc<Second>,
        moments: &watch::Sender<Moment>,
    ) -> Self {
        let begun = Instant::now();
        let state = State {
            samples: Vec::new(),
            taken: begun,
            processor: Processor::new(),
            standstill: Standstill::watch(),
            now: Now { doing: Doing::Preparing, step: None, course: None },
            stats: None,
            watches: Vec::new(),
            accept: Percentiles::default(),
            e2e: Percentiles::default(),
            totals: [0; 4],
        };
        let shared = Arc::new(Shared {
            begun,
            plan: plan.clone(),
            share,
            second: Arc::clone(second),
            state: Mutex::new(state),
            moments: moments.clone(),
            abort: Mutex::default(),
        });
        let tasks = [
            tokio::spawn(take_each_second(Arc::clone(&shared))),
            tokio::spawn(ask(client.clone(), Arc::clone(&shared))),
        ];
        Self { shared, _tasks: tasks.map(AbortOnDropHandle::new) }
    }

    /// A course begins: its rules to end before the time cancel `over`.
    pub(super) fn course(&self, size: f64, step: Option<AtStep>, over: &CancellationToken) {
        let watches = self.shared.share.rules(&self.shared.plan).iter().map(AbortRule::watch).collect();
        *self.shared.abort() = Some((over.clone(), None));
        let mut state = self.shared.state();
        let course = Some((Instant::now(), self.shared.plan.course(), size));
        (state.now, state.watches) = (Now { doing: state.now.doing, step, course }, watches);
    }

    /// Something else begins; what was until now has its own seconds.
    pub(super) fn enter(&self, doing: Doing) {
        self.shared.take();
        let mut state = self.shared.state();
        state.now.doing = doing;
        if !matches!(doing, Doing::Ramp | Doing::Steady) {
            state.now.course = None;
        }
        drop(state);
        self.shared.show();
    }

    /// Seconds since it began.
    pub(super) fn elapsed(&self) -> f64 {
        self.shared.begun.elapsed().as_secs_f64()
    }

    /// Why the present course was ended by a rule, if it was.
    pub(super) fn aborted(&self) -> Option<String> {
        self.shared.abort().as_ref().and_then(|(_, reason)| reason.clone())
    }

    /// The seconds so far.
    pub(super) fn samples(&self) -> Vec<Taken> {
        self.shared.state().samples.clone()
    }
}

async fn take_each_second(shared: Arc<Shared>) {
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        looks.tick().await;
        if shared.state().taken.elapsed() + LOOK / 2 >= SECOND {
            shared.take();
        }
        shared.show();
    }
}

/// Asks the platform every second; what it last said goes into the next sample.
async fn ask(client: Client, shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Ok(Ok(stats)) = tokio::time::timeout(STALE, client.stats()).await {
            shared.state().stats = Some((Instant::now(), stats));
        }
    }
}

impl Shared {
    /// Takes a sample of the time since the last one, unless that is too short.
    fn take(&self) {
        let mut state = self.state();
        let took = state.taken.elapsed();
        let phase = match state.now.doing {
            Doing::Preparing => {
                state.taken = Instant::now();
                state.processor.look();
                state.standstill.take();
                return;
            }
            _ if took < SHORTEST => return,
            Doing::Ramp => Phase::Ramp,
            Doing::Steady => Phase::Steady,
            Doing::Drain | Doing::Settle | Doing::Audit => Phase::Drain,
        };
        state.taken = Instant::now();
        let Second { offered, accepted, completed, errors, reads, unsent, resent, foreign, accept, e2e, read } =
            &*self.second;
        let taken = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let [offered, accepted, completed, errors] = [offered, accepted, completed, errors].map(taken);
        let [reads, unsent, resent, foreign] = [reads, unsent, resent, foreign].map(taken);
        // Known only after it was counted as sent, perhaps in the second before.
        let counts = [offered.saturating_sub(unsent), accepted, completed, errors];
        for (total, count) in state.totals.iter_mut().zip(counts) {
            *total += count;
        }
        let (accepts, ends, looks) = (accept.take(), e2e.take(), read.take());
        let (accept, e2e, read) = (accepts.percentiles(), ends.percentiles(), looks.percentiles());
        (state.accept, state.e2e) = (accept, e2e);
        #[expect(clippy::cast_precision_loss, reason = "counts of a second")]
        let rate = |count: u64| count as f64 / took.as_secs_f64();
        let [offered, accepted, completed, errors] = counts.map(rate);
        let busy = state.processor.look();
        let stats = state.stats.as_ref().filter(|(asked, _)| asked.elapsed() < STALE).map(|(_, stats)| stats);
        let of = |percentiles: &Percentiles, value: f64| (percentiles.n > 0).then_some(value);
        let sample = Sample {
            t: self.begun.elapsed().as_secs_f64(),
            lasted: took.as_secs_f64(),
            phase,
            target: self.target(&state.now),
            offered,
            accepted,
            completed,
            errors,
            reads: rate(reads),
            resent: rate(resent),
            foreign: rate(foreign),
            unsent: rate(unsent),
            stood_still: state.standstill.take().as_secs_f64(),
            stolen: busy.stolen,
            throttled: busy.throttled,
            accept_p50: of(&accept, accept.p50),
            accept_p95: of(&accept, accept.p95),
            accept_p99: of(&accept, accept.p99),
            e2e_p50: of(&e2e, e2e.p50),
            e2e_p95: of(&e2e, e2e.p95),
            e2e_p99: of(&e2e, e2e.p99),
            read_p50: of(&read, read.p50),
            read_p95: of(&read, read.p95),
            read_p99: of(&read, read.p99),
            backlog: stats.map(|stats| stats.queue.ready + stats.queue.running + stats.queue.retrying),
            oldest_age_ms: stats.map(|stats| stats.queue.oldest_age_ms),
            workers: stats.map(|stats| stats.workers.len() as u64),
            inflight: stats.map(|stats| stats.workers.iter().map(|worker| worker.inflight).sum()),
            generator_cpu: busy.own,
            machine_cpu: busy.machine,
        };
        if phase != Phase::Drain {
            let reason = state.watches.iter_mut().find_map(|watch| watch.look(&sample));
            if let (Some(reason), Some((over, aborted))) = (reason, &mut *self.abort()) {
                aborted.get_or_insert(reason);
                over.cancel();
            }
        }
        let taken = Taken { sample, ..Taken::default() };
        // Only what others are to be added to needs more than its percentiles.
        state.samples.push(if self.share.is_whole() { taken } else { taken.with(&accepts, &ends, &looks) });
    }

    /// Shows how far it is.
    fn show(&self) {
        let broken = self.abort().as_ref().and_then(|(_, reason)| reason.clone());
        let state = self.state();
        let samples = &state.samples;
        let [offered, accepted, completed, errors] = self.totals(&state);
        let (course, into_course) = match state.now.course {
            Some((begun, course, _)) => (course, begun.elapsed().min(course)),
            None => (Duration::ZERO, Duration::ZERO),
        };
        let moment = Moment {
            doing: state.now.doing,
            elapsed: self.begun.elapsed(),
            course,
            into_course,
            step: state.now.step,
            second: samples.last().map(|taken| taken.sample.clone()),
            offered,
            accepted,
            completed,
            errors,
            accept: state.accept,
            e2e: state.e2e,
            backlog: samples.iter().rev().take(SPARK).rev().filter_map(|taken| taken.sample.backlog).collect(),
            broken,
        };
        drop(state);
        self.moments.send_replace(moment);
    }

    fn totals(&self, state: &State) -> [u64; 4] {
        let Second { offered, accepted, completed, errors, .. } = &*self.second;
        let mut totals = state.totals;
        for (total, count) in totals.iter_mut().zip([offered, accepted, completed, errors]) {
            *total += AtomicU64::load(count, Ordering::Relaxed);
        }
        totals
    }

    fn target(&self, now: &Now) -> f64 {
        now.course.map_or(0.0, |(begun, _, size)| self.plan.due_at(size, begun.elapsed()))
    }

    // A sample is taken whole or not at all: nothing that runs under these locks can panic half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn abort(&self) -> MutexGuard<'_, Option<(CancellationToken, Option<String>)>> {
        self.abort.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
