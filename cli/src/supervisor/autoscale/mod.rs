//! The autoscaler of the target `processes`: looks each second, decides by the [`rule`], tells the fleet.

mod bounds;
mod cpu;
mod rule;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use card_core::process::Part;
use card_core::settings::Autoscale;
use card_core::tasks::{Kind, Scaling};
use card_core::time::Instant;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

pub use self::bounds::Bounds;
use self::cpu::Usage;
use self::rule::{Decision, Rule, Sample};
use super::fleet::Fleet;

const PERIOD: Duration = Duration::from_secs(1);
/// A sample that takes longer is missing.
const LIMIT: Duration = Duration::from_millis(900);

/// What it saw and decided last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// At least so many workers.
    pub min: usize,
    /// At most.
    pub max: usize,
    /// Workers that are wanted; none before the first sample.
    pub workers: Option<usize>,
    /// What the metrics alone would have.
    pub recommended: Option<usize>,
    pub reason: Option<String>,
    /// Tasks that are due or running.
    pub backlog: Option<u64>,
    /// How long the oldest waits that nobody works on.
    pub oldest_age_ms: Option<u64>,
    /// The last time that the number was changed.
    pub last_change: Option<Change>,
}

/// A decision that changed the number of workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub at: Instant,
    /// Workers before.
    pub from: usize,
    /// Workers after.
    pub to: usize,
    pub reason: String,
}

/// Decides how many workers there are.
#[derive(Debug)]
pub(super) struct Autoscaler {
    bounds: Bounds,
    settings: Autoscale,
    /// What the workers do; empty means all. What others would have to do is no reason for more of these.
    kinds: Vec<Kind>,
    view: Mutex<View>,
}

impl Autoscaler {
    pub(super) const fn new(bounds: Bounds, settings: Autoscale, kinds: Vec<Kind>) -> Self {
        let Bounds { min, max } = bounds;
        let view = View {
            min,
            max,
            workers: None,
            recommended: None,
            reason: None,
            backlog: None,
            oldest_age_ms: None,
            last_change: None,
        };
        Self { bounds, settings, kinds, view: Mutex::new(view) }
    }

    /// What it saw and decided last.
    pub(super) fn view(&self) -> View {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Samples the platform there and scales the fleet, for good. Cancel safe.
    pub(super) async fn run(&self, fleet: &Fleet, url: &str) {
        let http = match card_http::local().timeout(LIMIT).build() {
            Ok(http) => http,
            Err(error) => return tracing::error!(%error, "the autoscaler has no client"),
        };
        let scaling = format!("{url}/scaling");
        let begun = std::time::Instant::now();
        let mut rule = Rule::new(self.bounds, self.settings.clone());
        let mut usage = Usage::default();
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let seen = ask(&http, &scaling).await.map(|seen| seen.of(&self.kinds));
            let workers = fleet.staying(Part::Worker);
            let processes: Vec<_> = workers.iter().map(|worker| worker.process).collect();
            let sample = Sample {
                at: begun.elapsed(),
                workers: workers.len(),
                backlog: seen.as_ref().map(|seen| seen.backlog),
                oldest_age: seen.map(|seen| Duration::from_millis(seen.oldest_age_ms)),
                cpu: if rule.follows_cpu() { usage.since_last(&processes) } else { Vec::new() },
            };
            let decision = rule.decide(&sample);
            self.note(&sample, &decision);
            fleet.scale(Part::Worker, decision.workers);
        }
    }

    fn note(&self, sample: &Sample, decision: &Decision) {
        let Decision { workers: to, recommended, reason } = decision;
        let oldest_age_ms = sample.oldest_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let (from, backlog) = (sample.workers, sample.backlog);
        if from == *to {
            tracing::debug!(
                workers = from,
                recommended,
                backlog,
                oldest_age_ms,
                reason,
                "autoscale: nothing to change"
            );
        } else {
            tracing::info!(from, to, recommended, backlog, oldest_age_ms, reason, "autoscale");
        }
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if from != *to {
            view.last_change = Some(Change { at: Instant::now(), from, to: *to, reason: reason.clone() });
        }
        view.workers = Some(*to);
        view.recommended = Some(*recommended);
        view.reason = Some(reason.clone());
        (view.backlog, view.oldest_age_ms) = (backlog, oldest_age_ms);
    }
}

/// None: whatever the reason, the metric is missing, and the next second asks again.
async fn ask(http: &reqwest::Client, url: &str) -> Option<Scaling> {
    let answered = async { http.get(url).send().await?.error_for_status()?.json().await };
    answered.await.inspect_err(|error: &reqwest::Error| tracing::debug!(%error, "no sample")).ok()
}
